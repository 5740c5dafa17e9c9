"""Homes in which parts of other modalities were learned; shared by all tests of the agent, so only to be read."""

from pathlib import Path

import pytest

from agent import Inspector, Settings
from agent.simulated.bench_runs import write_run
from agent.simulated.flanges import write_flange
from knowledge import NormalityRule, Product

RUN = Product(
    name="run",
    description="A motor's end-of-line run, recorded by four sensors (simulated).",
    modality="time_series",
    alpha=0.15,
    rules=(NormalityRule(id="R-1", text="A run lasts at least 25 seconds.", check="part.duration >= 25.0"),),
)

FLANGE = Product(
    name="flange",
    description="A round flange, scanned from above as a height map (simulated).",
    modality="depth",
    unit="mm",
    pixel_size=0.25,
    height_per_count=0.001,
    alpha=0.1,
)


@pytest.fixture(scope="session")
def run_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which `run` has been learned from 10 recordings."""
    home = tmp_path_factory.mktemp("runs")
    Inspector(Settings(home=home)).enroll(RUN, [write_run(home / "files" / f"{seed}.csv", seed) for seed in range(10)])
    return home


@pytest.fixture(scope="session")
def flange_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which `flange` has been learned from 10 height maps."""
    home = tmp_path_factory.mktemp("flanges")
    files = [write_flange(home / "files" / f"{seed}.png", seed) for seed in range(10)]
    Inspector(Settings(home=home)).enroll(FLANGE, files)
    return home
