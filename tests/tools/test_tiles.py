"""Tiles: every place of a large input is seen once, as it would be seen whole."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from knowledge import RequestError
from tools.localization.backbones import load_backbone
from tools.localization.features import Features
from tools.localization.manifest import parse_looks
from tools.localization.tiles import _spans, forward


class Pooling:
    """Two layers without surroundings, at strides 8 and 16; remembers what it was shown."""

    multiple = 32

    def __init__(self) -> None:
        self.shown: list[tuple[int, int]] = []

    def forward(self, images: Tensor) -> Features:
        self.shown.append((images.shape[2], images.shape[3]))
        embedding = F.normalize(torch.stack([images.mean(), images.std()])[None], dim=1)
        return Features((F.avg_pool2d(images, 8), F.avg_pool2d(images, 16)), embedding)


def whole(images: Tensor) -> tuple[Tensor, Tensor]:
    return F.avg_pool2d(images, 8), F.avg_pool2d(images, 16)


@pytest.mark.parametrize("size", [(1600, 320), (320, 1600), (1184, 2016), (832, 832)])
def test_tiles_give_what_the_whole_gives(size) -> None:
    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    backbone: Any = Pooling()
    found = forward(backbone, images)
    for tiled, expected in zip(found.layers, whole(images), strict=True):
        assert torch.equal(tiled, expected)
    assert all(max(shown) <= 800 for shown in backbone.shown)
    np.testing.assert_allclose(found.embeddings.norm(), 1.0, rtol=1e-5)


@pytest.mark.parametrize("size", [(480, 480), (800, 320)])
def test_what_is_small_enough_is_seen_whole(size) -> None:
    backbone: Any = Pooling()
    forward(backbone, torch.rand(1, 3, *size))
    assert backbone.shown == [size]


@given(st.integers(26, 400), st.sampled_from([14, 16, 32]))
def test_what_is_kept_parts_every_length_without_gaps(steps, multiple) -> None:
    length = steps * multiple
    spans = _spans(length, multiple)
    assert spans[0].kept_from == 0
    assert spans[-1].kept_to == length
    for left, right in itertools.pairwise(spans):
        assert left.kept_to == right.kept_from
        assert right.start < left.stop, "neighbours overlap"
    for span in spans:
        assert span.start <= span.kept_from < span.kept_to <= span.stop
        assert all(edge % multiple == 0 for edge in span)
        assert span.stop <= length


def test_a_network_with_surroundings_sees_in_tiles_nearly_what_it_sees_whole() -> None:
    backbone = load_backbone()
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.random((1, 3, 30, 12))).float()
    images = F.interpolate(coarse, size=(960, 384), mode="bicubic")
    tiled = forward(backbone, images)
    expected = backbone.forward(images)
    for ours, theirs in zip(tiled.layers, expected.layers, strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).norm() / theirs.norm() < 0.05
    assert not torch.equal(tiled.layers[-1], expected.layers[-1]), "it was seen in tiles"


def test_looks_are_given_by_their_sides() -> None:
    assert parse_looks("") is None
    assert parse_looks("224, 480,960") == (224**2, 480**2, 960**2)


@pytest.mark.parametrize("sides", ["0", "224,", "a", "224;480", "-5", "100000", "²"])
def test_looks_that_are_none_say_what_is_expected(sides) -> None:
    with pytest.raises(RequestError, match="32 to 4096"):
        parse_looks(sides)
