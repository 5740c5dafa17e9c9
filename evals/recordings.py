"""Benchmark on sensor recordings: learn what is normal, score every sample of the test recordings, and say how well."""

import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from rich import box
from rich.table import Table
from sklearn.metrics import average_precision_score, roc_auc_score

from evals.event_metrics import best_event_f1, event_scores, intervals_of, vus_pr
from evals.labels import NAME, labelled_bytes, read_labels
from knowledge import RequestError
from tools import Progress, Recording, fit_recording, read_recording

PEERS = ("matrix_profile", "iforest")
ALPHA = 0.05
BUFFER = 100
"""Samples of the widest buffer of VUS-PR."""

_LABELS = ("anomaly", "changepoint")
"""Columns of known labels, which no detector may see."""
_FIGURES = ("vus_pr", "auroc", "ap", "event_f1_best", "event_f1", "event_precision", "event_recall", "seconds")
_TITLES = {
    "vus_pr": "VUS-PR",
    "auroc": "point AUROC",
    "ap": "point AP",
    "event_f1_best": "event F1, best cut",
    "event_f1": "event F1, own cut",
    "event_precision": "precision",
    "event_recall": "recall",
    "seconds": "s / recording",
}

Floats = NDArray[np.float64]


class Case(NamedTuple):
    """One test recording with what may be learned from for it."""

    name: str
    train: tuple[Recording, ...]
    recording: Recording
    truth: NDArray[np.bool_]
    """(T,)"""
    judged_from: int
    """First sample that counts; those before it were learned from."""


class Scored(NamedTuple):
    scores: Floats
    """(T,)"""
    seconds: float
    reported: NDArray[np.bool_] | None
    """(T,) samples that it reports by its own threshold; None for a detector that has none."""
    judged_by: str | None = None
    """Whose word it took, `samples`, `views` or `both`; None for a detector that has no choice."""


Detector = Callable[[Case], Scored]


def run_recordings(
    source: Path,
    names: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = lambda what, done, total: None,
    peers: Sequence[str] = (),
) -> dict[str, Any]:
    """Every set of a folder, by ours and by each of the `peers`; plain values.

    Args:
        source: a folder with a folder for each set, each with `labels.json`; or one that holds it as `timeseries`.
        names: sets, all by default.
        seed: of the isolation forest, and of the anomalies by which samples and plots are compared.
        progress: told what is done.
        peers: of `PEERS`.

    Raises:
        RequestError: if there is no such set or peer.
    """
    rivals = {name: _peer(name, seed) for name in peers}
    folder = source / "timeseries" if (source / "timeseries").is_dir() else source
    found = sorted(path.parent.name for path in folder.glob(f"*/{NAME}"))
    if unknown := [name for name in names or found if name not in found] or not found:
        raise RequestError(
            f"there is no set {unknown} of recordings in {folder}; there are {', '.join(found) or 'none'}"
        )
    sets = {name: list(read_cases(folder / name)) for name in names or found}
    detect = partial(_anomalyst, seed=seed)
    ours = [_run_set(name, cases, detect, "anomalyst", progress) for name, cases in sets.items()]
    compared = {
        peer: [_run_set(name, cases, detector, peer, progress) for name, cases in sets.items()]
        for peer, detector in rivals.items()
    }
    return {
        "protocol": _protocol(seed, peers),
        "sets": ours,
        "macro": _macro(ours),
        "peers": {peer: {"sets": rows, "macro": _macro(rows)} for peer, rows in compared.items()},
    }


