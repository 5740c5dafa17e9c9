"""Dynamic principal components of lagged samples (Ku, Storer & Georgakis 1995): relations between channels and moments."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from tools.signals.detector import Contributions, Floats

_KEPT = 0.95
"""Share of the variance that the components hold."""
_FIT_SAMPLES = 50_000
_CHUNK = 8192
_CLIP = 20.0
"""Deviations: a single wild sample of normal data must not become a component."""
_RIDGE = 1e-6


class Lags(NamedTuple):
    """Which samples stand together: `number` of them, `step` apart, centred on the one that is judged."""

    number: int
    step: int


class Components:
    """What both scores need: the mean of lagged samples, and the components that hold most of their variance."""

    def __init__(self, lags: Lags, mean: Floats, vectors: Floats, variances: Floats) -> None:
        """`mean` (L C,), `vectors` (L C, K) orthonormal, `variances` (K,) above 0; lag by lag, within it by channel."""
        self.lags = lags
        self.mean = mean
        self.vectors = vectors
        self.variances = variances

    @classmethod
    def learned(cls, pieces: Sequence[Floats], lags: Lags) -> tuple[Lags, Floats, Floats, Floats]:
        total = sum(piece.shape[1] for piece in pieces)
        every = max(1, total // _FIT_SAMPLES)
        lagged = np.concatenate([_lagged(piece, lags, np.arange(0, piece.shape[1], every)) for piece in pieces], axis=1)
        lagged = np.clip(lagged, -_CLIP, _CLIP)
        mean = lagged.mean(axis=1)
        lagged -= mean[:, None]
        variances, vectors = np.linalg.eigh(lagged @ lagged.T / lagged.shape[1])
        variances, vectors = np.maximum(variances[::-1], 0), vectors[:, ::-1]
        share = np.cumsum(variances) / max(float(variances.sum()), _RIDGE)
        kept = min(int(np.searchsorted(share, _KEPT)) + 1, len(variances))
        return lags, mean, np.ascontiguousarray(vectors[:, :kept]), variances[:kept] + _RIDGE

    def contributions(self, piece: Floats) -> Contributions:
        parts = [self._of(piece, samples) for samples in _chunks(piece.shape[1])]
        together = [part.together for part in parts if part.together is not None]
        return Contributions(
            np.concatenate([part.of_channels for part in parts], axis=1), np.concatenate(together) if together else None
        )

    def _of(self, piece: Floats, samples: NDArray[np.int64]) -> Contributions:
        raise NotImplementedError

    def _centred(self, piece: Floats, samples: NDArray[np.int64]) -> Floats:
        return _lagged(piece, self.lags, samples) - self.mean[:, None]

    def _by_channel(self, lagged: Floats, channels: int) -> Floats:
        return lagged.reshape(self.lags.number, channels, -1)

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {
            "lags": np.array(self.lags, np.int64),
            "mean": self.mean,
            "vectors": self.vectors,
            "variances": self.variances,
        }


class Residual(Components):
    """Squared prediction error (SPE, Q): what the components do not explain; each channel's share is its own residual."""

    name: ClassVar[str] = "residual"

    @classmethod
    def fit(cls, pieces: Sequence[Floats], lags: Lags) -> Self:
        return cls(*cls.learned(pieces, lags))

    @classmethod
    def of_tensors(cls, saved: Mapping[str, NDArray[Any]], channels: int) -> Self:
        return cls(*_checked(saved, channels))

    def _of(self, piece: Floats, samples: NDArray[np.int64]) -> Contributions:
        centred = self._centred(piece, samples)
        left = self._by_channel(centred - self.vectors @ (self.vectors.T @ centred), len(piece))
        return Contributions(np.sqrt((left**2).mean(axis=0)))


class OwnResidual(Residual):
    """What the components do not explain of the judged sample alone, and not of those around it."""

    name: ClassVar[str] = "own_residual"

    def _of(self, piece: Floats, samples: NDArray[np.int64]) -> Contributions:
        centred = self._centred(piece, samples)
        left = self._by_channel(centred - self.vectors @ (self.vectors.T @ centred), len(piece))
        return Contributions(np.abs(left[self.lags.number // 2]))


class Hotelling(Components):
    """Hotelling's T2 within the components: explained, but further out than normal data go.

    A channel's share is the part of T2 = x' V diag(1 / variance) V' x that its own x brings in (Kourti & MacGregor 1996).
    """

    name: ClassVar[str] = "hotelling"

    @classmethod
    def fit(cls, pieces: Sequence[Floats], lags: Lags) -> "Hotelling":
        return cls(*cls.learned(pieces, lags))

    @classmethod
    def of_tensors(cls, saved: Mapping[str, NDArray[Any]], channels: int) -> "Hotelling":
        return cls(*_checked(saved, channels))

    def _of(self, piece: Floats, samples: NDArray[np.int64]) -> Contributions:
        centred = self._centred(piece, samples)
        scores = self.vectors.T @ centred
        weighted = scores / self.variances[:, None]
        shares = np.abs(self._by_channel(centred * (self.vectors @ weighted), len(piece))).sum(axis=0)
        return Contributions(np.sqrt(shares), np.sqrt((scores * weighted).mean(axis=0)))


def _checked(saved: Mapping[str, NDArray[Any]], channels: int) -> tuple[Lags, Floats, Floats, Floats]:
    """Raises `ValueError` where they do not fit together."""
    lags = Lags(*(int(value) for value in saved["lags"]))
    width, kept = lags.number * channels, len(saved["variances"])
    if lags.number < 1 or lags.step < 1 or saved["mean"].shape != (width,) or saved["vectors"].shape != (width, kept):
        raise ValueError(f"expected components of {lags.number} lags of {channels} channels")
    if kept < 1 or (saved["variances"] <= 0).any():
        raise ValueError("expected components with variances above 0")
    mean, vectors, variances = (saved[name].astype(np.float64) for name in ("mean", "vectors", "variances"))
    return lags, mean, vectors, variances


def _chunks(samples: int) -> list[NDArray[np.int64]]:
    return [np.arange(first, min(first + _CHUNK, samples)) for first in range(0, samples, _CHUNK)]


def _lagged(piece: Floats, lags: Lags, samples: NDArray[np.int64]) -> Floats:
    """(L C, N): the values around each of N samples; before the first and after the last, those are held."""
    offsets = (np.arange(lags.number) - lags.number // 2) * lags.step
    around = np.clip(samples + offsets[:, None], 0, piece.shape[1] - 1)
    return np.asarray(piece[:, around].transpose(1, 0, 2).reshape(-1, len(samples)))
