"""Where a frozen network runs, and what happens when nothing can be computed there or memory runs out."""

import contextlib
import functools
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from knowledge import InputError, ToolFailure

_MEMORY_WORDS = (
    *("out of memory", "can't allocate memory", "alloc_failed", "not enough memory"),
    # What libraries on CUDA say where nothing is left for their own work.
    *("cublas_status_not_initialized", "cudnn_status_not_initialized", "unable to find an engine"),
)
_CUDA_WORDS = (
    *("cuda error", "cuda driver", "cuda call failed", "nvidia driver", "no kernel image"),
    *("cudnn", "cublas", "unable to find an engine"),
)

_TF32 = threading.Lock()


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is the first of cuda, mps and cpu that this machine has; `cuda:1` is the second GPU."""
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if _count(kind)))
    found = re.fullmatch(r"(cpu|cuda|mps)(?::(\d+))?", name)
    if found is None:
        raise InputError(f"there is no device {name!r}; use auto, cpu, cuda, cuda:1 or mps")
    if int(found[2] or 0) >= _count(found[1]):
        raise InputError(f"this machine has no device {name!r}; use auto or cpu, or install a torch that knows it")
    return torch.device(name)


class UsableDevice(NamedTuple):
    device: torch.device
    instead: str
    """Of which other device it takes the place, and why; empty where it takes none's."""


def usable_device(name: str = "auto") -> UsableDevice:
    """`pick_device`, and the CPU where `auto` finds a GPU on which nothing can be computed.

    Raises `InputError` where such a GPU was asked for by name.
    """
    device = pick_device(name)
    trouble = _trouble(str(device)) if device.type == "cuda" else ""
    if trouble and name != "auto":
        raise InputError(f"the device {name!r} cannot be used ({trouble}); set ANOMALYST_DEVICE to cpu or auto")
    return (
        UsableDevice(torch.device("cpu"), f"{device} cannot be used ({trouble})")
        if trouble
        else UsableDevice(device, "")
    )


class FrozenNetwork:
    """A network without gradients, on one device.

    Pictures come from the CPU and results go back there: whoever uses them (memory, maps, files) then never has to ask
    where a tensor lies, and the device holds one batch at a time. What it gives is float32 always.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        compute: Callable[..., tuple[Tensor, ...]],
        device: torch.device,
        compiled: bool = False,
        precise: bool = False,
    ) -> None:
        """`compute` is told (B, 3, h, w) pictures and gives tensors of B rows, with nothing but the `module`.

        On a GPU it computes in bfloat16 unless it is to be `precise`, which is float32 without TF32.
        """
        self.device = device
        self.notes: list[str] = []
        """What memory made of the work, one sentence each, for the report."""
        self._name = name
        self._precise = precise
        self._module = module.eval().requires_grad_(False)
        self._eager = compute
        self._compute = torch.compile(compute, dynamic=False) if compiled else compute
        # Two batches at once would need the memory of two; on the CPU the threads of torch share the work already.
        self._turn = threading.RLock()
        if not self._moved():
            self._retreat("its weights alone")

    @property
    def precision(self) -> str:
        """In which it computes now: `float32` or `bfloat16`."""
        return "float32" if self._precise or not _has_bfloat16(self.device) else "bfloat16"

    def __call__(self, images: Tensor, **options: bool) -> tuple[Tensor, ...]:
        """(B, 3, h, w) float32 on the CPU -> float32 on the CPU; raises `ToolFailure` where one picture is too much."""
        with self._turn if self.device.type != "cpu" else contextlib.nullcontext():
            return self._run(images, options)

    def _run(self, images: Tensor, options: dict[str, bool]) -> tuple[Tensor, ...]:
        done = self._attempt(images, options)
        if done is not None:
            return done
        count = "one picture" if len(images) == 1 else f"{len(images)} pictures"
        load = f"{count} of {images.shape[-1]} x {images.shape[-2]} pixels"
        if len(images) > 1:
            self._note(f"{self._name} ran out of memory on {self.device} with {load} and took them in halves")
            halves = [self._run(half, options) for half in images.tensor_split(2)]
            return tuple(torch.cat(parts) for parts in zip(*halves, strict=True))
        if self.device.type == "cpu":
            raise ToolFailure(f"{self._name} has not enough memory for {load}; use a smaller area")
        self._retreat(load)
        return self._run(images, options)

    def _attempt(self, images: Tensor, options: dict[str, bool]) -> tuple[Tensor, ...] | None:
        """None where memory ran out: the error is dropped here, since its traceback would keep the memory."""
        try:
            with torch.no_grad(), _precision(self.device, self._precise):
                results = self._compute(images.to(self.device), **options)
            return tuple(result.float().cpu() for result in results)
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
        _give_back(self.device)
        return None

    def _moved(self) -> bool:
        try:
            self._module.to(self.device)
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            return False
        return True

    def _retreat(self, load: str) -> None:
        """To the CPU for good: a device that is too small once stays too small, and results must not hang on luck."""
        self._note(f"{self._name} ran out of memory on {self.device} with {load} and ran on the CPU from then on")
        self._module.to("cpu")
        _give_back(self.device)
        self._compute = self._eager
        self.device = torch.device("cpu")

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def _count(kind: str) -> int:
    if kind == "cuda":
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    return int(kind == "cpu" or torch.backends.mps.is_available())


@functools.cache
def _trouble(device: str) -> str:
    """Why nothing can be computed on a GPU that is there, such as for its driver; empty where it is fit, or only full."""
    try:
        _try_out(torch.device(device))
    except (RuntimeError, torch.cuda.DeferredCudaCallError) as error:
        said = str(error).strip()
        if "out of memory" in said.lower():
            return ""
        if not _says(error, _CUDA_WORDS):
            raise
        return said.splitlines()[0].rstrip(".")
    return ""


def _try_out(device: torch.device) -> None:
    """A convolution and a matrix product come from libraries of their own; to bring them back is to wait for errors."""
    ones = torch.ones(1, 8, 8, 8, device=device)
    nn.functional.conv2d(ones, ones).cpu()
    (ones[0, 0] @ ones[0, 0]).cpu()


def _precision(device: torch.device, precise: bool) -> contextlib.AbstractContextManager[Any]:
    if device.type != "cuda":
        return contextlib.nullcontext()
    if precise:
        return _without_tf32()
    return torch.autocast("cuda", torch.bfloat16) if _has_bfloat16(device) else contextlib.nullcontext()


def _has_bfloat16(device: torch.device) -> bool:
    """Emulated it is slower than float32."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


@contextlib.contextmanager
def _without_tf32() -> Iterator[None]:
    """One network at a time: torch keeps these settings for the whole process."""
    backends: Any = torch.backends
    places = (backends.cudnn.conv, backends.cuda.matmul)
    with _TF32:
        before = [place.fp32_precision for place in places]
        try:
            for place in places:
                place.fp32_precision = "ieee"
            yield
        finally:
            for place, precision in zip(places, before, strict=True):
                place.fp32_precision = precision


def _out_of_memory(error: RuntimeError) -> bool:
    """Only CUDA has a class for it; other devices, and libraries on CUDA, say it in words."""
    return isinstance(error, torch.OutOfMemoryError) or _says(error, _MEMORY_WORDS)


def _says(error: Exception, words: tuple[str, ...]) -> bool:
    return any(word in str(error).lower() for word in words)


def _give_back(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
