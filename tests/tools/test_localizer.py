"""The localiser: a map worked by hand with a network of one weight, then the real one, saved, loaded and damaged."""

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import ValidationError
from safetensors.torch import load_file, save
from torch import Tensor

from knowledge import FittedPartError, ToolFailure
from tools.localization import (
    ConformalCalibration,
    Localization,
    Localizer,
    LocalizerSettings,
    Manifest,
    Part,
    fit_localizer,
    fitting,
)
from tools.localization import normal as normal_module
from tools.localization.anomaly_map import MapScale
from tools.localization.appearance import Appearance
from tools.localization.efficientnet import EfficientNetLite0
from tools.localization.features import Features
from tools.localization.fitting import shown_parts
from tools.localization.imaging import Imaging, ImagingRange
from tools.localization.looks import Seen
from tools.localization.manifest import FORMAT
from tools.localization.memory import PatchMemory
from tools.localization.normal import Normal
from tools.localization.projection import Projection
from tools.localization.prompted import Prompted

SMALL = LocalizerSettings(areas=(96 * 96,), memory_size=60)
ANY_IMAGING = ImagingRange(Imaging(*[-100.0] * 4), Imaging(*[100.0] * 4), None)
"""No picture is unlike these references."""

PLAIN = Appearance(kind="photograph", areas=(96 * 96,), components=None, whiten=False, reason="by hand")


class Brightness:
    """A network of one weight: a patch is the mean brightness of eight by eight pixels, times that weight."""

    name = "brightness"
    weights_sha256 = "0"
    multiple = 8
    memory_layers = (0,)
    neighbourhood = 1
    text = None
    notes: list[str] = []  # noqa: RUF012
    precision = "float32"

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def preprocess(self, pixels: np.ndarray, area: int) -> Tensor:
        return torch.from_numpy(pixels / 255).permute(2, 0, 1).float()

    def forward(self, images: Tensor) -> Features:
        patches = self.weight * F.avg_pool2d(images.mean(1, keepdim=True), 8)
        return Features((patches,), patches.flatten(1).mean(1, keepdim=True))


def by_hand(weight: float = 1.0) -> Localizer:
    """Knows one normal patch, black; distances count in units of 0.5 from 0."""
    manifest = Manifest(
        format=FORMAT,
        settings=SMALL,
        appearance=PLAIN,
        backbone_sha256="0",
        precision="float32",
        memory_parts=("a",),
        calibration_parts=(),
        scheme="split",
        tensors_sha256="",
    )
    memory = PatchMemory(Projection(torch.zeros(1), torch.eye(1)), torch.zeros(1, 1), torch.zeros(1, 1))
    calibration = ConformalCalibration([0.1, 0.2, 0.3], "split")
    return Localizer(
        Brightness(weight),
        Normal((memory,)),
        ANY_IMAGING,
        MapScale(0.0, 0.5),
        calibration,
        np.zeros((1, 1), np.float32),
        manifest,
    )


def parts(plate: Callable[..., np.ndarray], seeds: range) -> list[Part]:
    return [Part(f"sha{seed}", lambda seed=seed: plate(seed)) for seed in seeds]


@pytest.fixture(scope="module")
def fitted(plate) -> Localizer:
    return fit_localizer(parts(plate, range(8)), settings=SMALL)


@pytest.fixture
def saved(fitted, tmp_path: Path) -> Path:
    fitted.save(tmp_path / "plate")
    return tmp_path / "plate"


def test_a_map_worked_by_hand() -> None:
    pixels = np.zeros((24, 24, 3), np.uint8)
    pixels[8:16, 8:16] = 255
    found = by_hand().localize(pixels)
    # 1 in the middle of 3 x 3 patches is 1/9 after smoothing, 1/6 beside it, 1/4 in the corners; twice that in units.
    assert found.map[12, 12] == pytest.approx(2 / 9, abs=0.02)
    assert found.map[0, 0] == found.score == pytest.approx(0.5)
    assert found.embedding.tolist() == pytest.approx([1 / 9])


def test_features_that_are_no_numbers_are_a_failure_and_never_a_score() -> None:
    with pytest.raises(ToolFailure, match="finite"):
        by_hand(float("nan")).localize(np.zeros((24, 24, 3), np.uint8))