def read_cases(folder: Path) -> Iterator[Case]:
    """Of one set; trained on the rows or the file that the labels name, else on all files under train/good."""
    shared = tuple(
        _read(folder, path.relative_to(folder).as_posix()) for path in sorted((folder / "train" / "good").glob("*.csv"))
    )
    for name, about in read_labels(folder / NAME).items():
        recording = _read(folder, name)
        rows = np.arange(recording.samples) if recording.rows is None else recording.rows
        truth = np.zeros(recording.samples, np.bool_)
        for first, last in about.intervals:
            truth |= (rows >= first) & (rows <= last)
        if about.train_rows:
            judged_from = about.train_rows[1] + 1
            yield Case(name, (_beginning(recording, judged_from),), recording, truth, judged_from)
        else:
            train = (_read(folder, about.train_file),) if about.train_file else shared
            yield Case(name, train, recording, truth, 0)


def _read(folder: Path, name: str) -> Recording:
    return read_recording(labelled_bytes(folder, name), Path(name).name, ignore=_LABELS)


def _beginning(recording: Recording, samples: int) -> Recording:
    return recording._replace(values=recording.values[:samples], times=recording.times[:samples])


def _run_set(name: str, cases: Sequence[Case], detector: Detector, who: str, progress: Progress) -> dict[str, Any]:
    rows, alarms, opinions = [], 0, Counter[str]()
    for done, case in enumerate(cases):
        scored = detector(case)
        opinions.update([scored.judged_by] if scored.judged_by else [])
        truth, scores = case.truth[case.judged_from :], scored.scores[case.judged_from :]
        if truth.any():
            rows.append(_figures(truth, scores, case, scored))
        else:
            alarms += 0 if scored.reported is None else len(intervals_of(scored.reported[case.judged_from :]))
        progress(f"{who} {name}", done + 1, len(cases))
    own_cut = bool(rows) and rows[0]["event_f1"] is not None
    return {
        "name": name,
        "modality": "time_series",
        "test": len(cases),
        "with_anomalies": len(rows),
        **{key: _mean([row[key] for row in rows]) for key in _FIGURES},
        "events_reported_on_normal": alarms if own_cut else None,
        "judged_by": dict(opinions) or None,
    }


