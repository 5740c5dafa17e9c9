"""Half of a still scene's pictures are seen a little elsewhere: which scenes are still, and what is moved, by how much."""

import numpy as np

from tools.localization import LocalizerSettings, fit_localizer, load_backbone, see
from tools.localization.fitting import Part, see_references
from tools.localization.moving import UNMOVED, Offset, moved, offsets_of, still

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


def test_half_of_the_pictures_are_moved_a_little_whatever_their_order() -> None:
    found = offsets_of(NAMES)
    assert sum(offset == UNMOVED for offset in found.values()) == 200
    others = np.array([offset for offset in found.values() if offset != UNMOVED])
    assert np.abs(others).max() <= 1 / 160
    assert np.abs(others).max(0).min() > 0.9 / 160
    assert np.abs(others.mean(0)).max() < 0.1 / 160
    assert offsets_of(NAMES[::-1]) == found


def test_of_few_pictures_or_copies_of_few_none_is_moved() -> None:
    assert set(offsets_of(NAMES[:9]).values()) == {UNMOVED}
    assert set(offsets_of(NAMES[:9] * 2).values()) == {UNMOVED}
    assert set(offsets_of(NAMES[:10]).values()) != {UNMOVED}


def still_scene() -> np.ndarray:
    scene = np.random.default_rng(0).integers(40, 216, (40, 40, 1), np.uint8)
    return np.kron(scene, np.ones((8, 8, 3), np.uint8))


def frames_of(scene: np.ndarray, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [np.clip(scene + random.normal(0, 2, scene.shape), 0, 255).astype(np.uint8) for _ in range(12)]


def parts_of(frames: list[np.ndarray]) -> list[Part]:
    return [Part(f"{number}", lambda frame=frame: frame) for number, frame in enumerate(frames)]


def test_frames_are_a_still_scene_and_parts_put_down_by_hand_are_not() -> None:
    scene = still_scene()
    assert still(frames_of(scene, 0))
    laid = [
        moved(frame, Offset(number % 4 * 3 / 320, number // 4 * 3 / 320))
        for number, frame in enumerate(frames_of(scene, 1))
    ]
    assert not still(laid)


def test_a_picture_counts_as_still_by_its_nearest_other_one_whatever_its_size() -> None:
    scene = still_scene()
    frames = frames_of(scene, 0)
    elsewhere = [np.roll(scene, by, axis=1) for by in (50, 100, 150, 200)]
    assert still([*frames, *elsewhere]), "a few others"
    assert not still([*frames[:3], *elsewhere])
    assert still([frames[0], frames[1].repeat(2, axis=0).repeat(2, axis=1)])


def test_nothing_tells_a_still_scene_where_there_is_one_picture_nothing_to_see_or_no_room_to_move() -> None:
    assert not still([])
    assert not still([PICTURE])
    assert not still([np.full((320, 320, 3), 90, np.uint8)] * 2)
    assert not still([PICTURE[:64, :64]] * 2)
    assert not still([np.resize(PICTURE, (1, 90_000, 3))] * 2)


def test_the_backbone_sees_it_moved_and_all_else_is_of_the_picture_as_it_is() -> None:
    backbone, areas, names = load_backbone(), (96 * 96,), NAMES[:10]
    offsets = offsets_of(names)
    plain = see(backbone, PICTURE, areas)
    for name, seen in zip(
        names, see_references(backbone, [Part(name, lambda: PICTURE) for name in names], areas), strict=True
    ):
        by_hand = see(backbone, moved(PICTURE, offsets[name]), areas)
        assert np.array_equal(seen.patches[0], by_hand.patches[0])
        assert np.array_equal(seen.grey, plain.grey)
        assert seen.taken == plain.taken
        assert (offsets[name] == UNMOVED) == np.allclose(seen.patches[0], plain.patches[0])


def test_few_pictures_are_not_even_glanced_at() -> None:
    asked: list[str] = []
    parts = [Part(name, lambda name=name: asked.append(name) or PICTURE) for name in NAMES[:9]]
    next(see_references(load_backbone(), parts, (96 * 96,)))
    assert asked == NAMES[:1]


def test_pictures_of_parts_are_seen_as_they_lie() -> None:
    backbone, areas = load_backbone(), (96 * 96,)
    parts = [Part(name, lambda by=by: np.roll(PICTURE, 20 * by, axis=0)) for by, name in enumerate(NAMES[:12])]
    assert {seen.offset for seen in see_references(backbone, parts, areas)} == {UNMOVED}


def test_references_of_a_still_scene_teach_that_parts_move() -> None:
    """Pictures that are all but the same would otherwise make the smallest move as odd as a defect; of nine none is moved."""
    scene = still_scene()
    damaged = scene.copy()
    damaged[150:170, 150:170] = 255 - damaged[150:170, 150:170] // 2

    def move_against_damage(count: int) -> float:
        settings = LocalizerSettings(aligned=False, prompts="none")
        localizer = fit_localizer(parts_of(frames_of(scene, 0)[:count]), settings=settings)
        assert ("put down a little elsewhere" in localizer.manifest.appearance.reason) == (count >= 10)
        return localizer.localize(moved(scene, Offset(2 / 320, -1 / 320))).score / localizer.localize(damaged).score

    assert move_against_damage(12) < 0.97
    assert move_against_damage(9) > 1.03


def test_parts_that_are_held_out_in_turn_are_judged_as_they_lie() -> None:
    """Else the scores of a still scene's references would be those of moved parts, and hide what new parts lack."""
    settings = LocalizerSettings(aligned=False, prompts="none")
    localizer = fit_localizer(parts_of(frames_of(still_scene(), 0)), settings=settings)
    assert max(localizer.calibration.scores) < 1.6 * np.median(localizer.calibration.scores)
