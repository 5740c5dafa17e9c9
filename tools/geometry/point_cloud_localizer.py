"""Where a point cloud or mesh is unlike the normal parts of its product, and how surely."""

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from knowledge import FittedPartError, ToolFailure
from tools.fitted import Fitted
from tools.geometry.departures import CHANNELS, Normality, evidence_of, holes, joined
from tools.geometry.places import cores
from tools.geometry.point_cloud import PointCloud, Points, cubed, spacing, spacing_of, squared, tree_of
from tools.geometry.reference_surface import FAILED, Surface, learn_surface, points_a_part, thinned
from tools.geometry.registration import (
    Pose,
    Registration,
    inverse,
    main_axes,
    moved,
    register,
    standing,
    target_of,
)
from tools.geometry.surface import depart
from tools.localization.calibration import ConformalCalibration
from tools.measuring import Measurement
from tools.native import NativeLocalization, Place

FORMAT = 1

_OTHER_SIZE = 2.0
"""Parts so many times larger or smaller are not compared: neighbourhoods would mean something else."""

_SIZE_MARGIN = 0.12
"""By which a part of the product may be larger or smaller than the references."""

_THINNER = 1.5
"""Points that lie so many times as far apart as the references' say too little."""

_DENSER = 0.85
"""Below so many times the references' spacing a part is thinned to theirs."""

_UNITS = {1000.0: ("millimetres", "metres"), 25.4: ("millimetres", "inches"), 10.0: ("millimetres", "centimetres")}
"""A part so many times too large is perhaps in the first, where the references are in the second."""

_UNIT_MARGIN = 0.15
_HALF_HIDDEN = 0.75
"""Of the usual fitness is the least of a part that lies where it belongs; a quarter of it may be missing."""


class Typical(NamedTuple):
    """What normal parts are like as a whole."""

    radius: float
    """That holds 99.5 % of the points, from the middle of the box along the main axes."""
    unit: str | None
    distance: float
    fitness: float
    parts: int
    left_out: int
    seed: int


class _Hole(NamedTuple):
    """Where the reference goes on and the part does not."""

    rim: NDArray[np.int64]
    """Points of the part around it."""
    area: float


class _Seen(NamedTuple):
    """A part compared with the reference."""

    registration: Registration
    offsets: NDArray[np.float64]
    """(N,) signed distance of each of its points from the surface, less what is usual there."""
    holes: tuple["_Hole", ...]
    """That are larger than chance."""
    values: NDArray[np.float32]
    density: float


