"""How well events in videos are found: when each begins and ends, what is missed, and what is taken for one."""

import functools
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.table import Table
from sklearn.metrics import average_precision_score, roc_auc_score

from agent import CONVEYOR_KINDS, write_conveyor
from evals.labels import NAME, FileLabels, labelled_bytes, read_labels
from evals.video_peers import VideoPeer, load_video_peer
from knowledge import AssetError, RequestError
from tools import (
    STRETCH,
    Video,
    VideoLocalizer,
    fit_video,
    intervals_of,
    provisional_threshold,
    read_video,
    stretches,
)

ALPHA = 0.05
"""Wanted share of normal videos in which anything is found."""

SIMULATED = "conveyor"
_SIMULATED_SEEDS = (1, 2)

Progress = Callable[[str, int, int], None]
Part = Callable[[], Video]
Span = tuple[float, float]


class LabelledVideo(NamedTuple):
    """A video to be judged, the normal ones to learn from, and when something happens in it."""

    set: str
    name: str
    simulated: bool
    train: tuple[Part, ...]
    test: Part
    events: tuple[Span, ...]
    """Seconds at which each begins and ends."""
    train_until: float
    """Seconds up to which the test video itself was learned from, so that no figure counts them."""


class _Judgement(NamedTuple):
    found: tuple[Span, ...]
    frames: NDArray[np.float64]
    """(F,) score of each frame."""
    threshold: float
    seconds: float


def run_videos(
    source: Path,
    names: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = lambda what, done, total: None,
    peers: Sequence[str] = ("background",),
) -> dict[str, Any]:
    """Judge the labelled videos under `source` (`video/<set>/labels.json`) and simulated ones; plain values.

    `names` chooses among the sets; `conveyor` is the simulated one. Ours and each peer learn from the same frames and
    have their thresholds by the same rule from the same number of stretches of them; labels are for the figures alone.
    """
    rivals = [load_video_peer(name) for name in peers]
    with tempfile.TemporaryDirectory() as folder:
        videos = [*_labelled(source, names), *_simulated(Path(folder), names)]
        if not videos:
            raise AssetError(f"{source}: no labelled videos there; expected video/<set>/labels.json")
        rows = []
        learned: dict[tuple[Part, ...], VideoLocalizer] = {}
        for number, labelled in enumerate(videos):
            progress(f"{labelled.set}/{labelled.name}", number, len(videos))
            if labelled.train not in learned:
                learned[labelled.train] = fit_video(labelled.train, seed=seed)
            rows.append(_row(labelled, learned[labelled.train], rivals))
    return {
        "protocol": {"alpha": ALPHA, "seed": seed, "stretch_s": STRETCH, "peers": list(peers)},
        "videos": rows,
        "total": {name: _total([row["detectors"][name] for row in rows]) for name in ("anomalyst", *peers)},
    }


def videos_table(result: dict[str, Any], *, markdown: bool) -> Table:
    """A line a video and detector: events found, missed and made up, how exact in time, and figures per frame."""
    columns = (
        *("video", "detector", "found", "missed", "false", "begin error s", "end error s"),
        *("frame AUROC", "frame AP", "s / s of video"),
    )
    table = Table(*columns, box=box.MARKDOWN) if markdown else Table(*columns, title="Events in videos")
    for row in result["videos"]:
        name = f"{row['set']}/{row['name']}" + (" (simulated)" if row["simulated"] else "")
        for detector, figures in row["detectors"].items():
            table.add_row(name, detector, *_cells(figures))
    for detector, figures in result["total"].items():
        table.add_row("all", detector, *_cells(figures))
    return table


def match_events(truth: Sequence[Span], found: Sequence[Span]) -> dict[str, Any]:
    """Which events were found, by any overlap; errors are those of the first beginning and the last end, in seconds."""
    events = []
    for begin, end in truth:
        over = [span for span in found if span[0] <= end and span[1] >= begin]
        events.append(
            {
                "truth": [begin, end],
                "found": [over[0][0], over[-1][1]] if over else None,
                "begin_error": over[0][0] - begin if over else None,
                "end_error": over[-1][1] - end if over else None,
                "pieces": len(over),
            }
        )
    false = [span for span in found if not any(span[0] <= end and span[1] >= begin for begin, end in truth)]
    hits = sum(event["found"] is not None for event in events)
    return {"events": events, "found": hits, "missed": len(truth) - hits, "false": len(false), "false_at": false}


def _row(labelled: LabelledVideo, localizer: VideoLocalizer, rivals: Sequence[VideoPeer]) -> dict[str, Any]:
    video = labelled.test()
    judged = {"anomalyst": _ours(localizer, video)}
    judged |= {rival.name: _by_peer(rival, labelled.train, video) for rival in rivals}
    return {
        "set": labelled.set,
        "name": labelled.name,
        "simulated": labelled.simulated,
        "video_seconds": video.duration,
        "train_seconds": sum(part().duration for part in labelled.train),
        "detectors": {name: _figures(each, labelled, video) for name, each in judged.items()},
    }


