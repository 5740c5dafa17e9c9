"""Prompts: similarity to a normal and an abnormal vector, free or read by a text tower, learned and brought to a product."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tools.localization.anomaly_map import MapScale
from tools.localization.differences import Difference, ResidualScale
from tools.localization.prompted import Prompted
from tools.localization.prompted_picture import PromptedPicture
from tools.localization.prompts import WIDTH, LearnablePrompts, Prompts
from tools.localization.text_tower import PromptSlots


def plain(offset: float = 0.0) -> Prompts:
    """Two inputs, as they are: the first is the normal prompt, the second the abnormal one."""
    return Prompts(
        torch.zeros(2),
        torch.ones(2),
        torch.eye(2),
        torch.zeros(2),
        torch.eye(2),
        torch.tensor(10.0),
        torch.tensor(offset),
    )


class Tower:
    """A text tower of one matrix: a text is the sum of its tokens, turned."""

    dim = 5
    width = 3

    def __init__(self) -> None:
        self.matrix = torch.linspace(-1, 1, 15).reshape(3, 5)

    def encode(self, texts: object) -> Tensor:
        raise NotImplementedError

    def prompts(self, texts: object, context: int) -> PromptSlots:
        tokens = torch.arange(2.0)[:, None, None].expand(2, context + 1, 3)
        return PromptSlots(torch.zeros(2, context + 1, dtype=torch.int64), tokens, slice(0, context))

    def encode_prompts(self, slots: PromptSlots, vectors: Tensor) -> Tensor:
        words = slots.tokens[:, slots.context.stop :].sum(1)
        return torch.nn.functional.normalize((vectors.sum(1) + words) @ self.matrix, dim=-1)


@pytest.mark.parametrize(
    ("encoded", "cosines"), [((1.0, 0.0), (1, 0)), ((0.0, 3.0), (0, 1)), ((2.0, 2.0), (0.7071068, 0.7071068))]
)
def test_a_logit_is_the_difference_of_two_cosines(encoded, cosines) -> None:
    expected = 10.0 * (cosines[1] - cosines[0]) + 0.5
    np.testing.assert_allclose(plain(0.5).logits(torch.tensor([encoded])), [expected], atol=1e-5)


def test_prompts_survive_saving_and_shapes_are_checked() -> None:
    tensors = plain().tensors(3)
    assert all(torch.equal(a, b) for a, b in zip(Prompts.of_tensors(tensors, 3, 1), plain(), strict=True))
    with pytest.raises(KeyError):
        Prompts.of_tensors(tensors, 2, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bias", torch.zeros(3)),
        ("weight", torch.eye(2).half()),
        ("weight", torch.eye(2).long()),
        ("weight", torch.zeros(2, 9)),
        ("mean", torch.tensor([0.0, torch.nan])),
        ("deviation", torch.zeros(2)),
        ("vectors", 1e30 * torch.eye(2)),
        ("vectors", torch.zeros(2, 2)),
        ("temperature", torch.tensor(-1.0)),
        ("temperature", torch.ones(1)),
        ("offset", torch.tensor(torch.inf)),
    ],
)
def test_what_prompts_cannot_be_is_refused(name, value) -> None:
    with pytest.raises(ValueError, match="prompts"):
        Prompts.of_tensors({**plain().tensors(0), f"prompts.0.{name}": value}, 0, 1)


def test_prompts_for_patches_of_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        Prompts.of_tensors(plain().tensors(0), 0, 2)


@pytest.mark.parametrize("text", [None, Tower()])
def test_prompts_are_learned_through_their_own_parameters_alone(text) -> None:
    torch.manual_seed(0)
    model = LearnablePrompts(torch.zeros(4), torch.ones(4), text)
    encoded = torch.randn(64, 4)
    odd = (encoded[:, 0] > 0).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(80):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model.prompts().logits(encoded), odd)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.3 * losses[0]
    assert model.learned.grad is not None
    assert model.learned.grad.abs().sum() > 0
    frozen = model.frozen()
    assert not any(value.requires_grad for value in frozen)
    np.testing.assert_allclose(frozen.vectors.norm(dim=1), 1.0, rtol=1e-5)
    assert frozen.vectors.shape == (2, WIDTH if text is None else Tower.dim)


def test_a_channel_that_never_varies_is_no_division_by_zero() -> None:
    assert torch.isfinite(LearnablePrompts(torch.zeros(2), torch.zeros(2)).frozen().logits(torch.ones(3, 2))).all()


def test_the_temperature_has_a_limit() -> None:
    model = LearnablePrompts(torch.zeros(2), torch.ones(2))
    with torch.no_grad():
        model.log_temperature.fill_(50.0)
    assert model.frozen().temperature == 100.0


def looks(*values: float) -> tuple[Difference, ...]:
    """One look of one channel and one row; distances are the differences themselves."""
    grid = torch.tensor(values)
    return (Difference(grid, grid[:, None], torch.Size((1, len(values)))),)


def test_prompts_come_to_the_scale_of_a_product() -> None:
    held_out = [looks(1.0, 1.0, 1.0), looks(2.0, 2.0, 2.0), looks(4.0, 4.0, 4.0)]
    known = Prompted.fit((plain(),), held_out)
    # Distances are e^0, e^ln 2, e^2 ln 2: their robust deviation is 1.4826 ln 2.
    assert known.strength == pytest.approx(1.4826 * math.log(2), rel=1e-5)
    assert known.residuals[0].noise.tolist() == pytest.approx([7 / 3])
    # The median part is neither raised nor lowered.
    np.testing.assert_allclose(known.factors(held_out[1]), 1.0, rtol=1e-5)


def picture(value: float) -> Difference:
    """As `looks`, of a picture as a whole."""
    return looks(value)[0]


def test_image_level_prompts_come_to_the_scale_of_a_product() -> None:
    held_out = [picture(value) for value in (1.0, 2.0, 4.0)]
    known = PromptedPicture.fit(plain(), held_out, torch.tensor([3.0, 6.0, 12.0]))
    assert known.strength == pytest.approx(1.4826 * math.log(2), rel=1e-5)
    assert known.residual.noise.tolist() == pytest.approx([7 / 3])
    # The median part is neither raised nor lowered, and one logit's deviation is worth one of the distances'.
    assert float(known.factor(held_out[1])) == pytest.approx(1.0)
    logit = known.scale.median + known.scale.deviation
    above = known._replace(prompts=known.prompts._replace(temperature=torch.tensor(0.0), offset=torch.tensor(logit)))
    assert float(above.factor(held_out[1])) == pytest.approx(math.exp(known.strength), rel=1e-4)


def test_no_opinion_of_a_picture_overflows() -> None:
    residual = ResidualScale(torch.ones(1), torch.tensor(0.0))
    known = PromptedPicture(plain(1e9), residual, MapScale(0.0, 1.0), 1.0)
    assert torch.isfinite(known.factor(picture(1e6)))


def test_the_scale_of_pictures_survives_saving() -> None:
    known = PromptedPicture.fit(plain(), [picture(value) for value in (1.0, 2.0, 5.0)], torch.tensor([1.0, 2.0, 3.0]))
    again = PromptedPicture.of_tensors(known.tensors(), 1)
    assert torch.equal(again.factor(picture(7.0)), known.factor(picture(7.0)))
    with pytest.raises(ValueError, match="expected"):
        PromptedPicture.of_tensors(known.tensors(), 2)


def test_what_prompts_call_abnormal_is_raised_and_what_they_call_normal_is_lowered() -> None:
    residuals = ResidualScale(torch.ones(1), torch.tensor(0.0))
    # Inputs are ln(1 + r) and ln d: with the normal prompt first, only the distance speaks for an anomaly.
    known = Prompted((plain(),), (residuals,), (MapScale(0.0, 1.0),), 0.1)
    small, large = (float(known.factors(looks(value))[0, 0]) for value in (0.5, 1e6))
    assert small < 1.0
    expected = plain().logits(torch.tensor([[math.log1p(1e6), math.log(1e6)]]))
    assert large == pytest.approx(math.exp(0.1 * float(expected)), rel=1e-5)


def test_no_opinion_overflows() -> None:
    residuals = ResidualScale(torch.ones(1), torch.tensor(0.0))
    known = Prompted((plain(1e9),), (residuals,), (MapScale(0.0, 1.0),), 1.0)
    assert torch.isfinite(known.factors(looks(1.0))).all()


def test_the_scale_of_a_product_survives_saving() -> None:
    known = Prompted.fit((plain(),), [looks(1.0, 2.0), looks(3.0, 5.0)])
    again = Prompted.of_tensors(known.tensors(), 1, (1,))
    assert torch.equal(again.factors(looks(7.0, 0.1)), known.factors(looks(7.0, 0.1)))


def test_each_layer_is_judged_by_its_own_prompts_at_every_look() -> None:
    residuals = ResidualScale(torch.ones(1), torch.tensor(0.0))
    scale = MapScale(0.0, 1.0)
    one, other = plain(0.5), plain(-2.0)
    seen = tuple(each for value in (0.3, 0.6, 0.9, 1.2) for each in looks(value))
    known = Prompted((one, other), (residuals,) * 4, (scale,) * 4, 1.0)
    logits = [
        float(of.logits(residuals.encode(difference)))
        for of, difference in zip((one, other, one, other), seen, strict=True)
    ]
    assert float(known.factors(seen)) == pytest.approx(math.exp(sum(logits) / 4), rel=1e-5)
