"""Simulated scans of a bracket: points drawn from its surfaces, with noise, in a pose of its own."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from knowledge import write_atomically

Points = NDArray[np.float64]

DEFECTS = ("bump", "missing corner")

COUNT = 5000
BUMP_AT = (-18.0, 6.0)
"""x, y on the plate's upper side, millimetres in the bracket's own frame."""
BUMP_HEIGHT = 1.2
CORNER_AT = (30.0, -20.0)


def write_bracket(path: Path, seed: int, defect: str = "") -> Path:
    """A binary little-endian PLY in millimetres."""
    points = draw_bracket(seed, defect).astype("<f4")
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n" + "".join(
        f"property float {axis}\n" for axis in "xyz"
    )
    write_atomically(path, f"{header}end_header\n".encode() + points.tobytes())
    return path


def draw_bracket(seed: int, defect: str = "") -> Points:
    """(N, 3): a plate of 60 x 40 x 6 with a boss of radius 10 and height 12 on it, turned by up to five degrees."""
    random = np.random.default_rng([seed, DEFECTS.index(defect) + 1 if defect else 0])
    points = _surface(random)
    if defect == "bump":
        near = np.hypot(points[:, 0] - BUMP_AT[0], points[:, 1] - BUMP_AT[1])
        points[:, 2] += np.where(points[:, 2] > 5.9, BUMP_HEIGHT * np.exp(-(near**2) / (2 * 2.5**2)), 0)
    if defect == "missing corner":
        points = points[np.hypot(points[:, 0] - CORNER_AT[0], points[:, 1] - CORNER_AT[1]) > 7]
    points = points + random.normal(0, 0.06, points.shape)
    return points @ _turn(random.uniform(-5, 5, 3)).T + random.uniform(-2, 2, 3)


def _surface(random: np.random.Generator) -> Points:
    """Points drawn evenly over all faces."""
    length, width, height, radius, top = 60.0, 40.0, 6.0, 10.0, 18.0
    faces = {
        "over": length * width,
        "under": length * width,
        "front": length * height,
        "back": length * height,
        "left": width * height,
        "right": width * height,
        "boss": 2 * np.pi * radius * (top - height),
        "lid": np.pi * radius**2,
    }
    shares = np.array(list(faces.values())) / sum(faces.values())
    counts = dict(zip(faces, random.multinomial(COUNT, shares), strict=True))

    def within(n: int, half: float) -> NDArray[np.float64]:
        return random.uniform(-half, half, n)

    def side(n: int, axis: int, at: float) -> Points:
        face = np.stack([within(n, length / 2), within(n, width / 2), within(n, height / 2) + height / 2], axis=1)
        face[:, axis] = at
        return face

    over = side(counts["over"], 2, height)
    over = over[np.hypot(over[:, 0], over[:, 1]) > radius]
    turn = within(counts["boss"], np.pi)
    up = random.uniform(height, top, counts["boss"])
    boss = np.stack([radius * np.cos(turn), radius * np.sin(turn), up], axis=1)
    around, out = within(counts["lid"], np.pi), radius * np.sqrt(random.uniform(0, 1, counts["lid"]))
    lid = np.stack([out * np.cos(around), out * np.sin(around), np.full(len(out), top)], axis=1)
    sides = [side(counts["under"], 2, 0.0), side(counts["front"], 1, -width / 2), side(counts["back"], 1, width / 2)]
    sides += [side(counts["left"], 0, -length / 2), side(counts["right"], 0, length / 2)]
    return np.concatenate([over, *sides, boss, lid])


def _turn(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c = np.radians(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    turned: NDArray[np.float64] = about_z @ about_y @ about_x
    return turned
