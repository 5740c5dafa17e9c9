"""Settings: an argument beats the environment (`ANOMALYST_*`), which beats the default."""

from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent.request import Budget


class Settings(BaseSettings):
    """How inspections run on this machine."""

    model_config = SettingsConfigDict(
        env_prefix="ANOMALYST_", env_nested_delimiter="__", frozen=True, extra="forbid", env_ignore_empty=True
    )

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("anomalyst", appauthor=False)))
    """Where catalog, models, artifacts, threads and reports live."""
    model: str = "embedded"
    """`embedded`, `openai:<model>` or `google_genai:<model>`."""
    base_url: str | None = None
    """Address of an OpenAI-compatible server."""
    price: Annotated[float, Field(ge=0)] | None = None
    """US dollars a million tokens, as the model's vendor states it; needed for the budget of money."""
    max_bytes: Annotated[int, Field(gt=0)] = 200_000_000
    max_pixels: Annotated[int, Field(gt=0)] = 50_000_000
    budget: Budget = Budget()
