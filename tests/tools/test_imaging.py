"""Was a picture taken as the references were? Each trait by hand, then on pictures and on a learned product."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from tools import load_image
from tools.localization import Localizer, LocalizerSettings, Part, fit_localizer
from tools.localization.imaging import Imaging, ImagingRange, farthest, nearest_distance
from tools.localization.template import grey

SMALL = LocalizerSettings(areas=(96 * 96,), memory_size=60)


def taken(pixels: np.ndarray) -> Imaging:
    return Imaging.of(grey(pixels), *pixels.shape[:2])


def test_traits_by_hand() -> None:
    half = np.zeros((40, 80, 3), np.uint8)
    half[:, :40] = 255
    found = taken(half)
    assert found.brightness == pytest.approx(0.5)
    assert found.pixels == pytest.approx(math.log(3200))
    assert found.aspect == pytest.approx(math.log(2))
    # The Laplacian is -1 and +1 on the two columns beside the edge, and 0 on the other 78.
    assert found.sharpness == pytest.approx(math.log((2 / 80) ** 0.5 + 1e-4), abs=1e-6)


def test_sharpness_is_that_of_the_laplacian_with_repeated_borders() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    expected = math.log(float(ndimage.laplace(grey(pixels), mode="nearest").std()) + 1e-4)
    assert taken(pixels).sharpness == pytest.approx(expected, abs=1e-5)


KNOWN = ImagingRange.fit([Imaging(0.4, -2.0, math.log(10_000), 0.0), Imaging(0.6, -1.5, math.log(10_000), 0.1)], None)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"brightness": 0.19}, "darker"),
        ({"brightness": 0.81}, "brighter"),
        ({"sharpness": -2.7}, "less sharp"),
        ({"sharpness": -0.8}, "sharper"),
        ({"pixels": math.log(4_999)}, "fewer pixels"),
        ({"pixels": math.log(20_001)}, "more pixels"),
        ({"aspect": -0.23}, "narrower"),
        ({"aspect": 0.33}, "wider"),
    ],
)
def test_what_lies_far_outside_is_said(change, word) -> None:
    inside = Imaging(0.5, -1.7, math.log(10_000), 0.05)
    [sentence] = KNOWN.unlike(inside._replace(**change))
    assert word in sentence
    assert not KNOWN.unlike(inside)


@pytest.mark.parametrize(
    "change", [{"brightness": 0.21}, {"sharpness": -2.6}, {"pixels": math.log(5_001)}, {"aspect": -0.22}]
)
def test_what_lies_a_little_outside_is_not(change) -> None:
    assert not KNOWN.unlike(Imaging(0.5, -1.7, math.log(10_000), 0.05)._replace(**change))


def test_how_far_references_lie_apart_is_known_from_five_on() -> None:
    angles = np.radians([0.0, 10.0, 20.0, 30.0, 50.0])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    nothing = np.zeros((0, 2), np.float32)
    known = ImagingRange.fit([Imaging(0.5, 0.0, 1.0, 0.0)], farthest(embeddings, nothing, range(5), ()))
    # The last one is 20 degrees from its nearest fellow.
    assert known.farthest == pytest.approx(1 - math.cos(math.radians(20)), abs=1e-6)
    assert farthest(embeddings[:4], nothing, range(4), ()) is None
    # Five that were held apart are measured against one reference: the last is 50 degrees from it.
    assert farthest(embeddings[:1], embeddings, [0], range(5)) == pytest.approx(
        1 - math.cos(math.radians(50)), abs=1e-6
    )
    for angle, strange in ((70.0, False), (85.0, True)):
        picture = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))], np.float32)
        assert known.unfamiliar(nearest_distance(picture, embeddings)) == strange


def test_pictures_of_one_part_do_not_say_how_far_parts_lie_apart() -> None:
    angles = np.radians([0.0, 1.0, 10.0, 20.0, 30.0, 50.0])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    nothing = np.zeros((0, 2), np.float32)
    # The first two show one part, so that each is held against the third.
    found = farthest(embeddings[:5], nothing, [0, 0, 1, 2, 3], ())
    assert found is None, "of four parts nobody knows"
    assert farthest(embeddings, nothing, [0, 0, 1, 2, 3, 4], ()) == pytest.approx(
        1 - math.cos(math.radians(20)), abs=1e-6
    )
    assert farthest(embeddings[:3], nothing, [0, 0, 0], ()) is None
    tight = embeddings[[0, 1, 2, 2, 2, 2]]
    assert farthest(tight, nothing, [0, 0, 1, 2, 3, 4], ()) == pytest.approx(1 - math.cos(math.radians(10)), abs=1e-6)
    # Five pictures that were held apart show two parts: too few, so that the references are asked, of which there are six.
    assert farthest(embeddings, embeddings[5:].repeat(5, 0), range(6), [0, 0, 0, 0, 1]) == pytest.approx(
        1 - math.cos(math.radians(20)), abs=1e-6
    )


@pytest.fixture(scope="module")
def learned(plate) -> Localizer:
    return fit_localizer([Part(str(seed), lambda seed=seed: plate(seed)) for seed in range(8)], settings=SMALL)


def test_a_normal_and_an_anomalous_part_are_taken_alike(learned, plate) -> None:
    for picture in (plate(20), plate(21, "spot")):
        assert learned.localize(picture).unlike == ()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda p: (p * 0.3).astype(np.uint8), "darker"),
        (lambda p: np.clip(p * 1.5 + 60, 0, 255).astype(np.uint8), "brighter"),
        (lambda p: ndimage.gaussian_filter(p, (4, 4, 0)), "less sharp"),
        (lambda p: p[::2, ::2], "fewer pixels"),
        (lambda p: p[:, : p.shape[1] // 3], "narrower"),
    ],
)
def test_a_part_taken_otherwise_is_unlike(learned, plate, change, word) -> None:
    assert any(word in sentence for sentence in learned.localize(change(plate(20))).unlike)


def test_what_was_learned_of_the_pictures_survives_saving(learned, tmp_path: Path) -> None:
    learned.save(tmp_path)
    assert Localizer.load(tmp_path).imaging == learned.imaging


@pytest.mark.parametrize("name", ["aws_aliens", "kolektorsdd", "piped_pa_brg03_tl"])
def test_real_parts_are_taken_as_their_references_were(shared_data, name) -> None:
    folder = shared_data / "image" / name
    references, tests = (
        [load_image(path).pixels for path in sorted(folder.glob(pattern))] for pattern in ("train/good/*", "test/*/*")
    )
    known = ImagingRange.fit([taken(picture) for picture in references], None)
    assert not [known.unlike(taken(picture)) for picture in tests if known.unlike(taken(picture))]
