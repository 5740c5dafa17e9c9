"""The doors of the packages: what they name, where it comes from, and what it costs to open them."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

FLOORS = ("knowledge", "tools", "agent", "evals")
LAZY = ("knowledge", "tools", "agent")
EAGER = ("tools.localization", "tools.rendering")
ROOT = Path(importlib.import_module("knowledge").__file__).parents[1]

HEAVY = ("torch", "torchvision", "timm", "open_clip", "langgraph", "langchain_core", "langchain_openai", "open3d")


def door(package: str, suffix: str) -> ast.Module:
    return ast.parse((ROOT.joinpath(*package.split(".")) / f"__init__{suffix}").read_text())


def imported(tree: ast.Module, package: str) -> dict[str, str]:
    """Name -> the full name of the room that it is imported from."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            room = f"{package}.{node.module}" if node.level else node.module
            for alias in node.names:
                if room.startswith(package):
                    found[alias.asname or alias.name] = room
    return found


def isort_order(name: str) -> tuple[int, str]:
    """CONSTANTS, then Classes, then functions: the order that ruff keeps."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("package", [*LAZY, *EAGER])
def test_every_name_of_a_door_resolves_and_stands_there_once_and_is_public(package) -> None:
    module = importlib.import_module(package)
    assert module.__all__
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert not name.startswith("_")
        assert getattr(module, name) is not None
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("package", LAZY)
def test_a_lazy_door_names_exactly_what_its_stub_names(package) -> None:
    module = importlib.import_module(package)
    table = imported(door(package, ".pyi"), package)
    assert set(table) == set(module.__all__)
    assert module.__all__ == sorted(module.__all__)
    for name, room in table.items():
        assert getattr(module, name) is getattr(importlib.import_module(room), name)


@pytest.mark.parametrize("package", LAZY)
def test_a_stub_exports_every_name_that_it_imports(package) -> None:
    """`X as X` is what makes a name of a stub public to a type checker."""
    for node in door(package, ".pyi").body:
        assert isinstance(node, ast.ImportFrom)
        assert all(alias.asname == alias.name for alias in node.names)


@pytest.mark.parametrize("package", EAGER)
def test_an_eager_door_names_exactly_what_it_imports_in_order(package) -> None:
    module = importlib.import_module(package)
    table = imported(door(package, ".py"), package)
    assert set(table) == set(module.__all__)
    assert module.__all__ == sorted(module.__all__, key=isort_order)


@pytest.mark.parametrize("package", [*LAZY, *EAGER])
def test_a_strange_name_is_an_attribute_error_that_names_door_and_name(package) -> None:
    with pytest.raises(AttributeError, match=rf"{package}.*no_such_name"):
        _ = importlib.import_module(package).no_such_name
    with pytest.raises(ImportError, match="no_such_name"):
        exec(f"from {package} import no_such_name")  # noqa: S102


@pytest.mark.parametrize(
    "floor",
    [
        *("tools", "agent"),
        "evals",
    ],
)
def test_a_floor_goes_through_the_doors_of_the_floors_below(floor) -> None:
    below = FLOORS[: FLOORS.index(floor)]
    round_the_door = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.module}"
        for path in sorted((ROOT / floor).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(tuple(f"{name}." for name in below))
    ]
    assert round_the_door == []


def fresh(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import agent, tools, knowledge", (*HEAVY, "PIL", "numpy", "skimage", "cel", "yaml")),
        ("from agent import Settings, InspectionRequest, Budget", HEAVY),
        ("from knowledge import *", (*HEAVY, "PIL")),
        ("from tools import load_image, ArtifactStore, Box, STAGES; import tools.rendering", HEAVY),
    ],
)
def test_opening_a_door_loads_nothing_that_was_not_asked_for(code, unwanted, tmp_path) -> None:
    done = fresh(f"{code}\nimport sys\nprint(*[name for name in {unwanted!r} if name in sys.modules])", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize("shape", ["tools.py", "tools/__init__.py", "knowledge.py"])
def test_a_module_of_the_user_that_hides_ours_is_told_at_once(shape, tmp_path) -> None:
    path = tmp_path / shape
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    done = fresh("import agent", tmp_path)
    assert done.returncode != 0
    assert f"ImportError: another module named {shape.partition('.')[0].partition('/')[0]!r}" in done.stderr
    assert "install anomalyst in an environment of its own" in done.stderr