@pytest.mark.parametrize("size", [(96, 128), (16, 900), (900, 16), (33, 47), (300, 40)])
def test_the_map_is_as_large_as_the_view_and_its_highest_value_is_the_score(fitted, size) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    found = fitted.localize(pixels)
    assert found.map.shape == size
    assert found.map.dtype == np.float32
    assert np.isfinite(found.map).all()
    assert found.score == found.map.max()


def test_a_damaged_plate_is_unlike_the_others_where_it_is_damaged(plate) -> None:
    twice = SMALL.model_copy(update={"areas": (96 * 96, 192 * 192)})
    fitted = fit_localizer(parts(plate, range(8)), settings=twice)
    good, bad = fitted.localize(plate(100)), fitted.localize(plate(100, "spot"))
    assert bad.score > 2 * max(good.score, fitted.calibration.scores.max())
    row, column = np.unravel_index(bad.map.argmax(), bad.map.shape)
    assert (row - 76) ** 2 + (column - 20) ** 2 < 90, "inside of the spot"


def test_saved_and_loaded_it_gives_the_same_bits(fitted, saved, plate) -> None:
    loaded = Localizer.load(saved)
    for pixels in (plate(200), plate(201, "scratch")):
        here, there = fitted.localize(pixels), loaded.localize(pixels)
        assert np.array_equal(here.map, there.map)
        assert here.score == there.score
        assert np.array_equal(here.embedding, there.embedding)
    assert loaded.calibration.scores.tolist() == fitted.calibration.scores.tolist()
    assert loaded.calibration.scheme == fitted.calibration.scheme
    assert loaded.manifest == fitted.manifest
    assert np.array_equal(loaded.embeddings, fitted.embeddings)


def flip_a_byte(folder: Path) -> None:
    content = bytearray((folder / "localizer.safetensors").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "localizer.safetensors").write_bytes(content)


def cut_short(folder: Path) -> None:
    content = (folder / "localizer.safetensors").read_bytes()
    (folder / "localizer.safetensors").write_bytes(content[:-1])


def rewrite(folder: Path, **changes: object) -> None:
    values = json.loads((folder / "localizer.json").read_text())
    (folder / "localizer.json").write_text(json.dumps({**values, **changes}))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (flip_a_byte, "does not match its manifest"),
        (cut_short, "does not match its manifest"),
        (lambda folder: (folder / "localizer.safetensors").unlink(), "nothing has been learned"),
        (lambda folder: (folder / "localizer.json").unlink(), "nothing has been learned"),
        (lambda folder: (folder / "localizer.json").write_bytes(b"{"), "damaged"),
        (lambda folder: (folder / "localizer.json").write_bytes(b"\xff\xfe"), "damaged"),
        (lambda folder: rewrite(folder, format=99), "another version"),
        (lambda folder: rewrite(folder, format=0), "another version"),
        (lambda folder: (folder / "localizer.json").write_bytes(b'{"format": 1}'), "another version"),
        (lambda folder: rewrite(folder, backbone_sha256="0" * 64), "changed since"),
        (lambda folder: rewrite(folder, settings={"backbone": "clip"}), "changed since"),
        (lambda folder: rewrite(folder, surprise=1), "damaged"),
    ],
)
def test_fitted_parts_that_do_not_belong_are_refused(saved, damage, sentence) -> None:
    damage(saved)
    with pytest.raises(FittedPartError, match=sentence):
        Localizer.load(saved)


def test_tensors_of_a_newer_learning_do_not_pass_under_an_older_manifest(saved, plate) -> None:
    """What a kill between the two writes leaves behind."""
    older = (saved / "localizer.json").read_bytes()
    fit_localizer(parts(plate, range(3)), settings=SMALL).save(saved)
    (saved / "localizer.json").write_bytes(older)
    with pytest.raises(FittedPartError, match="does not match"):
        Localizer.load(saved)


def test_the_same_parts_and_seed_give_the_same_bits(fitted, plate) -> None:
    again = fit_localizer(parts(plate, range(8)), settings=SMALL)
    assert np.array_equal(again.localize(plate(300)).map, fitted.localize(plate(300)).map)
    assert again.calibration.scores.tolist() == fitted.calibration.scores.tolist()


