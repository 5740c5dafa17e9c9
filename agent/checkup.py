"""Is this machine ready? What `anomalyst doctor` looks at."""

import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, NamedTuple

from agent.enrolment import known_products
from agent.settings import Settings
from knowledge import AnomalystError, require_writable
from tools import DEFAULT_BACKBONE, import_open3d, load_backbone, usable_device

_PACKAGES = (
    *("torch", "torchvision", "timm", "open_clip_torch", "langgraph", "langchain-core", "langchain-openai"),
    *("langchain-google-genai", "pillow", "pydantic", "numpy", "pandas", "pyarrow", "av"),
)
_KEYS = ("OPENAI_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY")


class Check(NamedTuple):
    """`absent` is allowed, `broken` is not."""

    what: str
    state: Literal["fine", "absent", "broken"]
    found: str


def checkup(settings: Settings) -> list[Check]:
    """Every check, the cheap ones first."""
    return [
        Check("python", "fine", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        *[_package(name) for name in _PACKAGES],
        _try("home", lambda: _home(settings)),
        _try("device", lambda: _device(settings)),
        _try("backbone", lambda: _backbone(settings)),
        _try("open3d", lambda: f"{import_open3d().__version__}, for point clouds"),
        *[
            Check(key, "fine" if os.environ.get(key) else "absent", "set" if os.environ.get(key) else "not set")
            for key in _KEYS
        ],
        *_products(settings),
    ]


def _package(name: str) -> Check:
    try:
        return Check(name, "fine", version(name))
    except PackageNotFoundError:
        return Check(name, "broken", "not installed; run: make setup")


def _try(what: str, look: Callable[[], str]) -> Check:
    """An import or a folder that fails is what this command is there to tell."""
    try:
        return Check(what, "fine", look())
    except (AnomalystError, ImportError, OSError, RuntimeError) as error:
        return Check(what, "broken", " ".join(str(error).split())[:300])


def _home(settings: Settings) -> str:
    return str(require_writable(settings.home))


def _device(settings: Settings) -> str:
    device, instead = usable_device(settings.device)
    return f"{device}, since {instead}" if instead else str(device)


def _backbone(settings: Settings) -> str:
    backbone = load_backbone(DEFAULT_BACKBONE, device=settings.device)
    return "; ".join((f"{backbone.name}, weights {backbone.weights_sha256[:12]}", *backbone.notes))


def _state(row: dict[str, Any]) -> Literal["fine", "absent", "broken"]:
    if row["state"] == "ready":
        return "fine"
    return "broken" if "product.yaml" in row["state"] else "absent"


def _products(settings: Settings) -> list[Check]:
    rows = known_products(settings)
    return [
        Check(
            f"product {row['product']}",
            _state(row),
            row.get("promise", row["state"]),
        )
        for row in rows
    ]
