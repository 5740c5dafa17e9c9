"""A folded network gives what it gave before; each fold alone, then the embedded network whole."""

import copy

import pytest
import torch
from torch import nn

from tools import load_backbone
from tools.localization.folding import fold
from tools.localization.vision_models import import_timm


def drawn(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def folded(network: nn.Module) -> nn.Module:
    changed = copy.deepcopy(network)
    fold(changed)
    return changed


def counted(network: nn.Module, kind: type[nn.Module]) -> int:
    return sum(isinstance(module, kind) for module in network.modules())


def test_a_normalisation_with_an_activation_becomes_part_of_its_convolution() -> None:
    norm = import_timm().layers.BatchNormAct2d(5, eps=1e-3, act_layer=nn.ReLU6).eval()
    with torch.no_grad():
        norm.running_mean.copy_(drawn((5,), 1))
        norm.running_var.copy_(drawn((5,), 2).abs() + 0.1)
        norm.weight.copy_(3 * drawn((5,), 3))
        norm.bias.copy_(drawn((5,), 4))
    network = nn.Sequential(nn.Conv2d(3, 5, 3, bias=False), norm).eval()
    network[0].weight.data.copy_(drawn((5, 3, 3, 3), 5))
    pictures = 5 * drawn((2, 3, 9, 7))
    changed = folded(network)
    assert counted(changed, nn.BatchNorm2d) == 0
    torch.testing.assert_close(changed(pictures), network(pictures), atol=1e-5, rtol=1e-5)
    assert network(pictures).min() == 0, "the activation stays"
    assert network(pictures).max() == 6, "the activation stays"


@pytest.mark.parametrize("side", [3, 5, 7])
@pytest.mark.parametrize(("channels", "groups"), [(4, 1), (4, 4)])
@pytest.mark.parametrize("size", [(8, 8), (14, 6), (2, 32)])
def test_a_convolution_pads_alike_on_all_sides(side, channels, groups, size) -> None:
    network = nn.Sequential(import_timm().layers.Conv2dSame(channels, 8, side, stride=2, groups=groups)).eval()
    pictures = drawn((2, channels, *size))
    changed = folded(network)
    assert type(changed[0]) is nn.Conv2d
    torch.testing.assert_close(changed(pictures), network(pictures), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("options", [{"kernel_size": 3, "stride": 1}, {"kernel_size": 4, "stride": 2}])
def test_another_padding_convolution_is_refused(options) -> None:
    with pytest.raises(ValueError, match="expected an odd kernel and a stride of 2"):
        fold(nn.Sequential(import_timm().layers.Conv2dSame(3, 3, **options)))


@pytest.mark.parametrize("size", [(64, 64), (16, 16), (160, 48), (480, 480)])
def test_the_embedded_network_gives_what_it_gives_as_it_is_built(size) -> None:
    own, built = load_backbone(), load_backbone(as_built=True)
    assert own is not built
    assert own.weights_sha256 == built.weights_sha256
    pictures = drawn((2, 3, *size))
    found, expected = own.forward(pictures), built.forward(pictures)
    for layer, other in zip(found.layers, expected.layers, strict=True):
        torch.testing.assert_close(layer, other, atol=2e-5 * float(other.abs().max()), rtol=0)
    torch.testing.assert_close(found.embeddings, expected.embeddings, atol=1e-4, rtol=1e-4)


def test_another_backbone_is_loaded_once_however_it_is_asked_for() -> None:
    own, built = (load_backbone("timm/resnet10t", "random", as_built=as_built) for as_built in (False, True))
    assert own is built


def test_nothing_is_left_to_fold_in_the_embedded_network() -> None:
    network = load_backbone()._network
    assert counted(network, nn.BatchNorm2d) == 0
    assert counted(network, import_timm().layers.Conv2dSame) == 0


@pytest.mark.parametrize("size", [(64, 63), (8, 64), (65, 64)])
def test_an_input_of_other_sides_is_refused(size) -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        load_backbone().forward(drawn((1, 3, *size)))
