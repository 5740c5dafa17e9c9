"""Templates: what lies outside of the grey values that normal parts have at a place, worked by hand and learned."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tools.localization import Localizer, LocalizerSettings, Part, fit_localizer
from tools.localization.template import Template, grey

ALIGNED = LocalizerSettings(areas=(96 * 96,), memory_size=60, aligned=True)


def flat(value: float, size: tuple[int, int] = (40, 40)) -> np.ndarray:
    return np.full(size, value, np.float32)


def test_only_what_lies_outside_of_all_references_differs() -> None:
    template = Template.fit([flat(0.4), flat(0.6)])
    for value, expected in ((0.5, 0.0), (0.4, 0.0), (0.6, 0.0), (0.9, 0.3), (0.1, 0.3)):
        np.testing.assert_allclose(template.difference(flat(value)), expected, atol=1e-6)


@pytest.mark.parametrize(("shift", "seen"), [(0, False), (3, False), (4, True)])
def test_an_edge_may_lie_three_pixels_off(shift, seen) -> None:
    edge, moved = flat(0.0), flat(0.0)
    edge[:, 20:] = 1.0
    moved[:, 20 + shift :] = 1.0
    assert (Template.fit([edge]).difference(moved) > 0).any() == seen


def test_distances_stay_where_nothing_differs_and_rise_where_something_does() -> None:
    picture = flat(0.5)
    picture[20:40, 20:40] = 1.0
    distances = torch.full((4, 4), 2.0)
    raised = Template.fit([flat(0.5)]).raised(distances, picture)
    assert raised[0, 0] == 2.0
    # The corner's cell and all its neighbours differ by 0.5, which is 500 visible steps.
    np.testing.assert_allclose(raised[3, 3], 2.0 * (1 + math.log(501)), rtol=1e-4)
    assert torch.equal(Template.fit([picture]).raised(distances, picture), distances)


def test_pictures_of_other_sizes_are_compared_at_the_size_of_the_first() -> None:
    template = Template.fit([flat(0.5, (40, 60)), flat(0.5, (20, 30))])
    assert template.lowest.shape == (40, 60)
    assert template.difference(flat(0.9, (80, 120))).shape == (40, 60)


def test_grey_is_brightness_at_a_bounded_size() -> None:
    assert grey(np.full((10, 20, 3), 255, np.uint8)).tolist() == np.ones((10, 20)).tolist()
    large = grey(np.zeros((1500, 3000, 3), np.uint8))
    assert large.shape == (453, 905)
    assert large.dtype == np.float32


def block(seed: int, *, moved: bool = False, missing: bool = False) -> np.ndarray:
    """A bright square that always lies at the same place, on a ground with noise."""
    random = np.random.default_rng(seed)
    picture = random.normal(70, 4, (96, 96))
    if not missing:
        picture[30:60, slice(50, 80) if moved else slice(20, 50)] += 110
    return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def learned() -> dict[bool, Localizer]:
    parts = [Part(str(seed), lambda seed=seed: block(seed)) for seed in range(6)]
    return {
        aligned: fit_localizer(parts, settings=ALIGNED.model_copy(update={"aligned": aligned}))
        for aligned in (True, False)
    }


@pytest.mark.parametrize("defect", [{"moved": True}, {"missing": True}])
def test_what_is_moved_or_missing_stands_out_more_where_parts_are_aligned(learned, defect) -> None:
    odd, normal = block(50, **defect), block(51)
    margin = {
        aligned: localizer.localize(odd).score / localizer.localize(normal).score
        for aligned, localizer in learned.items()
    }
    assert margin[True] > 2 * margin[False]


def test_a_template_survives_saving(learned, tmp_path: Path) -> None:
    learned[True].save(tmp_path)
    picture = block(50, missing=True)
    assert np.array_equal(Localizer.load(tmp_path).localize(picture).map, learned[True].localize(picture).map)
    assert "place by place" in Localizer.load(tmp_path).manifest.appearance.reason


def test_a_template_of_the_very_view_takes_the_products_place(learned) -> None:
    odd = block(50, missing=True)
    forgiven = learned[True].localize(odd, odd)
    assert forgiven.score < learned[True].localize(odd).score
    # However large the picture is: what it is reduced to differs from its template as little.
    for picture in (odd, odd.repeat(6, axis=0).repeat(6, axis=1)):
        assert np.array_equal(learned[False].localize(picture, picture).map, learned[False].localize(picture).map)


def test_differences_count_from_what_is_visible_on() -> None:
    picture = flat(0.5)
    picture[20:40, 20:40] = 1.0
    template = Template.fit([flat(0.5)])._replace(visible=0.25)
    distances = torch.full((4, 4), 2.0)
    np.testing.assert_allclose(template.raised(distances, picture)[3, 3], 2.0 * (1 + math.log(3)), rtol=1e-4)
    assert template.largest(picture, torch.Size((4, 4))) == pytest.approx(0.5)


def test_a_template_of_saved_tensors_is_the_same_or_refused() -> None:
    template = Template.fit([flat(0.4), flat(0.6)])._replace(visible=0.02)
    again = Template.of_tensors(template.tensors())
    assert np.array_equal(again.lowest, template.lowest)
    assert np.array_equal(again.highest, template.highest)
    assert again.visible == 0.02
    with pytest.raises(ValueError, match="visible"):
        Template.of_tensors(template.tensors() | {"template.visible": torch.tensor(0.0, dtype=torch.float64)})
