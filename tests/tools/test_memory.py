"""The memory of normal patches against plain arithmetic."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from knowledge import FittedPartError
from tools.localization import memory as memory_module
from tools.localization.memory import PatchMemory
from tools.localization.projection import Projection

NUMBERS = st.floats(-100, 100, width=32)


def distances(memory: PatchMemory, patches: torch.Tensor) -> torch.Tensor:
    return memory.nearest(patches).distances


def random_patches(count: int, channels: int = 152, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, channels, generator=torch.Generator().manual_seed(seed))


def brute_force(memory: PatchMemory, patches: torch.Tensor) -> np.ndarray:
    queries = memory.projection(patches).double().numpy()
    return np.linalg.norm(queries[:, None] - memory.patches.double().numpy()[None], axis=2).min(axis=1)


def test_two_patches_worked_by_hand() -> None:
    memory = PatchMemory.fit(torch.tensor([[0.0, 10.0], [4.0, 10.0]]), size=5, seed=0)
    assert memory.projection.mean.tolist() == [2.0, 10.0]
    assert sorted(memory.patches.tolist()) == [[-1.0, 0.0], [1.0, 0.0]]
    assert distances(memory, torch.tensor([[0.0, 10.0], [2.0, 10.0], [10.0, 10.0]])).tolist() == [0.0, 1.0, 3.0]


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, (12, 3), elements=NUMBERS), arrays(np.float32, (7, 3), elements=NUMBERS))
def test_distances_are_those_of_brute_force(stored, asked) -> None:
    memory = PatchMemory(Projection(torch.zeros(3), torch.eye(3)), torch.from_numpy(stored), torch.from_numpy(stored))
    queries = torch.from_numpy(asked)
    np.testing.assert_allclose(distances(memory, queries).numpy(), brute_force(memory, queries), atol=0.2, rtol=1e-3)


def test_distances_of_real_width_are_those_of_brute_force() -> None:
    memory = PatchMemory.fit(random_patches(3000), 200, seed=0)
    queries = 3 * random_patches(500, seed=1)
    np.testing.assert_allclose(distances(memory, queries).numpy(), brute_force(memory, queries), rtol=1e-5)


def test_a_patch_that_is_in_the_memory_is_at_distance_nought() -> None:
    patches = random_patches(300)
    memory = PatchMemory.fit(patches, 300, seed=0)
    assert distances(memory, patches).max() < 1e-4


def test_asking_changes_nothing() -> None:
    patches = random_patches(300)
    memory = PatchMemory.fit(patches, 50, seed=0)
    before = patches.clone(), memory.patches.clone()
    first = distances(memory, patches)
    assert torch.equal(patches, before[0])
    assert torch.equal(memory.patches, before[1])
    assert torch.equal(distances(memory, patches), first)


def test_many_patches_are_asked_in_pieces_without_a_seam() -> None:
    memory = PatchMemory.fit(random_patches(100, 8), 20, seed=0)
    queries = random_patches(8195, 8, seed=2)
    np.testing.assert_allclose(distances(memory, queries).numpy(), brute_force(memory, queries), atol=1e-3)


def test_the_same_patches_and_seed_give_the_same_memory_and_another_seed_does_not() -> None:
    patches = random_patches(25_000, 8)
    first, again, other = (PatchMemory.fit(patches, 60, seed) for seed in (3, 3, 4))
    assert torch.equal(first.patches, again.patches)
    assert not torch.equal(first.patches, other.patches)


def test_memories_do_not_hang_on_the_order_of_threads() -> None:
    patches = random_patches(2000, 16)
    memory = PatchMemory.fit(patches, 60, seed=1)
    with ThreadPoolExecutor(4) as threads:
        fitted = list(threads.map(lambda _: PatchMemory.fit(patches, 60, seed=1).patches, range(8)))
        asked = list(threads.map(lambda _: distances(memory, patches), range(8)))
    assert all(torch.equal(one, memory.patches) for one in fitted)
    assert all(torch.equal(one, asked[0]) for one in asked)


def test_the_memory_is_a_choice_of_the_patches_and_no_larger_than_asked() -> None:
    patches = random_patches(500, 6)
    memory = PatchMemory.fit(patches, 40, seed=0)
    standardised = {tuple(row) for row in memory.projection(patches).tolist()}
    chosen = [tuple(row) for row in memory.patches.tolist()]
    assert len(chosen) == len(set(chosen)) == 40
    assert set(chosen) <= standardised


def test_rare_normal_patches_are_remembered() -> None:
    """Four kinds of patch, one of them a thousandth: each gets a place in a memory of four."""
    centres = torch.eye(4).repeat_interleave(torch.tensor([1000, 1000, 1000, 3]), dim=0) * 100
    patches = centres + 0.01 * random_patches(3003, 4)
    memory = PatchMemory.fit(patches, 4, seed=0)
    restored = memory.patches @ torch.linalg.inv(memory.projection.matrix) + memory.projection.mean
    assert sorted(restored.argmax(1).tolist()) == [0, 1, 2, 3]


def test_fewer_patches_than_places_are_all_kept() -> None:
    assert PatchMemory.fit(random_patches(7, 3), 100, seed=0).patches.shape == (7, 3)
    assert PatchMemory.fit(random_patches(1, 3), 100, seed=0).patches.tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_features_that_are_no_numbers_are_never_remembered(odd) -> None:
    patches = random_patches(10, 3)
    patches[4, 1] = odd
    with pytest.raises(FittedPartError, match="finite"):
        PatchMemory.fit(patches, 5, seed=0)


def greedy(points: torch.Tensor, count: int, first: int) -> list[int]:
    """The farthest point from all before it, looking at every point every time."""
    points = points.double()
    chosen = [first]
    nearest = torch.full((len(points),), torch.inf, dtype=torch.float64)
    while len(chosen) < count:
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(1))
        chosen.append(int(nearest.argmax()))
    return chosen


@pytest.mark.parametrize("few", [1, 2, 16, 5000])
def test_patches_are_chosen_one_by_one_the_farthest_each_time(few, monkeypatch) -> None:
    monkeypatch.setattr(memory_module, "_FARTHEST", few)
    points = random_patches(3000, 12, seed=5)
    found = memory_module._k_center(points, 200, torch.Generator().manual_seed(3)).tolist()
    assert found == greedy(points, 200, found[0])


def test_alike_patches_are_chosen_without_end() -> None:
    points = torch.ones(300, 4)
    assert len(memory_module._k_center(points, 20, torch.Generator().manual_seed(0))) == 20
