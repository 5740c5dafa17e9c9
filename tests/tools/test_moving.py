"""Every second reference is seen a little elsewhere: by how much, and that nothing but memories holds it so."""

import numpy as np

from tools.localization import LocalizerSettings, fit_localizer, load_backbone, see
from tools.localization.fitting import Part, see_references
from tools.localization.moving import UNMOVED, Offset, moved, offsets_of

PICTURE = np.random.default_rng(0).integers(0, 256, (320, 320, 3), np.uint8)
NAMES = [f"sha{number}" for number in range(400)]


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


def test_every_second_picture_is_moved_a_little_by_what_hangs_on_it_alone() -> None:
    found = offsets_of(NAMES)
    assert set(found[::2]) == {UNMOVED}
    others = np.array(found[1::2])
    assert np.abs(others).max() <= 1 / 160
    assert np.abs(others).max(0).min() > 0.9 / 160
    assert np.abs(others.mean(0)).max() < 0.1 / 160
    assert offsets_of(NAMES[6:])[1] == found[7]


def test_of_few_pictures_none_is_moved() -> None:
    assert offsets_of(NAMES[:9]) == [UNMOVED] * 9
    assert offsets_of(NAMES[:10])[1] != UNMOVED


def test_the_backbone_sees_it_moved_and_all_else_is_of_the_picture_as_it_is() -> None:
    backbone, areas = load_backbone(), (96 * 96,)
    parts = [Part(name, lambda: PICTURE) for name in NAMES[:10]]
    plain = see(backbone, PICTURE, areas)
    first, second, *_ = see_references(backbone, parts, areas)
    assert np.array_equal(first.patches[0], plain.patches[0])
    assert np.array_equal(second.grey, plain.grey)
    assert second.taken == plain.taken
    by_hand = see(backbone, moved(PICTURE, offsets_of(NAMES)[1]), areas)
    assert np.array_equal(second.patches[0], by_hand.patches[0])
    assert not np.allclose(second.patches[0], plain.patches[0])


def still_scene() -> np.ndarray:
    scene = np.random.default_rng(0).integers(40, 216, (40, 40, 1), np.uint8)
    return np.kron(scene, np.ones((8, 8, 3), np.uint8))


def frames_of(scene: np.ndarray, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [np.clip(scene + random.normal(0, 2, scene.shape), 0, 255).astype(np.uint8) for _ in range(12)]


def parts_of(frames: list[np.ndarray]) -> list[Part]:
    return [Part(f"{number}", lambda frame=frame: frame) for number, frame in enumerate(frames)]


def test_references_of_a_still_scene_teach_that_parts_move(monkeypatch) -> None:
    """Pictures that are all but the same would otherwise make the smallest move as odd as a defect."""
    scene = still_scene()
    damaged = scene.copy()
    damaged[150:170, 150:170] = 255 - damaged[150:170, 150:170] // 2

    def move_against_damage() -> float:
        settings = LocalizerSettings(aligned=False, prompts="none")
        localizer = fit_localizer(parts_of(frames_of(scene, 0)), settings=settings)
        return localizer.localize(moved(scene, Offset(2 / 320, -1 / 320))).score / localizer.localize(damaged).score

    found = move_against_damage()
    monkeypatch.setattr("tools.localization.moving._FEWEST", 13)
    assert found < 0.97
    assert move_against_damage() > 1.03


def test_parts_that_are_held_out_in_turn_are_judged_as_they_lie() -> None:
    """Else the scores of a still scene's references would be those of moved parts, and hide what new parts lack."""
    settings = LocalizerSettings(aligned=False, prompts="none")
    localizer = fit_localizer(parts_of(frames_of(still_scene(), 0)), settings=settings)
    assert max(localizer.calibration.scores) < 1.6 * np.median(localizer.calibration.scores)
