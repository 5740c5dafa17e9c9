"""The same network in fewer operations, for a frozen one."""

import itertools

import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tools.localization.vision_models import import_timm


def fold(network: nn.Module) -> None:
    """Change a network of timm in evaluation mode; what it gives stays the same but for rounding.

    A normalisation becomes part of the convolution that stands before it. A convolution of stride 2 that pads more below
    and to the right, as TensorFlow's do, gets a row and a column of zeros above and to the left of its weights instead,
    and pads alike on all sides, so that torch need not copy what is padded: the same where its inputs' sides are even.
    """
    _fold_normalisations(network)
    _fold_padding(network)


def _fold_normalisations(module: nn.Module) -> None:
    children = list(module.named_children())
    for _, child in children:
        _fold_normalisations(child)
    for (first, convolution), (second, normalisation) in itertools.pairwise(children):
        if isinstance(convolution, nn.Conv2d) and isinstance(normalisation, nn.BatchNorm2d):
            setattr(module, first, fuse_conv_bn_eval(convolution, normalisation))
            setattr(module, second, nn.Sequential(*normalisation.children()))  # What timm puts in: an activation.


def _fold_padding(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, import_timm().layers.Conv2dSame):
            setattr(module, name, _padded_alike(child))
        else:
            _fold_padding(child)


def _padded_alike(convolution: nn.Conv2d) -> nn.Conv2d:
    """A stride of 2 and an odd kernel k: on even sides k // 2 - 1 places are padded above, and k // 2 below."""
    side = convolution.kernel_size[0]
    if (side % 2, convolution.stride, convolution.dilation) != (1, (2, 2), (1, 1)):
        raise ValueError(f"expected an odd kernel and a stride of 2, got {convolution}")
    alike = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        side + 1,
        stride=2,
        padding=side // 2,
        groups=convolution.groups,
        bias=convolution.bias is not None,
    )
    alike.weight = nn.Parameter(F.pad(convolution.weight, (1, 0, 1, 0)), requires_grad=False)
    alike.bias = convolution.bias
    return alike