def test_maps_do_not_hang_on_the_order_of_threads(fitted, plate) -> None:
    pictures = [plate(seed) for seed in range(400, 406)]
    alone = [fitted.localize(picture).map for picture in pictures]
    with ThreadPoolExecutor(3) as threads:
        crowded = list(threads.map(lambda picture: fitted.localize(picture).map, pictures[::-1]))[::-1]
    assert all(np.array_equal(one, other) for one, other in zip(alone, crowded, strict=True))


def test_parts_held_out_are_what_is_calibrated_on(plate) -> None:
    localizer = fit_localizer(parts(plate, range(4)), parts(plate, range(50, 56)), settings=SMALL)
    assert localizer.calibration.scheme == "split"
    assert localizer.manifest.memory_parts == tuple(f"sha{seed}" for seed in range(4))
    assert localizer.manifest.calibration_parts == tuple(f"sha{seed}" for seed in range(50, 56))
    scores = sorted(localizer.localize(plate(seed)).score for seed in range(50, 56))
    np.testing.assert_allclose(localizer.calibration.scores, scores, rtol=1e-4)


def test_without_held_out_parts_each_is_scored_by_a_memory_that_has_not_seen_it(plate) -> None:
    alone = SMALL.model_copy(update={"prompts": "none"})
    both = fit_localizer(parts(plate, range(2)), settings=alone)
    assert both.calibration.scheme == "cross"
    assert both.manifest.calibration_parts == both.manifest.memory_parts
    # A lone reference gives its map in plain distances, so the scores of two can be worked out from two lone ones.
    lone = [fit_localizer(parts(plate, range(seed, seed + 1)), settings=alone) for seed in range(2)]
    plain = [lone[1].localize(plate(0)).score, lone[0].localize(plate(1)).score]
    expected = sorted((score - both.scale.median) / both.scale.deviation for score in plain)
    np.testing.assert_allclose(both.calibration.scores, expected, rtol=1e-4)


def test_pictures_of_one_part_are_held_out_together(plate, tmp_path: Path) -> None:
    """Three pictures of each of two parts: each is scored by those of the other part alone."""
    alone = SMALL.model_copy(update={"prompts": "none"})
    named = [part._replace(name="ab"[seed % 2]) for seed, part in enumerate(parts(plate, range(6)))]
    both = fit_localizer(named, settings=alone)
    lone = [fit_localizer(named[start::2], settings=alone) for start in range(2)]
    assert [found.calibration.count for found in lone] == [0, 0], "of a lone part nothing can be held out"
    plain = [lone[1 - seed % 2].localize(plate(seed)).score for seed in range(6)]
    expected = sorted((score - both.scale.median) / both.scale.deviation for score in plain)
    np.testing.assert_allclose(both.calibration.scores, expected, rtol=1e-4)
    assert (both.calibration.count, both.calibration.parts) == (6, 2)
    both.save(tmp_path)
    loaded = Localizer.load(tmp_path).calibration
    assert loaded.shown.tolist() == both.calibration.shown.tolist()
    assert loaded.p_value(1e9) == both.calibration.p_value(1e9) == 1 / 3


def test_pictures_of_parts_that_were_held_out_for_good_are_told_apart_by_their_own_names(plate) -> None:
    memory = [part._replace(name="abc"[seed % 3]) for seed, part in enumerate(parts(plate, range(6)))]
    apart = [part._replace(name="dddde"[place]) for place, part in enumerate(parts(plate, range(50, 55)))]
    calibration = fit_localizer(memory, apart, settings=SMALL).calibration
    assert (calibration.count, calibration.parts) == (5, 2)
    assert sorted(calibration.shown.tolist()) == [0, 0, 0, 0, 1]
    with pytest.raises(FittedPartError, match="part 'a' are both learned from and held out"):
        fit_localizer(memory, [apart[0]._replace(name="a")], settings=SMALL)


