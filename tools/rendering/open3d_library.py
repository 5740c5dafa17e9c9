"""Importing open3d on a machine without libusb, which its wheel links to and never needs here."""

import ctypes
import functools
import importlib
import sys
from types import ModuleType


@functools.cache
def import_open3d() -> ModuleType:
    """The open3d module; where libusb-1.0 is missing, the copy of the package `libusb-package` is loaded first."""
    try:
        return importlib.import_module("open3d")
    except ImportError as error:
        if "libusb" not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "open3d"]:
        del sys.modules[name]
    libusb = importlib.import_module("libusb_package")
    ctypes.CDLL(str(libusb.get_library_path()), mode=ctypes.RTLD_GLOBAL)
    return importlib.import_module("open3d")
