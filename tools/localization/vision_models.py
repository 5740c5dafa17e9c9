"""Importing timm where torchvision's compiled operators do not match the installed torch.

The registry's torchvision for Linux is linked to CUDA; beside a CPU-only torch its operators do not load and
`import torchvision` fails, although timm needs only its Python parts. Declaring the two operators that it registers
without asking lets the import pass; they are never called here.
"""

import functools
import importlib
import sys
from types import ModuleType

import torch

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@functools.cache
def import_timm() -> ModuleType:
    """The timm module, with torchvision mended first where it must be."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        _declare_operators()
        importlib.import_module("torchvision")
    return importlib.import_module("timm")


@functools.cache
def _declare_operators() -> torch.library.Library:
    """Kept by the cache: the declarations live as long as the library object."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in _OPERATORS:
        library.define(operator)
    return library
