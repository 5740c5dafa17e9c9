"""How chat models are asked: light enough to be read with the settings, before any client is loaded."""

from typing import Annotated

from pydantic import Field

from knowledge import Frozen

EMBEDDED = "embedded"
"""Name of the rule-based model, which is always there and never sees a picture."""


class ModelOptions(Frozen):
    """The same for every vendor."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = 0.0
    """`None` is not sent: some models refuse any."""
    seed: int | None = 0
    timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds for one attempt."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """In all, the first one included."""
    deadline: Annotated[float, Field(gt=0)] = 120.0
    """Seconds for one question: attempts, waits, and a reply that drips in."""
    reply_tokens: Annotated[int, Field(ge=16)] = 4096
    """A longer reply is cut by the vendor, and is then no answer. What a model thinks before it replies comes on top."""
