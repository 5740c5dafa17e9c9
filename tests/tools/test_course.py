"""The normal course: each sign by hand on tiny moments."""

import numpy as np
import pytest
import torch

from tools.motion.course import SIGNS, Course, nearest_in_time, triples_of, whole_motion
from tools.motion.moments import COMPONENTS, SKETCH, Moments, around, with_border

HEIGHT, WIDTH = 4, 5
STEP = 0.1


def moments_of(positions: list[float], energy: float | np.ndarray = 5.0) -> Moments:
    """Frames that differ by one number: their cells and their sketch lie on a line, at these positions."""
    line = torch.tensor(positions)
    cells = torch.zeros(len(line), HEIGHT, WIDTH, COMPONENTS)
    cells[..., 0] = line[:, None, None]
    sketches = torch.zeros(len(line), SKETCH)
    sketches[:, 0] = line
    moved = torch.zeros(len(line), HEIGHT, WIDTH)
    moved[:, 1:3] = torch.as_tensor(energy, dtype=torch.float32).reshape(-1, 1, 1)
    return Moments(cells.half(), sketches, moved, np.arange(len(line)) * STEP, np.ones((len(line), 3)))


def sign(name: str, course: Course, moments: Moments) -> np.ndarray:
    return course.signs(moments)[SIGNS.index(name)].numpy()


def test_frames_a_delay_before_and_after_by_hand() -> None:
    triples, has = triples_of(moments_of([float(n) for n in range(10)]), 0.4)
    assert has.tolist() == [False] * 3 + [True] * 4 + [False] * 3
    assert triples[4, [0, SKETCH, 2 * SKETCH]].tolist() == [0, 4, 8]


def test_the_nearest_frame_in_time() -> None:
    times = np.array([0.0, 1.0, 3.0])
    assert nearest_in_time(times, np.array([-5, 0.4, 0.6, 1.9, 2.1, 9])).tolist() == [0, 0, 1, 1, 2, 2]


def test_neighbours_of_a_cell_are_the_eight_around_it() -> None:
    cells = torch.arange(12.0).reshape(1, 3, 4, 1)
    found = around(with_border(cells), 1)[0, :, 1, 0]
    assert found.tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    assert around(with_border(cells), 0)[0, :, 0, 0].tolist() == [0, 0, 1, 0, 0, 1, 4, 4, 5]


def test_a_place_that_never_looked_so_is_as_far_as_the_nearest_memory() -> None:
    course = Course.of(moments_of([0, 1, 2, 3, 4, 5]))
    odd = moments_of([2, 2, 2])
    odd.cells[1, ..., 0] = 9
    np.testing.assert_allclose(sign("look", course, odd)[:, 2, 2], [0, 4, 0], atol=1e-3)


def test_what_is_normal_at_another_moment_is_not_normal_at_this_one() -> None:
    course = Course.of(moments_of([float(n) for n in range(20)]))
    odd = moments_of([2.0])
    odd.cells[0, ..., 0] = 15
    assert sign("look", course, odd).max() < 1e-3
    np.testing.assert_allclose(sign("moment", course, odd), 12, atol=0.01)


def test_normal_frames_in_a_wrong_order() -> None:
    forwards = [float(n) for n in range(30)]
    course = Course.of(moments_of(forwards))
    assert sign("order", course, moments_of(forwards)).max() < 1e-2
    assert sign("order", course, moments_of(forwards[::-1])).max() > 3
    stopped = sign("order", course, moments_of([*range(10), *[10.0] * 10, *range(10, 20)])).max((1, 2))
    # four frames on each side are seen: the middle of a stop of ten stands out, and nothing far from it
    assert stopped[14] > 3
    assert stopped[[0, 5, 25, 29]].max() < 1e-2


def test_motion_where_there_was_none_and_none_where_there_was() -> None:
    course = Course.of(moments_of([0.0] * 40, 5.0))
    busy = moments_of([0.0] * 40, 5.0)
    busy.energy[20, 0, 0] = 50
    restless = sign("restless", course, busy)
    assert np.unravel_index(restless.argmax(), restless.shape) == (20, 0, 0)
    energy = np.full(40, 5.0)
    energy[15:30] = 0
    still = sign("still", course, moments_of([0.0] * 40, energy)).max((1, 2))
    assert still[16:29].min() > 1.5
    assert still[15:30].min() > 0.7
    assert still[[0, 5, 12, 32, 39]].max() < 0.3


def test_motion_of_the_whole_is_beyond_the_noise_of_the_quietest_cells() -> None:
    moments = moments_of([0.0] * 30, 5.0)
    moments.energy.add_(2.0)
    np.testing.assert_allclose(whole_motion(moments), 2.5, atol=1e-4)


def test_joined_courses_know_what_each_knows_and_are_thinned_evenly() -> None:
    one, two = Course.of(moments_of([0.0, 1.0, 2.0], 3.0)), Course.of(moments_of([10.0, 11.0, 12.0], 6.0))
    both = Course.joined([one, two])
    assert len(both.cells) == 6
    assert float(both.ceiling.max()) == 6
    assert sign("look", both, moments_of([1.0, 11.0])).max() < 1e-3
    assert len(Course.joined([one, two], most=2).cells) == 2
    assert sign("look", Course.joined([one, two], most=2), moments_of([0.0, 12.0])).max() == pytest.approx(0, abs=1e-3)
