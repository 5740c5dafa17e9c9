"""What each modality besides pictures brings along: how its files are known, read, rendered, learned and measured."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from knowledge import Modality, Product, ToolFailure
from tools.assets import Limits
from tools.fitted import Fitted
from tools.measuring import Measurement
from tools.native import NativeLocalizer, Rendering, Values

NATIVE_MODALITIES: tuple[Modality, ...] = ("video", "point_cloud", "time_series", "depth")
"""In the order in which a file is asked what it is: what is told apart most surely comes first."""

T = TypeVar("T")

Members = NDArray[np.int64]


@dataclass(frozen=True)
class Kit:
    """The functions of one modality; an asset's own data is of a class that only they know."""

    modality: Modality
    fits: Callable[[bytes, str], bool]
    """Whether a file with this content and name could be one of these; cheap, and never decodes it."""
    read: Callable[[bytes, str, Product, Limits], Any]
    """Raises `AssetError`."""
    render: Callable[[Any, NativeLocalizer | None], tuple[Rendering, ...]]
    """Main view first; turned as its references are where a localiser is given."""
    render_closer: Callable[[Any, Values, Members, Any, NativeLocalizer], tuple[Rendering, ...]]
    """`enlarged`, and `reference` where one is given: the same place on it."""
    fit: Callable[..., NativeLocalizer]
    """Of parts, held-out parts, a seed and a progress to tell."""
    of_fitted: Callable[[Fitted], NativeLocalizer]
    measure_part: Callable[[Any], tuple[Measurement, ...]]
    instant: Callable[[Any], float]
    """Seconds between two samples or frames; 0 where there is no time."""


@functools.cache
def kit_of(modality: Modality) -> Kit:
    """The kit of a modality other than `image`; its libraries are loaded now."""
    return {"depth": _depth, "point_cloud": _point_cloud, "time_series": _time_series, "video": _video}[modality]()


def _depth() -> Kit:
    from tools.geometry.height_fitting import fit_height_map
    from tools.geometry.height_localizer import HeightLocalizer
    from tools.geometry.height_map import looks_like_height_map, measure_part, read_height_map
    from tools.rendering.depth import render_closer, render_depth, style_of

    def read(content: bytes, name: str, product: Product, limits: Limits) -> Any:
        return read_height_map(
            content,
            name,
            per_count=product.height_per_count,
            pixel_size=product.pixel_size,
            unit=product.unit,
            limits=limits,
        )

    def render(native: Any, localizer: Any) -> tuple[Rendering, ...]:
        if localizer is None:
            return render_depth(native)
        style = style_of(localizer.reference_map)
        return render_depth(native, _if_possible(lambda: localizer.residual(native)), style=style)

    def closer(native: Any, values: Values, members: Members, reference: Any, localizer: Any) -> tuple[Rendering, ...]:
        style = style_of(localizer.reference_map)
        return render_closer(native, values, members, reference, style=style)

    return Kit(
        "depth",
        looks_like_height_map,
        read,
        render,
        closer,
        fit_height_map,
        HeightLocalizer.of_fitted,
        measure_part,
        _timeless,
    )


def _point_cloud() -> Kit:
    from tools.geometry.point_cloud import looks_like_point_cloud, measure_part, read_point_cloud
    from tools.geometry.point_cloud_localizer import PointCloudLocalizer, fit_point_clouds
    from tools.geometry.supporting_plane import without_plane
    from tools.rendering.point_cloud import render_closer, render_point_cloud

    def read(content: bytes, name: str, product: Product, limits: Limits) -> Any:
        cloud = read_point_cloud(content, name, unit=product.unit, limits=limits)
        return without_plane(cloud, name) if product.on_plane else cloud

    def render(native: Any, localizer: Any) -> tuple[Rendering, ...]:
        return render_point_cloud(
            native, _if_possible(lambda: localizer.pose(native)) if localizer is not None else None
        )

    def closer(native: Any, values: Values, members: Members, reference: Any, localizer: Any) -> tuple[Rendering, ...]:
        # The same place is only there on a reference that lies as this part does.
        lying_alike = None if reference is None else localizer.beside(native, reference)
        return render_closer(native, values, members, lying_alike)

    return Kit(
        "point_cloud",
        looks_like_point_cloud,
        read,
        render,
        closer,
        fit_point_clouds,
        PointCloudLocalizer.of_fitted,
        measure_part,
        _timeless,
    )


def _time_series() -> Kit:
    from tools.rendering.time_series import render_closer, render_recording
    from tools.signals import RecordingLocalizer, fit_recording, looks_like_recording, measure_part, read_recording

    def read(content: bytes, name: str, product: Product, limits: Limits) -> Any:
        return read_recording(content, name, rate=product.sample_rate, ignore=product.ignored_columns)

    def render(native: Any, localizer: Any) -> tuple[Rendering, ...]:
        return render_recording(native)

    def closer(native: Any, values: Values, members: Members, reference: Any, localizer: Any) -> tuple[Rendering, ...]:
        return render_closer(native, values, members, reference)

    return Kit(
        "time_series",
        looks_like_recording,
        read,
        render,
        closer,
        fit_recording,
        RecordingLocalizer.of_fitted,
        measure_part,
        lambda native: float(native.step) if native.timed else 0.0,
    )


def _video() -> Kit:
    from tools.decoding.frames import is_packed
    from tools.motion import VideoLocalizer, fit_video, looks_like_video, measure_part, read_frames, read_video
    from tools.rendering.video import render_closer, render_video

    def read(content: bytes, name: str, product: Product, limits: Limits) -> Any:
        if is_packed(content):
            return read_frames(content, name, rate=product.sample_rate, limits=limits)
        return read_video(content, name)

    def render(native: Any, localizer: Any) -> tuple[Rendering, ...]:
        if localizer is None:
            return render_video(native)
        return render_video(localizer.fitted_to(native), localizer.eye.grid)

    def closer(native: Any, values: Values, members: Members, reference: Any, localizer: Any) -> tuple[Rendering, ...]:
        return render_closer(localizer.fitted_to(native), values, members, reference)

    return Kit(
        "video",
        looks_like_video,
        read,
        render,
        closer,
        fit_video,
        VideoLocalizer.of_fitted,
        measure_part,
        lambda native: float(native.step),
    )


def _if_possible(find: Callable[[], T]) -> T | None:
    """What a localiser knows of an asset; one that it cannot judge is still shown."""
    try:
        return find()
    except ToolFailure:
        return None


def _timeless(native: Any) -> float:
    return 0.0
