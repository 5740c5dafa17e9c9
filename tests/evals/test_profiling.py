"""Costs by a clock that only moves when a stage says so, and memory of this very process."""

import json
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from evals import profiling
from evals.benchmark import run_benchmark
from evals.datasets import LabelledImage
from evals.detection import Judged
from evals.profiling import STAGES, enrol, kept_mb, localizing_cost, resident_mb
from evals.simulated import write_plate, write_plates
from evals.tables import profile_table, tables_of
from tools import LocalizerSettings, Part
from tools.localization.normal import Normal

MS = dict(zip(STAGES, (2, 30, 1, 6, 3), strict=True))


class Clock:
    """Seconds that pass when somebody works."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, milliseconds: float) -> None:
        self.now += milliseconds / 1000


class Backbone:
    multiple = 8

    def __init__(self, clock: Clock, forward: float = MS["forward"]) -> None:
        self.clock = clock
        self.forward_ms = forward
        self.passes = 0

    def preprocess(self, pixels: np.ndarray, area: int) -> torch.Tensor:
        self.clock.work(MS["preprocess"])
        return torch.zeros(3, 8, 8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.clock.work(self.forward_ms)
        self.passes += 1
        return images


class Memory:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def nearest(self, patches: torch.Tensor) -> torch.Tensor:
        self.clock.work(MS["memory"])
        return patches


class Localizer:
    """Works as ours does, at as many looks; every second picture takes it long to come to a map."""

    def __init__(self, clock: Clock, looks: int = 1) -> None:
        self.clock = clock
        self.areas = (64,) * looks
        self.backbone = Backbone(clock)
        self.normal = Normal(cast(Any, tuple(Memory(clock) for _ in self.areas)))
        self.slow: Iterator[int] = iter([0, 100] * 100)

    def localize(self, pixels: np.ndarray) -> None:
        for area, memory in zip(self.areas, self.normal.memories, strict=True):
            features = self.backbone.forward(self.backbone.preprocess(pixels, area)[None])
            self.clock.work(MS["patches"])
            memory.nearest(features)
        self.clock.work(MS["map"] + next(self.slow))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(profiling, "perf_counter", clock)
    return clock


@pytest.fixture
def images(tmp_path: Path) -> list[LabelledImage]:
    return [LabelledImage(path, anomalous=False) for path in write_plates(tmp_path / "plates", 5)]


def test_each_stage_has_its_time_and_a_slow_picture_does_not_move_a_median(clock, images) -> None:
    cost = localizing_cost(Localizer(clock), Backbone(clock, 40), images)
    assert cost["profile"] == pytest.approx({f"{stage}_ms": MS[stage] for stage in STAGES})
    assert cost["seconds_per_image"] == pytest.approx(0.042)
    assert cost["forward_ratio"] == pytest.approx(42 / 40)
    assert cost["own_forward_ratio"] == pytest.approx(42 / 30)


def test_a_localiser_that_looks_twice_is_measured_against_two_forward_passes(clock, images) -> None:
    cost = localizing_cost(Localizer(clock, looks=2), Backbone(clock, 40), images)
    assert cost["profile"]["forward_ms"] == pytest.approx(60)
    assert cost["profile"]["memory_ms"] == pytest.approx(12)
    assert cost["forward_ratio"] == pytest.approx((2 * 39 + 3) / 80)
    assert cost["own_forward_ratio"] == pytest.approx((2 * 39 + 3) / 60)


def test_stages_add_up_to_the_whole_where_a_localiser_has_no_such_stage(clock, images) -> None:
    localizer = Localizer(clock)
    localizer.localize = lambda pixels: clock.work(7)
    cost = localizing_cost(localizer, Backbone(clock), images)
    assert cost["own_forward_ratio"] is None
    assert cost["profile"] == pytest.approx({**dict.fromkeys((f"{stage}_ms" for stage in STAGES), 0), "map_ms": 7})


def test_observing_leaves_the_localiser_as_it_was(clock, images) -> None:
    localizer = Localizer(clock)
    backbone, normal = localizer.backbone, localizer.normal
    built = Backbone(clock)
    localizing_cost(localizer, built, images[:1])
    assert localizer.backbone is backbone
    assert localizer.normal is normal
    assert (backbone.passes, built.passes) == (2, 2), "each once to warm it up"


def test_enrolment_is_counted_in_forward_passes_of_its_pictures(clock, monkeypatch: pytest.MonkeyPatch) -> None:
    localizer = Localizer(clock)

    def learn(memory, held_out, settings):
        clock.work(360)
        return localizer

    built = Backbone(clock)

    def load(name, weights, as_built=False):
        clock.work(5000)
        return built if as_built else localizer.backbone

    monkeypatch.setattr(profiling, "fit_localizer", learn)
    monkeypatch.setattr(profiling, "load_backbone", load)
    parts = [Part("", lambda: np.zeros((8, 8, 3), np.uint8))] * 4
    enrolment = enrol(parts[:3], parts[3:], LocalizerSettings())
    assert enrolment.localizer is localizer
    assert (localizer.backbone.passes, built.passes) == (0, 5), "once to warm it up"
    assert enrolment.seconds == pytest.approx(0.36)
    assert enrolment.ratio == pytest.approx(360 / (4 * 30))


def test_memory_of_this_process_is_seen_to_grow() -> None:
    before = resident_mb()
    if before is None:
        pytest.skip("this system does not say how much memory a process has")
    # Pages of its own: an array could be laid into memory that earlier tests have given back.
    with mmap.mmap(-1, 60_000_000) as held:
        for page in range(0, 60_000_000, mmap.PAGESIZE):
            held[page] = 1
        assert resident_mb() - before == pytest.approx(60, abs=15)
    assert before > 50


def test_where_the_system_does_not_say_memory_is_not_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(profiling, "_STATM", tmp_path / "statm")
    assert resident_mb() is None


def test_maps_and_masks_that_are_kept_are_counted() -> None:
    image, found = LabelledImage(Path(), anomalous=False), np.zeros((500, 500), np.float32)
    judged = [Judged(image, 0.0, found, np.zeros((500, 500), np.bool_), 0.0), Judged(image, 0.0, found, None, 0.0)]
    assert kept_mb(judged) == pytest.approx(2.25)


def test_the_benchmark_has_a_profile_of_each_set_and_a_table_of_them(tmp_path: Path) -> None:
    write_plates(tmp_path / "plates" / "train" / "good", 4)
    write_plates(tmp_path / "plates" / "test" / "good", 3, first_seed=100)
    write_plate(tmp_path / "plates" / "test" / "scratch" / "a.png", 200, "scratch")
    result = run_benchmark(
        str(tmp_path), [], LocalizerSettings(areas=(96 * 128, 64 * 64)), lambda what, done, total: None
    )
    found = result["sets"][0]
    profile = found["profile"]
    stages = [profile[f"{stage}_ms"] for stage in STAGES]
    assert min(stages) > 0
    assert profile["forward_ms"] == max(stages)
    assert profile["enrolment_ratio"] > 1
    assert set(profile["resident_mb"]) == {"first", "last", "kept_maps"}
    # Three more images: their maps of floats, and the masks of the two that are normal.
    assert profile["resident_mb"]["kept_maps"] == pytest.approx((3 * 4 + 2) * 96 * 128 / 1e6)
    json.dumps(result)
    table = profile_table(result, markdown=True)
    assert [column.header for column in table.columns] == [
        *("set", "preprocess ms", "forward ms", "patches ms", "memory ms", "map ms", "x forward"),
        *("x own forward", "enrolment x forward"),
    ]
    assert list(table.columns[0].cells) == ["plates"]
    assert [list(column.cells) for column in table.columns[-2:]] == [
        [f"{found['own_forward_ratio']:.3f}"],
        [f"{profile['enrolment_ratio']:.3f}"],
    ]
    assert len(tables_of(result, markdown=True)) == 3
