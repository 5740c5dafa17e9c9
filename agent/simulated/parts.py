"""For each modality a product, files of normal parts to learn from, and files of others to inspect."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from agent.simulated.bench_runs import DEFECTS as RUN_DEFECTS
from agent.simulated.bench_runs import write_run
from agent.simulated.brackets import DEFECTS as BRACKET_DEFECTS
from agent.simulated.brackets import write_bracket
from agent.simulated.conveyor import CONVEYOR_KINDS, write_conveyor
from agent.simulated.flanges import DEFECTS as FLANGE_DEFECTS
from agent.simulated.flanges import write_flange
from knowledge import Modality, NormalityRule, Product

SIMULATED: tuple[Modality, ...] = ("depth", "point_cloud", "time_series", "video")


class SimulatedParts(NamedTuple):
    product: Product
    good: list[Path]
    """To learn from."""
    inspected: list[tuple[Path, str]]
    """Never learned from, each with the truth: `normal` or what is wrong with it."""


def write_parts(modality: Modality, folder: Path) -> SimulatedParts:
    """Write the files of one modality; the same every time."""
    makers: dict[Modality, Callable[[Path], SimulatedParts]] = {
        "depth": _flanges,
        "point_cloud": _brackets,
        "time_series": _runs,
        "video": _conveyors,
    }
    return makers[modality](folder)


def _flanges(folder: Path) -> SimulatedParts:
    product = Product(
        name="flange",
        description="A round flange with a boss, scanned from above as a height map (simulated).",
        modality="depth",
        unit="mm",
        pixel_size=0.25,
        height_per_count=0.001,
    )
    return SimulatedParts(
        product,
        [write_flange(folder / "good" / f"{seed:02d}.png", seed) for seed in range(20)],
        _mixed(lambda name, seed, defect: write_flange(folder / f"{name}.png", seed, defect), FLANGE_DEFECTS),
    )


def _brackets(folder: Path) -> SimulatedParts:
    product = Product(
        name="bracket",
        description="A bracket with a boss, scanned as a point cloud in any pose within a few degrees (simulated).",
        modality="point_cloud",
        unit="mm",
        alpha=0.1,
    )
    return SimulatedParts(
        product,
        [write_bracket(folder / "good" / f"{seed:02d}.ply", seed) for seed in range(9)],
        _mixed(lambda name, seed, defect: write_bracket(folder / f"{name}.ply", seed, defect), BRACKET_DEFECTS),
    )


def _runs(folder: Path) -> SimulatedParts:
    product = Product(
        name="motor_run",
        description="An end-of-line run of a motor: speed up, hold, slow down, recorded by four sensors (simulated).",
        modality="time_series",
        rules=(NormalityRule(id="M-1", text="A run lasts at least 25 seconds.", check="part.duration >= 25.0"),),
    )
    return SimulatedParts(
        product,
        [write_run(folder / "good" / f"{seed:02d}.csv", seed) for seed in range(20)],
        _mixed(lambda name, seed, defect: write_run(folder / f"{name}.csv", seed, defect), RUN_DEFECTS),
    )


def _conveyors(folder: Path) -> SimulatedParts:
    product = Product(
        name="conveyor",
        description="Red, green and blue parts pass on a belt, in this order, filmed from above (simulated).",
        modality="video",
        alpha=0.1,
    )
    good = [write_conveyor(folder / "good", "normal", seed, seconds=30.0).path for seed in range(4)]
    inspected = [(write_conveyor(folder / "inspected", kind, 100, seconds=12.0).path, kind) for kind in CONVEYOR_KINDS]
    return SimulatedParts(product, good, [(path, kind.replace("_", " ")) for path, kind in inspected])


def _mixed(write: Callable[[str, int, str], Path], defects: tuple[str, ...]) -> list[tuple[Path, str]]:
    """Two normal parts, and one with each defect."""
    normal = [(write(f"normal_{seed}", seed, ""), "normal") for seed in (100, 101)]
    return normal + [(write(defect, 200 + number, defect), defect) for number, defect in enumerate(defects)]
