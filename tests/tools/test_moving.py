"""References are seen a little elsewhere: by how much, and that nothing but the backbone sees it."""

import numpy as np

from tools.localization import LocalizerSettings, fit_localizer, load_backbone, see
from tools.localization.fitting import Part, see_reference
from tools.localization.moving import UNMOVED, Offset, moved, offset_of

PICTURE = np.random.default_rng(0).integers(0, 256, (320, 320, 3), np.uint8)


def test_what_comes_in_repeats_the_border() -> None:
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    down = moved(picture, Offset(0.5, 0.0))
    assert down.tolist() == [picture[0].tolist()] * 2
    left = moved(picture, Offset(0.0, -0.5))
    assert left.tolist() == [[row[1].tolist()] * 2 for row in picture]


def test_a_picture_moves_by_whole_pixels_as_it_is() -> None:
    found = moved(PICTURE, Offset(2 / 320, -1.4 / 320))
    assert np.array_equal(found[2:, :-1], PICTURE[:-2, 1:])
    assert np.array_equal(moved(PICTURE, Offset(0.4 / 320, -0.4 / 320)), PICTURE)


def test_a_narrow_picture_moves_as_far_either_way() -> None:
    narrow = np.zeros((400, 64, 3), np.uint8)
    narrow[200, 32] = 255
    rows, columns, _ = np.nonzero(moved(narrow, Offset(0.05, 0.05)))
    assert (set(rows), set(columns)) == ({208}, {40})


def test_offsets_are_small_and_hang_on_the_picture_alone() -> None:
    found = np.array([offset_of(f"sha{number}") for number in range(200)])
    assert np.abs(found).max() <= 1 / 160
    assert np.abs(found).max(0).min() > 0.9 / 160
    assert np.abs(found.mean(0)).max() < 0.1 / 160
    assert offset_of("sha7") == Offset(*found[7])


def test_the_backbone_sees_it_moved_and_all_else_is_of_the_picture_as_it_is() -> None:
    backbone, areas = load_backbone(), (96 * 96,)
    sha256 = next(name for name in map(str, range(99)) if min(map(abs, offset_of(name))) > 0.8 / 160)
    found, plain = see_reference(backbone, Part(sha256, lambda: PICTURE), areas), see(backbone, PICTURE, areas)
    assert np.array_equal(found.grey, plain.grey)
    assert found.taken == plain.taken
    assert not np.allclose(found.patches[0], plain.patches[0])
    assert np.allclose(found.patches[0], see(backbone, moved(PICTURE, offset_of(sha256)), areas).patches[0])
    assert np.allclose(plain.patches[0], see(backbone, PICTURE, areas, offset=UNMOVED).patches[0])


def test_references_of_a_still_scene_teach_that_parts_move(monkeypatch) -> None:
    """Pictures that are all but the same would otherwise make the smallest move as odd as a defect."""
    random = np.random.default_rng(0)
    scene = np.kron(random.integers(40, 216, (40, 40, 1), np.uint8), np.ones((8, 8, 3), np.uint8))
    frames = [np.clip(scene + random.normal(0, 2, scene.shape), 0, 255).astype(np.uint8) for _ in range(12)]
    parts = [Part(f"{number}", lambda frame=frame: frame) for number, frame in enumerate(frames)]
    damaged = scene.copy()
    damaged[150:170, 150:170] = 255 - damaged[150:170, 150:170] // 2

    def move_against_damage() -> float:
        localizer = fit_localizer(parts, settings=LocalizerSettings(aligned=False, prompts="none"))
        return localizer.localize(moved(scene, Offset(2 / 320, -1 / 320))).score / localizer.localize(damaged).score

    found = move_against_damage()
    monkeypatch.setattr("tools.localization.fitting.offset_of", lambda sha256: UNMOVED)
    assert found < 0.97
    assert move_against_damage() > 1.03
