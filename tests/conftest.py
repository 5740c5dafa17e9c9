"""Makers of parts, products and models, shared by all tests. Nothing here needs weights beyond the installed wheel."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import AIMessage, BaseMessage
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from agent import Inspector, Settings
from evals.simulated import PLATE, paint_plate, write_plates
from evals.stand_in import Bound, StandIn
from knowledge import Product
from tools import choose_device

Pixels = NDArray[np.uint8]
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No setting, key or home of the machine reaches a test, nor a device that another test chose."""
    for name in list(os.environ):
        if name.startswith(("ANOMALYST_", "OPENAI_", "GOOGLE_", "GEMINI_", "LANGSMITH_", "LANGCHAIN_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ANOMALYST_HOME", str(tmp_path / "home"))
    yield
    choose_device("auto")


@pytest.fixture(scope="session")
def plate() -> Callable[..., Pixels]:
    return paint_plate


@pytest.fixture(scope="session")
def save() -> Callable[[Path, Pixels], Path]:
    """Write pixels to a file and give its path back."""

    def write(path: Path, pixels: Pixels) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture(scope="session")
def product() -> Product:
    return PLATE


@pytest.fixture(scope="session")
def learned_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which `plate` has been learned from 40 pictures; shared, so only to be read."""
    home = tmp_path_factory.mktemp("learned")
    Inspector(Settings(home=home)).enroll(PLATE, write_plates(home / "pictures", 40))
    return home


@pytest.fixture
def inspector(learned_home: Path) -> Inspector:
    return Inspector(Settings(home=learned_home))


class ScriptedChatModel(StandIn):
    """Answers what it is told to, in order, and keeps what it was asked; an exception in the script is raised."""

    name: str | None = "scripted"
    script: list[Any] = Field(default_factory=list)
    history: list[list[BaseMessage]] = Field(default_factory=list)

    def enqueue(self, *answers: Any) -> "ScriptedChatModel":
        """A dict becomes a call of the schema that is asked for; text, messages and exceptions are used as they are."""
        self.script.extend(answers)
        return self

    def answer(self, messages: list[BaseMessage], bound: Bound) -> dict[str, Any] | BaseMessage:
        self.history.append(messages)
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, dict | BaseMessage) else AIMessage(str(answer))


@pytest.fixture
def scripted() -> Callable[..., ScriptedChatModel]:
    """A maker of scripted models."""
    return lambda *answers: ScriptedChatModel().enqueue(*answers)


@pytest.fixture(scope="session")
def tiny_architecture(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of a small CLIP that open_clip then knows; it reads and sees, with weights that were never trained."""
    from tools.localization.weights import import_open_clip

    vision = {"image_size": 32, "patch_size": 8, "layers": 4, "width": 32, "head_width": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    path = tmp_path_factory.mktemp("architectures") / "tiny-reader.json"
    path.write_text(json.dumps({"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}))
    import_open_clip().add_model_config(path)
    return path.stem


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real inspection data, where this checkout has some beside it."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no inspection data at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Small tensors are faster on one thread, and the same on every machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
