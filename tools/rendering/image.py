"""Image -> views: the whole picture, and crops of it."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import exposure

from tools.artifacts import ArtifactStore
from tools.assets import Asset
from tools.views import Affine, Box, RenderedView

MAX_VIEW_PIXELS = 4_000_000
"""Larger pictures are scaled down for the view; findings are mapped back to their own pixels."""

MIN_CROP_SIDE = 256


def render_image(asset: Asset, pixels: NDArray[np.uint8], store: ArtifactStore) -> tuple[RenderedView, ...]:
    """One view of the whole picture; `pixels` is (H, W, 3) RGB, upright."""
    height, width = pixels.shape[:2]
    shown = view_pixels(pixels)
    size = (shown.shape[1], shown.shape[0])
    view = RenderedView(
        id=f"{asset.id}.v1",
        asset_id=asset.id,
        kind="image",
        width=size[0],
        height=size[1],
        image=store.put_image(shown),
        to_source=(width / size[0], 0.0, 0.0, 0.0, height / size[1], 0.0),
        source_width=width,
        source_height=height,
    )
    return (view,)


def view_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture itself, or scaled down to `MAX_VIEW_PIXELS`."""
    height, width = pixels.shape[:2]
    scale = min(1.0, (MAX_VIEW_PIXELS / (width * height)) ** 0.5)
    if scale == 1.0:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def render_crop(
    view: RenderedView, box: Box, name: str, store: ArtifactStore, *, enhance: bool = False
) -> RenderedView:
    """A box of a view, enlarged to at least `MIN_CROP_SIDE`; `enhance` stretches its local contrast (CLAHE)."""
    if box.x1 > view.width or box.y1 > view.height:
        raise ValueError(f"expected a box inside {view.width} x {view.height} pixels, got {box.as_list()}")
    pixels = store.get_image(view.image)[box.slices]
    factor = max(1, -(-MIN_CROP_SIDE // max(box.width, box.height)))
    enlarged = np.asarray(
        Image.fromarray(pixels).resize((box.width * factor, box.height * factor), Image.Resampling.BICUBIC)
    )
    if enhance and enlarged.min() < enlarged.max():
        enlarged = np.rint(exposure.equalize_adapthist(enlarged, clip_limit=0.02) * 255).astype(np.uint8)
    return RenderedView(
        id=name,
        asset_id=view.asset_id,
        kind="crop",
        width=box.width * factor,
        height=box.height * factor,
        image=store.put_image(enlarged),
        to_source=_crop_to_source(view.to_source, box, factor),
        source_width=view.source_width,
        source_height=view.source_height,
    )


def _crop_to_source(to_source: Affine, box: Box, factor: int) -> Affine:
    a, b, c, d, e, f = to_source
    return (
        *(a / factor, b / factor, a * box.x0 + b * box.y0 + c),
        *(d / factor, e / factor, d * box.x0 + e * box.y0 + f),
    )