def fit_point_clouds(
    parts: Sequence[Callable[[], PointCloud]],
    held_out: Sequence[Callable[[], PointCloud]] = (),
    *,
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> "PointCloudLocalizer":
    """Learn from normal parts, each lying in any pose.

    With `held_out`, scores are calibrated on those. Without, each part is judged by the others in turn (of more than
    20 parts a fifth at a time). A lone part gives a surface, and no score to calibrate on.
    Raises `FittedPartError` where the parts do not fit together.
    """
    if not parts:
        raise FittedPartError("there are no normal parts to learn from; give at least one point cloud")
    clouds, radii, units = [], [], []
    for done, part in enumerate(parts):
        progress("reading references", done, len(parts))
        cloud = part()
        clouds.append(cloud.points[thinned(cloud.points, points_a_part(len(parts)), seed)])
        radii.append(_radius(cloud.points))
        units.append(cloud.unit)
    _check_alike(radii, units)
    surface = learn_surface(clouds, seed, progress)
    localizer = PointCloudLocalizer(
        surface,
        Typical(
            float(np.median(radii)), units[0], surface.distance, surface.fitness, len(parts), surface.left_out, seed
        ),
        ConformalCalibration(surface.scores, "cross"),
    )
    if not held_out:
        return localizer
    scores = []
    for done, part in enumerate(held_out):
        progress("calibrating", done, len(held_out))
        scores.append(localizer.localize(part()).score)
    return PointCloudLocalizer(surface, localizer.typical, ConformalCalibration(scores, "split"))


def _radius(points: Points) -> float:
    return float(1 / np.linalg.norm(standing(points)[0, :3]))


def _check_alike(radii: Sequence[float], units: Sequence[str | None]) -> None:
    usual = float(np.median(radii))
    for index, (radius, unit) in enumerate(zip(radii, units, strict=True)):
        if not 1 / _OTHER_SIZE < radius / usual < _OTHER_SIZE:
            raise FittedPartError(
                f"normal part {index + 1} is {_times(radius / usual)} most others; give parts of one kind in one unit"
            )
        if unit != units[0]:
            raise FittedPartError(f"normal parts are in {unit} and in {units[0]}; give them in one unit")


def _times(ratio: float) -> str:
    return f"{ratio:.3g} times as large as" if ratio > 1 else f"{1 / ratio:.3g} times smaller than"


class PointCloudLocalizer:
    """The reference surface of a product; values are in deviations that a normal part's points show."""

    def __init__(self, surface: Surface, typical: Typical, calibration: ConformalCalibration) -> None:
        self.calibration = calibration
        self.typical = typical
        self._surface = surface
        self._seen: weakref.WeakKeyDictionary[PointCloud, _Seen] = weakref.WeakKeyDictionary()

    def localize(self, native: PointCloud) -> NativeLocalization:
        """One value for each point; raises `ToolFailure` for a part of quite another size."""
        seen = self._compare(native)
        return NativeLocalization(seen.values, float(seen.values.max()), self._unlike(native, seen))

    def pose(self, native: PointCloud) -> Pose:
        """(4, 4) similarity for `render_point_cloud`: to a frame in which every part of the product stands alike."""
        scaled = np.eye(4)
        scaled[:3, :3] /= self.typical.radius
        return np.asarray(scaled @ self._compare(native).registration.pose)

    def beside(self, native: PointCloud, reference: PointCloud) -> PointCloud:
        """The points of a reference, brought to where this part lies in its file: for views beside each other."""
        pose = inverse(self._compare(native).registration.pose) @ self._compare(reference).registration.pose
        points = moved(reference.points, pose)
        return PointCloud(
            points, np.arange(len(points)), native.unit, ("a normal reference, registered",), "reference", len(points)
        )

    def places(self, native: PointCloud, values: NDArray[np.float32], threshold: float) -> Sequence[Place]:
        """Points over threshold that hang together, cut back to half their peak; the highest peak first."""
        reach = 3 * spacing_of(native)
        rims = [hole.rim for hole in self._compare(native).holes]
        return [
            Place(float(values[members].max()), members, self._native(native, members))
            for members in cores(native.points, tree_of(native), values, threshold, reach, rims)
        ]

    def _native(self, cloud: PointCloud, members: NDArray[np.int64]) -> dict[str, Any]:
        at = cloud.points[members]
        found: dict[str, Any] = {
            "points": len(members),
            "centroid": [float(each) for each in at.mean(0)],
            "extent": [float(each) for each in np.ptp(at, axis=0)],
            "unit": cloud.unit_name,
            "frame": "coordinates of the file",
            "first_point": int(cloud.kept[members[0]]),
        }
        if cloud.face is not None:
            found["faces"] = sorted({int(each) for each in cloud.face[members]})[:50]
        return found

    def measure(
        self, native: PointCloud, values: NDArray[np.float32], members: NDArray[np.int64]
    ) -> tuple[Measurement, ...]:
        """`depth` is the largest departure from the reference surface: a bump's is positive, a dent's negative.

        `volume` is what is too much, or too little where negative; `missing_area` the whole of the holes that it lies at.
        """
        seen = self._compare(native)
        holes_here = [hole for hole in seen.holes if np.isin(hole.rim, members).any()]
        unit = native.unit_name
        share = spacing_of(native) ** 2
        offsets, at = seen.offsets[members], native.points[members]
        extent = np.ptp(moved(at, main_axes(at)), axis=0) if len(at) > 3 else np.ptp(at, axis=0)
        found = [
            ("depth", float(offsets[np.abs(offsets).argmax()]), unit),
            ("area", share * len(members), squared(unit)),
            ("volume", share * float(offsets.sum()), cubed(unit)),
            ("missing_area", sum(hole.area for hole in holes_here), squared(unit)),
            ("extent", float(extent.max()), unit),
            ("points", float(len(members)), "1"),
            *((f"centroid_{axis}", float(each), unit) for axis, each in zip("xyz", at.mean(0), strict=True)),
        ]
        return tuple(Measurement(name=name, value=value, unit=of) for name, value, of in found)

    def _compare(self, cloud: PointCloud) -> _Seen:
        if cloud not in self._seen:
            self._seen[cloud] = self._compared(cloud)
        return self._seen[cloud]

    def _compared(self, cloud: PointCloud) -> _Seen:
        self._check_size(cloud)
        target, known = self._surface.target, self._surface.known
        finer = spacing_of(cloud) / target.spacing
        # a part is looked at as densely as the references were: neighbourhoods and chance then mean the same
        count = len(cloud.points) if finer > _DENSER else max(int(len(cloud.points) * finer**2), 1000)
        chosen = thinned(cloud.points, count, self.typical.seed)
        enough = 1.3 * self.typical.distance
        registration = register(cloud.points[chosen], target, enough=enough, seed=self.typical.seed)
        points = moved(cloud.points[chosen], registration.pose)
        departure = depart(points, target)
        density = spacing(points) / target.spacing
        evidence = evidence_of(departure, target, known, density) / self._surface.usual[departure.anchors]
        everyone = _nearest(cloud.points, chosen)
        hole = holes(departure.gaps / (known.gap_scale * density), target)
        share = spacing(target.points) ** 2
        return _Seen(
            registration,
            (departure.offsets - known.offset[departure.anchors])[everyone],
            _around(hole, departure.rims, chosen, share),
            joined(evidence, self._surface.levels)[everyone],
            spacing_of(cloud) / target.spacing,
        )

    def _check_size(self, cloud: PointCloud) -> None:
        ratio = _radius(cloud.points) / self.typical.radius
        if 1 / _OTHER_SIZE < ratio < _OTHER_SIZE:
            return
        raise ToolFailure(
            f"the part is {_times(ratio)} the normal ones, too different to be compared{_unit_hint(ratio)}; "
            "give it in the references' unit"
        )

    def _unlike(self, cloud: PointCloud, seen: _Seen) -> tuple[str, ...]:
        typical, registration = self.typical, seen.registration
        ratio = _radius(cloud.points) / typical.radius
        found = []
        if registration.distance > FAILED * typical.distance or registration.fitness < _HALF_HIDDEN * typical.fitness:
            found.append(
                "the part could not be brought to the references: "
                f"only {registration.fitness:.0%} of one lies on the other, where normal parts reach {typical.fitness:.0%}"
            )
        if abs(ratio - 1) > _SIZE_MARGIN:
            found.append(f"the part is {ratio:.2f} times as large as the normal ones")
        if seen.density > _THINNER:
            found.append(f"the points lie {seen.density:.1f} times as far apart as those of the normal parts")
        if cloud.unit and typical.unit and cloud.unit != typical.unit:
            found.append(f"the part is said to be in {cloud.unit}, and the normal parts were in {typical.unit}")
        return tuple(found)

    def tensors(self) -> dict[str, NDArray[Any]]:
        surface = self._surface
        return {
            "points": surface.target.points.astype(np.float32),
            "normals": surface.target.normals.astype(np.float32),
            "part": surface.part,
            "known": np.stack(surface.known, axis=1).astype(np.float32),
            "usual": surface.usual.astype(np.float32),
            "levels": surface.levels.astype(np.float64),
            "calibration": self.calibration.scores.astype(np.float64),
        }

    def about(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "scheme": self.calibration.scheme,
            "spacing": self._surface.target.spacing,
            "channels": list(CHANNELS),
            **self.typical._asdict(),
        }

    @classmethod
    def of_fitted(cls, fitted: Fitted) -> "PointCloudLocalizer":
        """Raises `FittedPartError` where the tensors are not such as `tensors` gives."""
        try:
            return cls._of(fitted)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FittedPartError(
                f"what was learned of point clouds cannot be used ({error}); enroll the product again"
            ) from error

    @classmethod
    def _of(cls, fitted: Fitted) -> "PointCloudLocalizer":
        about, tensors = fitted.about, fitted.tensors
        if about["format"] != FORMAT or about["channels"] != list(CHANNELS):
            raise ValueError("another version's format")
        count = len(tensors["points"])
        for name, columns in (
            ("points", 3),
            ("normals", 3),
            ("known", len(Normality._fields)),
            ("usual", len(CHANNELS)),
        ):
            _check(tensors[name], (count, columns), name)
        _check(tensors["levels"], (len(CHANNELS),), "levels")
        _check(tensors["calibration"], (len(tensors["calibration"]),), "calibration")
        part = tensors["part"]
        if part.shape != (count,) or part.dtype != np.int32 or count < 2 * 10 or not (part == 0).any():
            raise ValueError(f"expected the part of each of {count} points")
        typical = Typical(
            _positive(about["radius"]),
            None if about["unit"] is None else str(about["unit"]),
            _positive(about["distance"]),
            _positive(about["fitness"]),
            int(about["parts"]),
            int(about["left_out"]),
            int(about["seed"]),
        )
        known = Normality(*np.ascontiguousarray(tensors["known"].T, dtype=np.float64))
        scales = np.concatenate(
            [known.offset_scale, known.turn_scale, known.gap_scale, tensors["levels"], tensors["usual"].ravel()]
        )
        if scales.min() <= 0:
            raise ValueError("expected scales above 0")
        if about["scheme"] not in ("split", "cross"):
            raise ValueError(f"expected a scheme of calibration, got {about['scheme']!r}")
        target = target_of(
            tensors["points"].astype(np.float64), tensors["normals"].astype(np.float64), _positive(about["spacing"])
        )
        surface = Surface(
            target,
            part,
            known,
            tensors["usual"].astype(np.float64),
            tensors["levels"].astype(np.float64),
            (),
            typical.distance,
            typical.fitness,
            typical.left_out,
        )
        return cls(surface, typical, ConformalCalibration(tensors["calibration"].tolist(), about["scheme"]))


def _nearest(points: Points, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) for each point the position of the nearest one that was chosen."""
    if len(chosen) == len(points):
        return chosen
    return np.asarray(cKDTree(points[chosen]).query(points)[1], np.int64)


def _around(
    hole: NDArray[np.int64], rims: NDArray[np.int64], chosen: NDArray[np.int64], share: float
) -> tuple[_Hole, ...]:
    """The holes; a point of the reference stands for the area `share`."""
    inside = [hole == number for number in np.unique(hole[hole >= 0])]
    return tuple(_Hole(chosen[np.unique(rims[each])], share * int(each.sum())) for each in inside)


def _check(tensor: NDArray[Any], shape: tuple[int, ...], name: str) -> None:
    if tensor.shape != shape or tensor.dtype.kind != "f" or not np.isfinite(tensor).all():
        raise ValueError(f"expected finite {name} of shape {shape}, got {tensor.dtype} {tensor.shape}")


def _positive(value: Any) -> float:
    number = float(value)
    if not 0 < number < np.inf:
        raise ValueError(f"expected a number above 0, got {value!r}")
    return number


def _unit_hint(ratio: float) -> str:
    for factor, (fine, coarse) in _UNITS.items():
        if abs(ratio / factor - 1) < _UNIT_MARGIN:
            return f", perhaps in {fine} where the references are in {coarse}"
        if abs(ratio * factor - 1) < _UNIT_MARGIN:
            return f", perhaps in {coarse} where the references are in {fine}"
    return ""
