"""What is asked of an inspection."""

import datetime
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from knowledge import Frozen, RequestError

Condition = Literal["task", "context", "rules", "references"]
CONDITIONS: tuple[Condition, ...] = ("task", "context", "rules", "references")


class Budget(Frozen):
    """What an inspection may cost; whatever is spent first ends it with `review`."""

    steps: Annotated[int, Field(ge=1)] = 40
    """Tool calls, for each asset of the part."""
    model_calls: Annotated[int, Field(ge=1)] = 12
    """For each asset of the part."""
    tokens: Annotated[int, Field(ge=1)] = 200_000
    cost: Annotated[float, Field(ge=0)] = 1.0
    """US dollars, as far as prices are known; the embedded model costs nothing."""
    seconds: Annotated[float, Field(gt=0)] = 300.0
    """Of work, not counting the time while nothing ran."""


class InspectionRequest(Frozen):
    """One part, one product, and how to go about it."""

    inspection_id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    thread_id: str = ""
    created_at: str = Field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))
    inputs: Annotated[tuple[str, ...], Field(min_length=1, max_length=16)]
    """Absolute paths of all assets of one part: a picture, a scan, a recording."""
    product: str
    alpha: Annotated[float, Field(gt=0, lt=1)] | None = None
    """False-alarm rate; by default the product's."""
    model: str = "embedded"
    base_url: str | None = None
    planner: str | None = None
    reasoner: str | None = None
    second_reasoner: str | None = None
    fallback: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = CONDITIONS
    """Of what experts know, what a reasoner is told and shown."""
    price: Annotated[float, Field(ge=0)] | None = None
    """US dollars a million tokens of any model; by default what the price list says."""
    budget: Budget = Budget()
    interrupt: bool = False
    """Ask a person when the verdict is `review`."""

    @property
    def allowance(self) -> Budget:
        """The budget of this part: its steps and model calls are for each asset."""
        assets, budget = len(self.inputs), self.budget
        return budget.model_copy(update={"steps": budget.steps * assets, "model_calls": budget.model_calls * assets})

    @property
    def thread(self) -> str:
        return self.thread_id or self.inspection_id

    def asks_the_same(self, other: "InspectionRequest") -> bool:
        """True when only the ids and the time of asking differ."""
        ids = {"inspection_id", "thread_id", "created_at"}
        return self.model_dump(exclude=ids) == other.model_dump(exclude=ids)


def new_request(paths: Sequence[Path], product: str, **options: object) -> InspectionRequest:
    """A request for the files of one part; raises `RequestError` for an option that makes no sense."""
    inputs = tuple(str(path.absolute()) for path in paths)
    for name in inputs:
        if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
            raise RequestError(f"{Path(name).name!a}: the name of the file is no text (UTF-8); rename the file")
    if len(set(inputs)) < len(inputs):
        raise RequestError("a file of the part is named twice; name each once")
    try:
        return InspectionRequest.model_validate({"inputs": inputs, "product": product, **options})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise RequestError(f"{field}: {first['msg'][0].lower()}{first['msg'][1:]}, got {first['input']!r}") from error
