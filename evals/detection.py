"""How detectors judge labelled parts, and how good what they found is: the same for every benchmark and detector."""

import hashlib
import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.transform import resize

from evals.datasets import LabelledImage, Mask
from evals.metrics import image_auroc, pixel_scores
from evals.peers import Peer, load_peer
from knowledge import RequestError, named_part
from tools import DEFAULT_BACKBONE, Localizer, LocalizerSettings, Part, Progress, load_image

SCORED_AREA = 256 * 256
"""Maps and masks are compared at native size, or scaled down to this many pixels with the aspect kept."""

PEER_AREA = 320 * 320
"""Input of the peers, for every set: they have nothing that would choose another."""

DETECTION = ("image_auroc", "pixel_ap", "pixel_f1_max", "pixel_auroc", "aupro")
"""The figures of `detection`."""

Pixels = NDArray[np.uint8]
Detect = Callable[[Pixels], tuple[float, NDArray[np.float32]]]
"""(H, W, 3) RGB -> the score of the picture and its (H, W) map, higher meaning more anomalous."""

T = TypeVar("T")


class Judged(NamedTuple):
    """One test image as a detector saw it."""

    image: LabelledImage
    score: float
    map: NDArray[np.float32]
    truth: Mask | None
    seconds: float
    """Without decoding."""


def load_peers(names: Sequence[str], settings: LocalizerSettings) -> list[Peer]:
    """Peers that are to run beside these settings; raises `RequestError` where they would have another backbone."""
    if names and settings.backbone != DEFAULT_BACKBONE:
        raise RequestError(
            f"peers run on {DEFAULT_BACKBONE} alone; leave out --peers or --backbone {settings.backbone}"
        )
    return [load_peer(name, PEER_AREA, settings.seed) for name in names]


def protocol(settings: LocalizerSettings, peers: Sequence[str]) -> dict[str, Any]:
    """What every benchmark says of how it came to its figures."""
    return {
        "backbone": settings.backbone,
        "input_areas": settings.areas,
        "peers_input_area": PEER_AREA if peers else None,
        "prompts": settings.prompts,
        "memory_patches": settings.memory_size,
        "aligned": settings.aligned,
        "part_name": settings.part_name,
        "seed": settings.seed,
        "scored_at": f"native size, at most {SCORED_AREA} pixels, aspect kept; masks nearest",
        "aupro": "exact, up to a false-positive rate of 0.3",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def pictures_of(paths: Sequence[Path]) -> list[Callable[[], Pixels]]:
    """Each decoded when its turn comes."""
    return [partial(_pixels, path) for path in paths]


def parts_of(paths: Sequence[Path], part_name: str | None = None) -> list[Part]:
    """Each of a part of its own, or of the one that its file's name says by `part_name` (see `named_part`)."""
    return [
        Part(
            hashlib.sha256(path.read_bytes()).hexdigest(),
            picture,
            None if part_name is None else named_part(part_name, path.stem),
        )
        for path, picture in zip(paths, pictures_of(paths), strict=True)
    ]


def _pixels(path: Path) -> Pixels:
    return load_image(path).pixels


def judge_by(localizer: Localizer, template: Pixels | None = None) -> Detect:
    def judge(pixels: Pixels) -> tuple[float, NDArray[np.float32]]:
        result = localizer.localize(pixels, template)
        return result.score, result.map

    return judge


def watched(items: Sequence[T], what: str, progress: Progress) -> Iterator[T]:
    """The items, one after the other, telling how far they are."""
    for done, item in enumerate(items):
        progress(what, done, len(items))
        yield item
    progress(what, len(items), len(items))


def judge_each(judge: Detect, images: Iterable[LabelledImage]) -> Iterator[Judged]:
    """Maps come at the size at which maps and masks are compared."""
    for image in images:
        pixels = image.pixels()
        start = time.perf_counter()
        score, found = judge(pixels)
        seconds = time.perf_counter() - start
        size = _scored_size(*found.shape)
        # Without clipping, which changes nothing here but complains of a map that is not of numbers.
        scored = resize(found, size, order=1, anti_aliasing=found.size > SCORED_AREA, clip=False).astype(np.float32)
        truth = image.truth(*found.shape)
        yield Judged(image, score, scored, None if truth is None else _nearest(truth, *size), seconds)


def _scored_size(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, (SCORED_AREA / (height * width)) ** 0.5)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _nearest(mask: Mask, height: int, width: int) -> Mask:
    rows = ((np.arange(height) + 0.5) * mask.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * mask.shape[1] / width).astype(int)
    nearest: Mask = mask[rows[:, None], columns]
    return nearest


def detection(judged: Sequence[Judged]) -> dict[str, float | None]:
    """The figures of `DETECTION`; `None` where ground truth is missing, or the detector's scores are no numbers."""
    if not all(math.isfinite(item.score) for item in judged):
        return dict.fromkeys(DETECTION)
    normal = [item.score for item in judged if not item.image.anomalous]
    anomalous = [item.score for item in judged if item.image.anomalous]
    known = [item for item in judged if item.truth is not None]
    complete = len(known) == len(judged)
    pixels = pixel_scores([i.map for i in known], [i.truth for i in known if i.truth is not None]) if complete else None
    return {
        "image_auroc": image_auroc(normal, anomalous),
        "pixel_ap": pixels.ap if pixels else None,
        "pixel_f1_max": pixels.f1_max if pixels else None,
        "pixel_auroc": pixels.auroc if pixels else None,
        "aupro": pixels.aupro if pixels else None,
    }


def averages(rows: Sequence[Mapping[str, Any]], keys: Iterable[str]) -> dict[str, float | None]:
    """Unweighted means over the rows that have a figure."""
    known = {key: [row[key] for row in rows if row[key] is not None] for key in keys}
    return {key: statistics.fmean(values) if values else None for key, values in known.items()}
