"""anomalib's models on painted plates, where it is installed; and what is said where it is not."""

import importlib.util
import sys
from functools import partial

import numpy as np
import pytest
import torch

from evals.peers import PEERS, Peer, _coreset, load_peer
from evals.simulated import paint_plate
from knowledge import RequestError
from tools import load_backbone

AREA = 96 * 96

installed = pytest.mark.skipif(
    importlib.util.find_spec("anomalib") is None, reason="anomalib is not installed; `make peers` does it"
)


def fitted(name: str, seed: int = 0) -> Peer:
    peer = load_peer(name, AREA, seed)
    peer.fit([partial(paint_plate, number) for number in range(8)])
    return peer


@pytest.fixture(scope="module", params=PEERS)
def peer(request: pytest.FixtureRequest) -> Peer:
    return fitted(request.param)


@installed
def test_a_map_has_the_shape_of_the_picture(peer) -> None:
    score, anomaly_map = peer.judge(paint_plate(100)[:70])
    assert anomaly_map.shape == (70, 128)
    assert anomaly_map.dtype == np.float32
    assert np.isfinite(anomaly_map).all()
    assert np.isfinite(score)


@installed
def test_a_spot_is_seen_and_seen_where_it_is(peer) -> None:
    normal = [peer.judge(paint_plate(seed))[0] for seed in range(100, 104)]
    score, anomaly_map = peer.judge(paint_plate(100, "spot"))
    assert score > 1.2 * max(normal)
    row, column = np.unravel_index(anomaly_map.argmax(), anomaly_map.shape)
    assert np.hypot(row - 76, column - 20) < 16


@installed
def test_maps_are_raw(peer) -> None:
    quiet, loud = (peer.judge(paint_plate(100, defect))[1] for defect in ("", "spot"))
    assert quiet.min() > 0
    assert loud.max() > quiet.max() > 1


@installed
@pytest.mark.parametrize("name", PEERS)
def test_the_seed_decides_everything_and_nobody_else_s_numbers_change(name) -> None:
    part = paint_plate(100, "scratch")
    load_backbone()
    drawn = np.random.get_state()[1].copy(), torch.get_rng_state()
    score, anomaly_map = fitted(name).judge(part)
    assert np.array_equal(np.random.get_state()[1], drawn[0])
    assert torch.equal(torch.get_rng_state(), drawn[1])
    torch.rand(1)
    again = fitted(name).judge(part)
    assert again[0] == score
    assert np.array_equal(again[1], anomaly_map)
    assert not np.array_equal(fitted(name, seed=1).judge(part)[1], anomaly_map)


@installed
def test_what_was_learned_before_is_forgotten(peer) -> None:
    once = fitted(peer.name)
    once.fit([partial(paint_plate, number) for number in range(20, 23)])
    once.fit([partial(paint_plate, number) for number in range(8)])
    assert once.judge(paint_plate(100))[0] == peer.judge(paint_plate(100))[0]


@installed
def test_the_coreset_is_the_one_that_anomalib_chooses() -> None:
    load_peer("patchcore", AREA, 0)
    from anomalib.models.components import KCenterGreedy

    patches = torch.rand(600, 152, generator=torch.Generator().manual_seed(0))
    chosen = []
    for choose in (KCenterGreedy.sample_coreset, _coreset):
        torch.manual_seed(1)
        np.random.seed(1)
        chosen.append(choose(KCenterGreedy(patches, 0.1)))
    assert chosen[0].shape == (60, 152)
    assert torch.equal(*chosen)


@pytest.mark.parametrize("name", PEERS)
def test_without_anomalib_it_is_said_how_to_get_it(name, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, f"anomalib.models.image.{name}.torch_model", None)
    with pytest.raises(RequestError, match=rf"^{name} needs anomalib, .*; run `make peers`$"):
        load_peer(name, AREA, 0)


def test_an_unknown_peer_is_refused() -> None:
    with pytest.raises(RequestError, match="no peer 'nothing'; known are patchcore, padim"):
        load_peer("nothing", AREA, 0)