def test_how_far_parts_lie_apart_is_told_by_other_parts(plate) -> None:
    """Ten pictures, two of each of five parts: without names each has a twin."""
    twins = [Part(f"sha{n}", lambda n=n: np.roll(plate(n // 2), n % 2, axis=1)) for n in range(10)]
    named = [part._replace(name=str(n // 2)) for n, part in enumerate(twins)]
    alone, apart = (fit_localizer(given, settings=SMALL).imaging.farthest for given in (twins, named))
    assert alone < apart
    assert fit_localizer(named[:8], settings=SMALL).imaging.farthest is None


def test_pictures_without_a_name_are_each_of_a_part_of_their_own(plate) -> None:
    given = parts(plate, range(4))
    mixed = [given[0]._replace(name="0"), given[1], given[2]._replace(name="0"), given[3]._replace(name="")]
    assert shown_parts(mixed) == [0, 1, 0, 2]
    assert fit_localizer(mixed, settings=SMALL).calibration.parts == 3


def test_one_reference_localises_and_promises_nothing(plate, tmp_path: Path) -> None:
    localizer = fit_localizer(parts(plate, range(1)), settings=SMALL)
    assert localizer.calibration.count == 0
    assert not localizer.calibration.promise(0.5).kept
    localizer.save(tmp_path)
    loaded = Localizer.load(tmp_path)
    assert loaded.localize(plate(0, "spot")).score > loaded.localize(plate(0)).score


def test_a_part_identical_to_identical_references_is_not_unusual(plate) -> None:
    p_values = []
    for picture in (plate(seed) for seed in range(4)):
        copies = [Part(f"sha{number}", lambda picture=picture: picture) for number in range(3)]
        localizer = fit_localizer(copies, settings=LocalizerSettings(areas=(128 * 128,)))
        p_values.append(localizer.calibration.p_value(localizer.localize(picture).score))
    assert p_values == [1.0] * 4


def test_references_of_many_sizes_are_learned_together() -> None:
    random = np.random.default_rng(0)
    pictures = [
        random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((64, 64), (16, 900), (300, 40), (17, 33))
    ]
    localizer = fit_localizer([Part(str(i), lambda i=i: pictures[i]) for i in range(4)], settings=SMALL)
    assert np.isfinite(localizer.calibration.scores).all()
    assert [localizer.localize(picture).map.shape for picture in pictures] == [p.shape[:2] for p in pictures]


def test_progress_counts_every_part_up_to_the_last(plate) -> None:
    told: list[tuple[str, int, int]] = []
    fit_localizer(parts(plate, range(3)), settings=SMALL, progress=lambda *what: told.append(what))
    for what, total in (("reading references", 3), ("cross-validating", 3)):
        assert [(done, of) for name, done, of in told if name == what] == [(done, total) for done in range(total + 1)]


def test_pictures_are_asked_for_one_at_a_time(plate) -> None:
    asked: list[int] = []

    def pixels_of(seed: int) -> Iterator[None]:
        asked.append(seed)
        return plate(seed)

    fit_localizer([Part(str(s), lambda s=s: pixels_of(s)) for s in range(3)], settings=SMALL)
    assert asked == [0, 1, 2, 0, 1, 2], "once to see how they look, once to learn from them"


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(FittedPartError, match="at least one"):
        fit_localizer([], settings=SMALL)


@pytest.mark.parametrize("wrong", [{"folds": 1}, {"folds": 0}, {"memory_size": 0}, {"area": 0}, {"area": -1}])
def test_settings_that_cannot_be_fitted_are_refused_when_they_are_made(wrong) -> None:
    with pytest.raises(ValidationError):
        LocalizerSettings(**wrong)


def test_many_references_are_learned_from_in_bounded_memory(plate, monkeypatch) -> None:
    whole = fit_localizer(parts(plate, range(8)), parts(plate, range(10, 14)), SMALL)
    monkeypatch.setattr(fitting, "MOST_BYTES", 8 * 40 * 4 * (40 + 112))
    monkeypatch.setattr(fitting, "_MOST_PICTURES", 2)
    kept: list[Seen] = []
    fitted_of = Normal.fit
    monkeypatch.setattr(Normal, "fit", lambda seen, *how: kept.extend(seen) or fitted_of(seen, *how))
    thinned = fit_localizer(parts(plate, range(8)), parts(plate, range(10, 14)), SMALL)
    assert not torch.equal(thinned.normal.memories[0].patches, whole.normal.memories[0].patches)
    assert {patches.shape[1:].numel() for seen in kept for patches in seen.patches} == {40, 35}
    assert sum(seen.grey.size > 0 for seen in kept[-8:]) == 2
    assert thinned.localize(plate(20, "spot")).score > 2 * thinned.localize(plate(21)).score


def test_memories_of_deeper_layers_grow_with_the_references(plate, monkeypatch) -> None:
    found = fit_localizer(parts(plate, range(8)), settings=SMALL)
    assert [len(memory.patches) for memory in found.normal.memories] == [60, 160]
    monkeypatch.setattr(normal_module, "_AT_MOST", 100)
    found = fit_localizer(parts(plate, range(8)), settings=SMALL)
    assert [len(memory.patches) for memory in found.normal.memories] == [60, 100]


def test_nothing_but_the_calibration_hangs_on_the_parts_that_are_calibrated_on(plate) -> None:
    one, other = (
        fit_localizer(parts(plate, range(12)), parts(plate, of), SMALL) for of in (range(20, 26), range(30, 36))
    )
    assert one.manifest.appearance == other.manifest.appearance
    for name, values in one.normal.tensors().items():
        assert torch.equal(values, other.normal.tensors()[name]), name
    assert not np.array_equal(one.calibration.scores, other.calibration.scores)


def test_some_parts_of_many_bring_prompts_to_scale(plate, monkeypatch) -> None:
    monkeypatch.setattr(fitting, "_SCALED_BY", 2)
    asked: list[int] = []
    scaled = Prompted.fit
    monkeypatch.setattr(
        Prompted, "fit", lambda prompts, held_out: asked.append(len(held_out)) or scaled(prompts, held_out)
    )
    for calibrate in ((), parts(plate, range(10, 15))):
        fit_localizer(parts(plate, range(5)), calibrate, SMALL)
    assert asked == [2, 2]


def test_references_seen_in_another_precision_are_a_doubt_whatever_the_score(fitted) -> None:
    assert fitted.manifest.precision == "float32"
    seen = Localization(np.zeros((1, 1), np.float32), 0.0, np.zeros(1, np.float32))
    assert fitted.doubts(seen, 0.05) == ()
    for score in (0.0, 1e6):
        (doubt,) = fitted.doubts(seen._replace(score=score, precision="bfloat16"), 0.05)
        assert "seen in float32 precision and this picture in bfloat16" in doubt


def test_what_was_learned_while_the_network_changed_its_precision_is_learned_again(plate, monkeypatch) -> None:
    device, read = ["gpu"], []

    def picture(seed: int) -> np.ndarray:
        read.append(seed)
        device[0] = "gpu" if len(read) < 4 else "cpu"  # its memory runs out with the last picture
        return plate(seed)

    monkeypatch.setattr(
        EfficientNetLite0, "precision", property(lambda network: {"gpu": "bfloat16", "cpu": "float32"}[device[0]])
    )
    learned = fit_localizer([Part(str(seed), lambda seed=seed: picture(seed)) for seed in range(2)], (), SMALL)
    assert learned.manifest.precision == "float32"
    # Once to choose how they are looked at and once to look, and all of it again.
    assert read == [0, 1, 0, 1] * 2
    assert learned.localize(plate(5)).precision == "float32"


def test_what_only_odd_normal_parts_outdo_is_hidden_by_them(fitted) -> None:
    shas = tuple(f"sha{number}" for number in range(40))
    found = copy.copy(fitted)
    found.calibration = ConformalCalibration([*np.linspace(1, 3, 38), 30.0, 20.0], "cross")
    found.manifest = fitted.manifest.model_copy(update={"calibration_parts": shas, "odd_parts": shas[38:]})
    assert [found.hidden(score, 0.05) for score in (2.9, 2.99, 3.01, 19.0, 25.0)] == [False, False, True, True, False]
    assert not found.hidden(19.0, 0.01), "too few others to call anything anomalous at this rate"
    seen = Localization(np.zeros((1, 1), np.float32), 19.0, np.zeros(1, np.float32), ("darker",), unfamiliar=True)
    doubts = found.doubts(seen, 0.05)
    assert len(doubts) == 3
    assert doubts[0] == "darker"
    assert "resembles none" in doubts[1]
    assert "(2 of 40)" in doubts[2]
    assert found.doubts(seen._replace(score=31.0), 0.05) == ("darker",), "what is anomalous may look strange"
    # Three pictures of one odd part beside two each of nineteen others: it is one of twenty.
    shown = [*(number // 2 for number in range(38)), 19, 19, 19]
    found.calibration = ConformalCalibration([*np.linspace(1, 3, 38), 20.0, 30.0, 2.0], "cross", shown)
    assert [found.hidden(score, 0.05) for score in (2.0, 3.01, 19.0, 31.0)] == [False, True, True, False]
    assert "(1 of 20)" in found.doubts(seen, 0.05)[2]
    found.manifest = fitted.manifest
    assert not found.hidden(19.0, 0.05)
    assert found.doubts(seen._replace(unlike=(), unfamiliar=False), 0.05) == ()


def forge(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    """Change tensors as somebody would who also makes the hash right."""
    manifest = json.loads((folder / "localizer.json").read_text())
    tensors = load_file(folder / "localizer.safetensors")
    change(tensors)
    without = Manifest.model_validate(manifest | {"tensors_sha256": ""}).model_dump_json()
    write_forged(folder, save(tensors, metadata={"manifest": without}))


def write_forged(folder: Path, content: bytes) -> None:
    (folder / "localizer.safetensors").write_bytes(content)
    rewrite(folder, tensors_sha256=hashlib.sha256(content).hexdigest())


def put(name: str, value: Tensor) -> Callable[[dict[str, Tensor]], object]:
    return lambda tensors: tensors.update({name: value})


FLOAT64 = torch.float64


@pytest.mark.parametrize(
    "change",
    [
        put("scale", torch.tensor([0.0, torch.inf], dtype=FLOAT64)),
        put("scale", torch.tensor([0.0, 0.0], dtype=FLOAT64)),
        put("scale", torch.tensor([torch.nan, 1.0], dtype=FLOAT64)),
        put("scale", torch.zeros(3, dtype=FLOAT64)),
        put("scale", torch.zeros((), dtype=FLOAT64)),
        put("imaging", torch.zeros(2, 5, dtype=FLOAT64)),
        put("calibration", torch.zeros(2, 2, dtype=FLOAT64)),
        put("calibration.shown", torch.zeros(2, dtype=torch.int64)),
        put("calibration.shown", torch.zeros(8, dtype=torch.int32)),
        lambda tensors: tensors.pop("calibration.shown"),
        lambda tensors: tensors.update(
            {"calibration": torch.zeros(3, dtype=FLOAT64), "calibration.shown": torch.zeros(3, dtype=torch.int64)}
        ),
        put("embeddings", torch.zeros(8, 3)),
        put("embeddings", torch.zeros(8, 640, dtype=torch.bfloat16)),
        put("patches.0", torch.zeros(0, 40)),
        put("patches.0", torch.zeros(60, 7)),
        put("patches.0", torch.zeros(60, 40, dtype=torch.int64)),
        put("sources.0", torch.zeros(60, 9)),
        put("projection.0", torch.zeros(9, 40)),
        put("patches.1", torch.zeros(60, 40)),
        put("mean.0", torch.zeros(1)),
        put("noise.0", torch.zeros(3)),
        put("usual.0", torch.tensor(torch.nan)),
        put("logits.0", torch.zeros(3, dtype=FLOAT64)),
        put("strength", torch.tensor(torch.inf, dtype=FLOAT64)),
        put("prompts.1.bias", torch.zeros(3)),
        lambda tensors: tensors.pop("strength"),
        lambda tensors: tensors.pop("sources.0"),
    ],
)
def test_forged_tensors_are_refused_in_one_sentence(saved, change) -> None:
    forge(saved, change)
    with pytest.raises(FittedPartError, match="cannot be used"):
        Localizer.load(saved)


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", bytes([5]) + bytes(7) + b"\xff" * 5, bytes([2]) + bytes(7) + b"[]", b"[" * 200_000],
)
def test_files_that_hold_no_tensors_are_refused_in_one_sentence(saved, content) -> None:
    write_forged(saved, content)
    with pytest.raises(FittedPartError, match="enroll"):
        Localizer.load(saved)


def test_an_aligned_product_without_its_template_is_refused(plate, tmp_path: Path) -> None:
    fit_localizer(parts(plate, range(4)), settings=SMALL.model_copy(update={"aligned": True})).save(tmp_path)
    forge(tmp_path, lambda tensors: tensors.pop("template.lowest"))
    with pytest.raises(FittedPartError, match=r"template\.lowest"):
        Localizer.load(tmp_path)