def _ours(localizer: VideoLocalizer, video: Video) -> _Judgement:
    began = time.perf_counter()
    localization = localizer.localize(video)
    threshold = localizer.threshold(ALPHA, localization.blocks).value
    found = intervals_of(video, localization.values, threshold)
    spans = tuple((float(video.times[first]), float(video.times[last])) for first, last in found)
    frames = localization.values.max((1, 2)).astype(np.float64)
    return _Judgement(spans, frames, threshold, time.perf_counter() - began)


def _by_peer(peer: VideoPeer, train: Sequence[Part], video: Video) -> _Judgement:
    """The peer's threshold is, as ours, the prediction limit from stretches of the normal frames held out in turn."""
    normal = np.concatenate([part().frames for part in train])
    per_stretch = max(2, round(STRETCH / video.step))
    folds = np.array_split(np.arange(len(normal)), min(5, max(2, len(normal) // per_stretch)))
    highest: list[float] = []
    for fold in folds:
        peer.fit(np.delete(normal, fold, axis=0))
        scores = peer.score(normal[fold])
        highest += [float(part.max()) for part in np.array_split(scores, max(1, len(scores) // per_stretch))]
    threshold = provisional_threshold(np.array(highest), ALPHA, stretches(video), "stretches").value
    peer.fit(normal)
    began = time.perf_counter()
    frames = peer.score(video.frames)
    taken = time.perf_counter() - began
    found = intervals_of(video, frames[:, None, None].astype(np.float32), threshold)
    spans = tuple((float(video.times[first]), float(video.times[last])) for first, last in found)
    return _Judgement(spans, frames, threshold, taken)


def _figures(judged: _Judgement, labelled: LabelledVideo, video: Video) -> dict[str, Any]:
    truth = np.zeros(len(video.times), np.bool_)
    for begin, end in labelled.events:
        truth |= (video.times >= begin - 1e-6) & (video.times <= end + 1e-6)
    tested = video.times > labelled.train_until
    both = 0 < truth[tested].sum() < tested.sum()
    return {
        **match_events(labelled.events, judged.found),
        "frame_auroc": float(roc_auc_score(truth[tested], judged.frames[tested])) if both else None,
        "frame_ap": float(average_precision_score(truth[tested], judged.frames[tested])) if both else None,
        "threshold": judged.threshold,
        "highest_normal": float(judged.frames[tested & ~truth].max()) if (tested & ~truth).any() else None,
        "seconds_per_second": judged.seconds / video.duration,
    }


def _total(figures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {key: sum(each[key] for each in figures) for key in ("found", "missed", "false")}
    total["events"] = [event for each in figures for event in each["events"]]
    for key in ("frame_auroc", "frame_ap", "seconds_per_second"):
        known = [each[key] for each in figures if each[key] is not None]
        total[key] = float(np.mean(known)) if known else None
    return total


def _cells(figures: dict[str, Any]) -> list[str]:
    errors = [_worst(figures["events"], key) for key in ("begin_error", "end_error")]
    counts = [str(figures[key]) for key in ("found", "missed", "false")]
    rates = [
        "-" if figures[key] is None else f"{figures[key]:.3f}"
        for key in ("frame_auroc", "frame_ap", "seconds_per_second")
    ]
    return [*counts, *errors, *rates]


def _worst(events: Sequence[dict[str, Any]], key: str) -> str:
    """Mean and largest size of the errors of those that were found."""
    errors = [abs(event[key]) for event in events if event[key] is not None]
    return f"{np.mean(errors):.2f}, at most {max(errors):.2f}" if errors else "-"


def _labelled(source: Path, names: Sequence[str]) -> list[LabelledVideo]:
    found = []
    for labels in sorted((source / "video").glob(f"*/{NAME}")):
        if not names or labels.parent.name in names:
            for name, about in read_labels(labels).items():
                found.append(_of_file(labels.parent, name, about))
    return found


def _of_file(folder: Path, name: str, about: FileLabels) -> LabelledVideo:
    if about.fps is None or about.train_frames is None:
        raise RequestError(f"{folder / NAME}: {name} needs fps and train_frames")
    video = read_video(labelled_bytes(folder, name), name)
    normal = video.between(*about.train_frames)
    spans = tuple((begin / about.fps, end / about.fps) for begin, end in about.intervals)
    return LabelledVideo(
        folder.name, Path(name).stem, False, (lambda: normal,), lambda: video, spans, float(normal.times[-1])
    )


def _simulated(folder: Path, names: Sequence[str]) -> list[LabelledVideo]:
    if names and SIMULATED not in names:
        return []
    normal = functools.partial(_given, _read(write_conveyor(folder, "normal", 0).path))
    found = []
    for kind in CONVEYOR_KINDS:
        for seed in _SIMULATED_SEEDS:
            written = write_conveyor(folder, kind, seed)
            video = functools.partial(_given, _read(written.path))
            found.append(LabelledVideo(SIMULATED, f"{kind}_{seed}", True, (normal,), video, written.events, -1.0))
    return found


def _given(video: Video) -> Video:
    return video


def _read(path: Path) -> Video:
    return read_video(path.read_bytes(), path.name)
