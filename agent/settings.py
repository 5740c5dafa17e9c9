"""Settings: an argument beats the environment (`ANOMALYST_*`), which beats the default."""

from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent.model_options import ModelOptions
from agent.request import CONDITIONS, Budget, Condition
from knowledge import RequestError


class Settings(BaseSettings):
    """How inspections run on this machine."""

    model_config = SettingsConfigDict(
        env_prefix="ANOMALYST_", env_nested_delimiter="__", frozen=True, extra="forbid", env_ignore_empty=True
    )

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("anomalyst", appauthor=False)))
    """Where catalog, models, artifacts, threads and reports live."""
    model: str = "embedded"
    """Planner and reasoner: `embedded`, `openai:<model>` or `google_genai:<model>`. `openai:<model>@<address>` is reached
    at an address of its own."""
    base_url: str | None = None
    """Address of the OpenAI-compatible server of planner and reasoner, where they have none of their own."""
    planner: str | None = None
    """By default `model`."""
    reasoner: str | None = None
    """By default `model`."""
    second_reasoner: str | None = None
    """Asked for an opinion of its own; by default nobody."""
    fallback: tuple[str, ...] = ()
    """Who is asked where planner or reasoner gives no answer, in order; the last is always `embedded`."""
    client: ModelOptions = ModelOptions()
    conditions: tuple[Condition, ...] = CONDITIONS
    """Of what experts know, what a reasoner is told and shown."""
    price: Annotated[float, Field(ge=0)] | None = None
    """US dollars a million tokens, for all models; by default what the price list says."""
    tracing: bool = False
    """Let LangSmith record inspections, where its own variables ask for it: pictures and texts are then sent there."""
    threads: SecretStr | None = None
    """`postgresql://...`, to keep threads there; by default in a file of the home."""
    device: str = "auto"
    """Where frozen networks run, for the whole process: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`."""
    max_bytes: Annotated[int, Field(gt=0)] = 200_000_000
    max_pixels: Annotated[int, Field(gt=0)] = 50_000_000
    budget: Budget = Budget()


def read_settings(**given: Any) -> Settings:
    """Settings from what was given, then the environment, then the defaults; raises `RequestError` naming the variable."""
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = "__".join(str(part) for part in first["loc"]).upper()
        raise RequestError(f"ANOMALYST_{name}: {first['msg']}, got {first['input']!r}") from error