def _figures(truth: NDArray[np.bool_], scores: Floats, case: Case, scored: Scored) -> dict[str, float | None]:
    reported = None if scored.reported is None else scored.reported[case.judged_from :]
    events = None if reported is None else event_scores(truth, reported)
    return {
        "vus_pr": vus_pr(truth, scores, BUFFER),
        "auroc": float(roc_auc_score(truth, scores)),
        "ap": float(average_precision_score(truth, scores)),
        "event_f1_best": best_event_f1(truth, scores),
        "event_f1": None if events is None else events.f1,
        "event_precision": None if events is None else events.precision,
        "event_recall": None if events is None else events.recall,
        "seconds": scored.seconds,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _macro(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {key: _mean([row[key] for row in rows]) for key in _FIGURES}


def _protocol(seed: int, peers: Sequence[str]) -> dict[str, Any]:
    return {
        "seed": seed,
        "trained_on": "train_rows of the same recording, else its train_file, else all of train/good; no label is seen",
        "judged": "rows after those that were learned from",
        "averages": "over the recordings of a set that hold an anomaly, then over sets",
        "vus_pr": f"Paparrizos et al. 2022, as RangeAUC_volume_opt of the package vus; buffers 0 .. {BUFFER} samples",
        "events": "composite F1 (Garg et al. 2021): precision by samples, recall by intervals; best cut chosen with the truth",
        "judged_by": "samples, plots of them or both, as anomalies made on the training data prefer",
        "own_cut": f"threshold at alpha {ALPHA:g} for each stretch, from normal data alone",
        "peers": {name: _SAYS[name] for name in peers},
    }


# -- detectors -------------------------------------------------------------------------------------------------------

_SAYS = {
    "matrix_profile": "stumpy.stump, AB-join of each channel against the training data, mean over channels, our window",
    "iforest": "PyOD IForest, 100 trees, on windows of all standardised channels, our window",
}


def _anomalyst(case: Case, seed: int) -> Scored:
    started = time.perf_counter()
    localizer = fit_recording([lambda part=part: part for part in case.train], seed=seed)  # type: ignore[misc]
    found = localizer.localize(case.recording)
    seconds = time.perf_counter() - started
    samples = len(case.truth)
    reported = np.zeros(samples, np.bool_)
    for place in localizer.places(case.recording, found.values, localizer.threshold(ALPHA).value):
        reported[place.members % samples] = True
    return Scored(found.values.max(axis=0).astype(np.float64), seconds, reported, localizer.opinion)


def _peer(name: str, seed: int) -> Detector:
    if name not in PEERS:
        raise RequestError(f"there is no peer {name!r} for recordings; known are {', '.join(PEERS)}")
    judge = _matrix_profile if name == "matrix_profile" else _isolation_forest

    def detect(case: Case) -> Scored:
        train = [_filled(part) for part in case.train]
        window = int(np.clip(round(sum(part.shape[1] for part in train) ** 0.5), 8, 128))
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                scores = judge(train, _filled(case.recording), window, seed)
            except ImportError as error:
                raise RequestError(f"{name} cannot be imported ({error}); run `make peers`") from error
        return Scored(scores, time.perf_counter() - started, None)

    return detect


def _filled(recording: Recording) -> Floats:
    """(C, T) without holes."""
    values = recording.values.T.copy()
    for channel in values:
        known = np.flatnonzero(np.isfinite(channel))
        channel[:] = np.interp(np.arange(len(channel)), known, channel[known])
    return values


def _matrix_profile(train: list[Floats], values: Floats, window: int, seed: int) -> Floats:
    del seed
    import stumpy

    longest = max(train, key=lambda part: part.shape[1])
    profiles = [
        stumpy.stump(of_test.copy(), window, of_train.copy(), ignore_trivial=False)[:, 0].astype(np.float64)
        for of_test, of_train in zip(values, longest, strict=True)
        if np.ptp(of_test) > 0 and np.ptp(of_train) > 0
    ]
    profile = np.nan_to_num(np.mean(profiles, axis=0), posinf=0.0)
    return _over_samples(profile, window, values.shape[1])


def _isolation_forest(train: list[Floats], values: Floats, window: int, seed: int) -> Floats:
    from pyod.models.iforest import IForest

    everything = np.concatenate(train, axis=1)
    mean, deviation = everything.mean(1, keepdims=True), everything.std(1, keepdims=True) + 1e-9

    def windows(part: Floats) -> Floats:
        found = sliding_window_view((part - mean) / deviation, window, axis=1)
        return np.asarray(found.transpose(1, 0, 2).reshape(found.shape[1], -1))

    forest = IForest(random_state=seed, n_jobs=1).fit(np.concatenate([windows(part) for part in train]))
    return _over_samples(forest.decision_function(windows(values)), window, values.shape[1])


def _over_samples(scores: Floats, window: int, samples: int) -> Floats:
    """(N,) of windows -> (T,): the mean over the windows that cover a sample."""
    summed = np.convolve(scores, np.ones(window))[:samples]
    counted = np.convolve(np.ones(len(scores)), np.ones(window))[:samples]
    return np.asarray(summed / np.maximum(counted, 1))


# -- tables ----------------------------------------------------------------------------------------------------------


def recordings_table(result: dict[str, Any], *, markdown: bool) -> Table:
    """A line a set and detector, and the macro averages."""
    columns = ("set", "detector", "recordings", *_TITLES.values())
    table = Table(*columns, box=box.MARKDOWN) if markdown else Table(*columns, title="Anomalies in recordings")
    detectors = {"anomalyst": result, **result["peers"]}
    for index, row in enumerate(result["sets"]):
        for name, found in detectors.items():
            figures = [_figure(found["sets"][index][key]) for key in _FIGURES]
            table.add_row(row["name"], name, str(row["with_anomalies"]), *figures)
    for name, found in detectors.items():
        table.add_row("macro", name, "", *(_figure(found["macro"][key]) for key in _FIGURES))
    return table


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
