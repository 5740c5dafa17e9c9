"""Tensors from a file, which anybody may have written."""

from collections.abc import Mapping

import torch
from torch import Tensor


def expect(tensors: Mapping[str, Tensor], name: str, *shape: int | None, dtype: torch.dtype = torch.float32) -> Tensor:
    """The tensor of that name, of finite numbers; any length fits where the shape says None.

    Raises `KeyError` where it is missing, and `ValueError` where it is another.
    """
    tensor = tensors[name]
    fits = len(shape) == tensor.ndim and all(
        size in (None, found) for size, found in zip(shape, tensor.shape, strict=True)
    )
    if tensor.dtype != dtype or not fits:
        raise ValueError(
            f"{name}: expected {dtype} of shape {shape}, got {tensor.dtype} of shape {tuple(tensor.shape)}"
        )
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name}: expected finite numbers")
    return tensor
