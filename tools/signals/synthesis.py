"""Anomalies put into normal recordings by a program, to compare ways of judging without a labelled one."""

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from tools.signals.detector import Floats

Kind = Literal["spike", "shift", "drift", "noise", "flat", "faster"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_FASTER = 2.5


class Synthetic(NamedTuple):
    piece: Floats
    """(C, T)"""
    truth: NDArray[np.bool_]
    """(T,)"""


def put_anomaly(piece: Floats, kind: Kind, length: int, rng: np.random.Generator) -> Synthetic:
    """One anomaly at a place, of a strength and in up to a quarter of the channels that chance decides.

    Args:
        piece: (C, T) normal values without holes.
        kind: what happens.
        length: samples of a window; an anomaly lasts one to four of them, a spike one to three samples.
        rng: where chance comes from.
    """
    deviations = piece.std(axis=1)
    moving = np.flatnonzero(deviations > 0)
    chosen = rng.choice(moving, min(len(moving), int(rng.integers(1, max(1, len(piece) // 4) + 1))), replace=False)
    lasts = int(rng.integers(1, 4)) if kind == "spike" else int(rng.integers(length, 4 * length))
    lasts = min(lasts, piece.shape[1] // 3)
    first = int(rng.integers(0, piece.shape[1] - lasts))
    strength = float(rng.uniform(1.5, 4))
    changed, truth = piece.copy(), np.zeros(piece.shape[1], np.bool_)
    truth[first : first + lasts] = True
    for channel in chosen:
        changed[channel, truth] = _changed(piece[channel], first, lasts, kind, strength * deviations[channel], rng)
    return Synthetic(changed, truth)


def _changed(values: Floats, first: int, lasts: int, kind: Kind, height: float, rng: np.random.Generator) -> Floats:
    """(lasts,) the new values of a channel; `height` is the strength in the channel's unit."""
    normal = values[first : first + lasts]
    sign = float(rng.choice([-1, 1]))
    if kind == "spike":
        return normal + 1.7 * sign * height
    if kind == "shift":
        return normal + sign * height
    if kind == "drift":
        return normal + 1.5 * sign * height * np.linspace(0, 1, lasts)
    if kind == "noise":
        return normal + 0.6 * height * rng.normal(size=lasts)
    if kind == "flat":
        return np.full(lasts, normal[0])
    return np.asarray(np.interp((np.arange(lasts) * _FASTER) % lasts, np.arange(lasts), normal))
