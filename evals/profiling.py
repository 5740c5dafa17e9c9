"""What learning and localising cost: time by stage, as medians and as ratios to the backbone alone, and memory.

The backbone alone is its network as its library builds it, whatever the localiser makes of it to save time; beside it
stands the ratio to what the localiser's own network takes.
"""

import copy
import mmap
import statistics
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, Protocol, cast

from evals.detection import Judged, Pixels
from tools import Backbone, Localizer, LocalizerSettings, Part, fit_localizer, load_backbone, prepared

STAGES = ("preprocess", "forward", "patches", "memory", "map")
"""Of localising an image: what leads to the network's input, the network, its layers as patches, their distances to the
memories, and all that comes after."""

_TIMED_IMAGES = 24
_STATM = Path("/proc/self/statm")


class Picture(Protocol):
    """What can be decoded, such as a `LabelledImage`."""

    def pixels(self) -> Pixels:
        """(H, W, 3) RGB uint8."""
        ...


class Enrolment(NamedTuple):
    localizer: Localizer
    seconds: float
    """Of learning, with decoding."""
    ratio: float
    """To the backbone's forward passes over the same pictures, each once."""


def enrol(memory: Sequence[Part], held_out: Sequence[Part], settings: LocalizerSettings) -> Enrolment:
    load_backbone(settings.backbone, settings.weights)  # Once a process, so no part of what a product costs.
    start = perf_counter()
    localizer = fit_localizer(memory, held_out, settings)
    seconds = perf_counter() - start
    network, pictures = as_built(settings), [part.pixels for part in (*memory, *held_out)]
    _forward_seconds(network, pictures[0](), localizer.areas)  # As the localiser's own, it is warm then.
    alone = sum(_forward_seconds(network, picture(), localizer.areas) for picture in pictures)
    return Enrolment(localizer, seconds, seconds / alone)


def as_built(settings: LocalizerSettings) -> Backbone:
    """The backbone of a localiser with these settings, as its library builds it."""
    return load_backbone(settings.backbone, settings.weights, as_built=True)


def localizing_cost(localizer: Localizer, network: Backbone, images: Sequence[Picture]) -> dict[str, Any]:
    """Localising against forward passes of the `network` (see `as_built`), in turn on the same images, decoded before."""
    stages, alone = [], []
    for image in images[:: max(1, len(images) // _TIMED_IMAGES)][:_TIMED_IMAGES]:
        pixels = image.pixels()
        for each in (localizer.backbone, network):  # The first pass over a new size is slower than all others.
            _forward_seconds(each, pixels, localizer.areas)
        stages.append(_stage_seconds(localizer, pixels))
        alone.append(_forward_seconds(network, pixels, localizer.areas))
    seconds = statistics.median(sum(found.values()) for found in stages)
    own = statistics.median(found["forward"] for found in stages)
    return {
        "seconds_per_image": seconds,
        "forward_ratio": seconds / statistics.median(alone),
        "own_forward_ratio": seconds / own if own else None,
        "profile": {f"{stage}_ms": 1000 * statistics.median(found[stage] for found in stages) for stage in STAGES},
    }


def resident_mb() -> float | None:
    """Memory of this process that is in RAM now; `None` where the system does not say."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except OSError:
        return None
    return pages * mmap.PAGESIZE / 1e6


def kept_mb(judged: Sequence[Judged]) -> float:
    """What the maps and masks take that a benchmark keeps until a set is scored."""
    return sum(item.map.nbytes + (0 if item.truth is None else item.truth.nbytes) for item in judged) / 1e6


def _forward_seconds(network: Backbone, pixels: Pixels, areas: Sequence[int]) -> float:
    """Once for each input size at which the localiser looks."""
    inputs = prepared(network, pixels, areas).inputs
    start = perf_counter()
    for images in inputs:
        network.forward(images)
    return perf_counter() - start


def _stage_seconds(localizer: Localizer, pixels: Pixels) -> dict[str, float]:
    """Seconds of each stage; they add up to those of the whole, whichever stages the localiser has."""
    laps = _Laps()
    observed = copy.copy(localizer)
    network = {"preprocess": ("preprocess", "preprocess"), "forward": ("forward", "forward")}
    nearest = {"nearest": ("patches", "memory")}
    observed.backbone = cast(Any, _Observed(localizer.backbone, laps, network))
    memories = tuple(_Observed(memory, laps, nearest) for memory in localizer.normal.memories)
    observed.normal = localizer.normal._replace(memories=cast(Any, memories))
    laps.start()
    observed.localize(pixels)
    laps.end("map")
    return laps.seconds


class _Laps:
    """Adds the time since the last lap to a stage."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self.start()

    def start(self) -> None:
        self._last = perf_counter()

    def end(self, stage: str) -> None:
        now = perf_counter()
        self.seconds[stage] += now - self._last
        self._last = now


class _Observed:
    """Stands for an object, and ends a lap before and after a call of the methods named: (stage before, its own)."""

    def __init__(self, inner: object, laps: _Laps, stages: dict[str, tuple[str, str]]) -> None:
        self._inner = inner
        self._laps = laps
        self._stages = stages

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._stages:
            return found
        before, own = self._stages[name]

        def timed(*given: Any, **named: Any) -> Any:
            self._laps.end(before)
            result = found(*given, **named)
            self._laps.end(own)
            return result

        return timed
