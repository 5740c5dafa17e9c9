"""Anomalies made on pictures of normal parts, for learning and for choosing without one real defect.

The kinds are those of DRAEM (Zavrtanik et al. 2021: Perlin noise with foreign textures), CutPaste (Li et al. 2021: patch
and scar) and NSA (Schlueter et al. 2022: patches of the same picture blended in), with changes that bring no foreign
texture: warp, blur, brightness, a missing part. They are made at the picture's native resolution, before any resizing,
and labelled by what visibly changed, not by where something was tried.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import color, draw

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_VISIBLE = 4.0
"""Difference of colour (CIE 1976 Delta E) from which a change counts as visible; 2.3 is one just noticeable step."""

_SMALLEST = 12
"""Pixels that must have changed."""

_ATTEMPTS = 12
_AREAS = (0.0008, 0.04)
"""Share of the picture that an anomaly covers, log-uniform."""


class Synthetic(NamedTuple):
    """A picture of a normal part with one anomaly made on it."""

    pixels: Pixels
    """(H, W, 3) RGB."""
    mask: Mask
    """(H, W), true where the picture visibly changed; never empty."""
    kind: str


class Canvas(NamedTuple):
    """What a kind of anomaly is made from."""

    pixels: Floats
    """(H, W, 3), 0 .. 255."""
    textures: Sequence[Pixels]
    """Pictures of other things, of any size; may be empty."""
    draw: np.random.Generator


def synthesize(
    pixels: Pixels,
    generator: np.random.Generator,
    textures: Sequence[Pixels] = (),
    kinds: Sequence[str] | None = None,
) -> Synthetic | None:
    """Make one anomaly of a random kind on (H, W, 3) RGB; `None` where no attempt changed the picture visibly."""
    chosen = tuple(KINDS if kinds is None else kinds)
    canvas = Canvas(pixels.astype(np.float64), textures, generator)
    for _ in range(_ATTEMPTS):
        kind = chosen[int(generator.integers(len(chosen)))]
        changed = np.rint(np.clip(KINDS[kind](canvas), 0, 255)).astype(np.uint8)
        mask = visible_change(pixels, changed)
        if mask.sum() >= _SMALLEST and mask.mean() < 0.5:
            return Synthetic(changed, mask, kind)
    return None


def visible_change(before: Pixels, after: Pixels) -> Mask:
    """(H, W), true where an eye would see a difference; holes and specks of a few pixels are closed or left out."""
    touched = (before != after).any(axis=2)
    mask = np.zeros(touched.shape, np.bool_)
    if not touched.any():
        return mask
    box = ndimage.find_objects(touched.astype(np.int8))[0]
    difference = np.linalg.norm(color.rgb2lab(before[box]) - color.rgb2lab(after[box]), axis=2)
    # A median over 5 x 5 as in NSA; thin scratches would not survive it, so strong changes count by themselves.
    seen = ndimage.median_filter(difference, 5) > _VISIBLE
    mask[box] = ndimage.binary_closing(seen | (difference > 3 * _VISIBLE), iterations=2) | seen
    return mask


def _foreign_texture(canvas: Canvas) -> Floats:
    """Perlin-shaped islands of another texture, partly see-through (DRAEM: opacity 0.2 .. 1)."""
    height, width = canvas.pixels.shape[:2]
    noise = perlin(height, width, canvas.draw)
    mask = _near(canvas, noise > np.quantile(noise, 1 - _area(canvas) * 3))
    return _mix(canvas.pixels, _texture(canvas, height, width), mask * canvas.draw.uniform(0.2, 1.0))


def _cut_paste(canvas: Canvas) -> Floats:
    """A rectangle of the same picture, with other brightness, somewhere else (CutPaste)."""
    return _pasted(canvas, *_sides(canvas, canvas.draw.uniform(0.3, 3.3)), soft=False)


def _scar(canvas: Canvas) -> Floats:
    """A long thin strip of the same picture, turned (CutPaste-Scar), or a scratch of one brightness."""
    height, width = canvas.pixels.shape[:2]
    length = canvas.draw.uniform(0.05, 0.4) * min(height, width)
    thickness = max(1.0, canvas.draw.uniform(0.003, 0.02) * min(height, width))
    angle = canvas.draw.uniform(0, np.pi)
    centre = canvas.draw.uniform((0, 0), (height, width))
    along = np.linspace(-length / 2, length / 2, max(2, int(length)))
    bend = canvas.draw.uniform(-0.2, 0.2) * length * (2 * along / length) ** 2
    rows = centre[0] + along * np.sin(angle) + bend * np.cos(angle)
    columns = centre[1] + along * np.cos(angle) - bend * np.sin(angle)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    line = np.ones((height, width))
    line[rows[inside].astype(int), columns[inside].astype(int)] = 0
    mask = np.clip(thickness / 2 + 0.5 - ndimage.distance_transform_edt(line), 0, 1) if inside.any() else 0 * line
    shift = canvas.draw.uniform(25, 110) * canvas.draw.choice((-1, 1))
    return _mix(canvas.pixels, canvas.pixels + shift, mask)


def _blended(canvas: Canvas) -> Floats:
    """A patch of the same picture blended into its new surroundings, so that only structure changes (NSA)."""
    return _pasted(canvas, *_sides(canvas, canvas.draw.uniform(0.4, 2.5)), soft=True)


def _warped(canvas: Canvas) -> Floats:
    """Material pushed aside: places inside a blob are taken from further off."""
    mask = ndimage.gaussian_filter(_blob(canvas, 2.0).astype(np.float64), 2)
    reach = canvas.draw.uniform(0.25, 0.7) * np.sqrt(mask.sum() + 1)
    angle = canvas.draw.uniform(0, 2 * np.pi)
    rows, columns = np.indices(mask.shape).astype(np.float64)
    source = [rows + mask * reach * np.sin(angle), columns + mask * reach * np.cos(angle)]
    channels = [ndimage.map_coordinates(canvas.pixels[..., c], source, order=1, mode="reflect") for c in range(3)]
    return np.stack(channels, axis=-1)


def _blurred(canvas: Canvas) -> Floats:
    """Lost sharpness: worn, smeared or covered."""
    mask = ndimage.gaussian_filter(_blob(canvas, 1.5).astype(np.float64), 1)
    sigma = canvas.draw.uniform(0.008, 0.03) * min(mask.shape) + 1
    return _mix(canvas.pixels, ndimage.gaussian_filter(canvas.pixels, (sigma, sigma, 0)), mask)


def _brighter(canvas: Canvas) -> Floats:
    """A stain, burn or glare: brightness and colour change, structure stays."""
    mask = ndimage.gaussian_filter(_blob(canvas, 1.0).astype(np.float64), canvas.draw.uniform(0.5, 3))
    tint = canvas.draw.uniform(15, 90) * canvas.draw.choice((-1, 1)) * canvas.draw.uniform(0.6, 1.0, 3)
    return _mix(canvas.pixels, canvas.pixels + tint, mask)


def _missing(canvas: Canvas) -> Floats:
    """A part that is not there: filled from what surrounds it."""
    mask = _blob(canvas, 2.0)
    ring = ndimage.binary_dilation(mask, iterations=4) & ~mask
    if not ring.any():
        return canvas.pixels
    return _mix(canvas.pixels, np.median(canvas.pixels[ring], axis=0), ndimage.gaussian_filter(mask * 1.0, 0.7))


KINDS: Mapping[str, Callable[[Canvas], Floats]] = {
    "foreign_texture": _foreign_texture,
    "cut_paste": _cut_paste,
    "scar": _scar,
    "blended": _blended,
    "warped": _warped,
    "blurred": _blurred,
    "brighter": _brighter,
    "missing": _missing,
}


def perlin(height: int, width: int, generator: np.random.Generator) -> Floats:
    """Gradient noise (Perlin 1985) with 2 .. 32 cells a side, drawn for each axis; (height, width) about -1 .. 1."""
    cells = 2 ** generator.integers(1, 6, 2)
    angles = generator.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))
    y = np.linspace(0, cells[0], height, endpoint=False)
    x = np.linspace(0, cells[1], width, endpoint=False)
    row, column = y.astype(int), x.astype(int)
    dy, dx = (y - row)[:, None], (x - column)[None, :]

    def corner(down: int, right: int) -> Floats:
        angle = angles[np.ix_(row + down, column + right)]
        along: Floats = np.sin(angle) * (dy - down) + np.cos(angle) * (dx - right)
        return along

    fade_y, fade_x = _fade(dy), _fade(dx)
    top = corner(0, 0) * (1 - fade_x) + corner(0, 1) * fade_x
    bottom = corner(1, 0) * (1 - fade_x) + corner(1, 1) * fade_x
    noise: Floats = np.sqrt(2) * (top * (1 - fade_y) + bottom * fade_y)
    return noise


def _fade(t: Floats) -> Floats:
    faded: Floats = t**3 * (t * (t * 6 - 15) + 10)
    return faded


def _area(canvas: Canvas) -> float:
    return float(np.exp(canvas.draw.uniform(*np.log(_AREAS))))


def _sides(canvas: Canvas, aspect: float) -> tuple[int, int]:
    """Height and width of a rectangle of a random area."""
    height, width = canvas.pixels.shape[:2]
    pixels = _area(canvas) * height * width
    tall = round(np.sqrt(pixels * aspect))
    wide = round(np.sqrt(pixels / aspect))
    return int(np.clip(tall, 3, height - 1)), int(np.clip(wide, 3, width - 1))


def _blob(canvas: Canvas, pull: float) -> Mask:
    """An ellipse with a ragged rim; `pull` > 0 draws it to where the picture has structure."""
    height, width = canvas.pixels.shape[:2]
    tall, wide = _sides(canvas, canvas.draw.uniform(0.4, 2.5))
    centre = _centre(canvas, pull)
    mask = np.zeros((height, width), np.bool_)
    mask[draw.ellipse(*centre, tall / 1.77, wide / 1.77, (height, width), canvas.draw.uniform(0, np.pi))] = True
    ragged = perlin(height, width, canvas.draw) > -0.35
    return mask & ragged if (mask & ragged).any() else mask


def _centre(canvas: Canvas, pull: float) -> tuple[float, float]:
    """A place drawn with probability (local contrast) ** pull, on a grid of 16 x 16 cells."""
    height, width = canvas.pixels.shape[:2]
    rows = np.linspace(0, height, 17).astype(int)
    columns = np.linspace(0, width, 17).astype(int)
    grey = canvas.pixels.mean(axis=2)
    cells = [
        (rows[i], columns[j], grey[rows[i] : rows[i + 1], columns[j] : columns[j + 1]])
        for i in range(16)
        for j in range(16)
    ]
    weights = np.array([(cell.std() + 1.0) ** pull if cell.size else 0.0 for _, _, cell in cells])
    y, x, cell = cells[int(canvas.draw.choice(len(cells), p=weights / weights.sum()))]
    return y + canvas.draw.uniform(0, cell.shape[0]), x + canvas.draw.uniform(0, cell.shape[1])


def _near(canvas: Canvas, mask: Mask) -> Mask:
    """The part of a scattered mask that lies around one random place, so that few islands remain."""
    height, width = mask.shape
    y, x = _centre(canvas, 0.0)
    radius = np.sqrt(_area(canvas) * 3) * min(height, width)
    rows, columns = np.ogrid[:height, :width]
    near: Mask = mask & ((rows - y) ** 2 + (columns - x) ** 2 < max(radius, 4) ** 2)
    return near


def _texture(canvas: Canvas, height: int, width: int) -> Floats:
    """(height, width, 3) of a foreign picture, or of made-up stripes and grains where there is none."""
    if canvas.textures and canvas.draw.random() < 0.7:
        picture = canvas.textures[int(canvas.draw.integers(len(canvas.textures)))].astype(np.float64)
        repeats = (-(-height // picture.shape[0]), -(-width // picture.shape[1]), 1)
        return np.roll(np.tile(picture, repeats), canvas.draw.integers(0, 512, 2), (0, 1))[:height, :width]
    colour = canvas.draw.uniform(0, 255, (2, 3))
    blend = np.clip(perlin(height, width, canvas.draw) + canvas.draw.normal(0, 0.3, (height, width)) + 0.5, 0, 1)
    grain: Floats = colour[0] * blend[..., None] + colour[1] * (1 - blend[..., None])
    return grain


def _pasted(canvas: Canvas, tall: int, wide: int, *, soft: bool) -> Floats:
    """A tall x wide rectangle of the picture put somewhere else; `soft` takes on the colour of its new place."""
    height, width = canvas.pixels.shape[:2]
    y0, x0 = (int(canvas.draw.integers(0, side)) for side in (height - tall + 1, width - wide + 1))
    y1, x1 = (int(canvas.draw.integers(0, side)) for side in (height - tall + 1, width - wide + 1))
    patch = canvas.pixels[y0 : y0 + tall, x0 : x0 + wide]
    patch = patch[:: canvas.draw.choice((-1, 1)), :: canvas.draw.choice((-1, 1))]
    target = canvas.pixels[y1 : y1 + tall, x1 : x1 + wide]
    opacity: Floats = np.ones((tall, wide))
    if soft:
        patch = patch + (target.mean(axis=(0, 1)) - patch.mean(axis=(0, 1)))
        rows, columns = np.ogrid[-1 : 1 : tall * 1j, -1 : 1 : wide * 1j]
        opacity = np.clip(2.5 * (1 - np.sqrt(rows**2 + columns**2)), 0, 1)
    else:
        patch = patch * canvas.draw.uniform(0.8, 1.2)
    result = canvas.pixels.copy()
    result[y1 : y1 + tall, x1 : x1 + wide] = _mix(target, patch, opacity)
    return result


def _mix(below: Floats, above: Any, opacity: Any) -> Floats:
    mixed: Floats = below + (above - below) * np.asarray(opacity, np.float64)[..., None]
    return mixed
