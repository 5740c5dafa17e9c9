"""Where networks run: what is chosen, and what happens when memory runs out."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from knowledge import InputError, ToolFailure
from tools.chosen_device import choose_device, chosen_device
from tools.localization import backbones, devices, load_backbone
from tools.localization.devices import FrozenNetwork, pick_device, usable_device

CPU = torch.device("cpu")
FAKE = torch.device("meta")
"""A device that is not the CPU and that every machine has; what is moved there has a shape and no values."""


class Doubler:
    """Doubles pictures, and has memory for so many on the CPU and so many elsewhere."""

    def __init__(self, on_cpu: int = 1000, elsewhere: int = 1000, error: type[RuntimeError] = torch.OutOfMemoryError):
        self.room = {"cpu": on_cpu, "meta": elsewhere}
        self.error = error
        self.batches: list[tuple[str, int]] = []

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        self.batches.append((images.device.type, len(images)))
        if len(images) > self.room[images.device.type]:
            raise self.error("tried to allocate 2 GiB: Out of Memory")
        return images * 2, images.mean((1, 2, 3))


def frozen(compute: Doubler, device: torch.device = CPU) -> FrozenNetwork:
    return FrozenNetwork("doubler", nn.Identity(), compute, device)


def pictures(count: int) -> Tensor:
    return torch.arange(count * 12.0).reshape(count, 3, 2, 2)


@pytest.mark.parametrize("device", ["auto", "cpu", "cpu:0"])
def test_there_is_always_a_device(device) -> None:
    assert pick_device(device).type in {"cpu", "cuda", "mps"}


def test_the_fastest_device_is_found(monkeypatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device() == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device() == torch.device("cuda")
    assert pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match="no device 'cuda:2'"):
        pick_device("cuda:2")


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:-1", "cpu:1", "Auto", "meta"])
def test_another_device_is_refused_with_those_there_are(device) -> None:
    with pytest.raises(InputError, match="use auto"):
        pick_device(device)


OLD_BUILD = "CUDA error: no kernel image is available for execution on the device"


@pytest.fixture
def gpus(monkeypatch) -> Iterator[Callable[[Exception | None], None]]:
    """Give this machine two GPUs, on which the first computation raises an error, or none."""
    ones = torch.ones

    def give(error: Exception | None) -> None:
        def placed(*shape: Any, device: Any = None, **options: Any) -> Tensor:
            if error and torch.device(device or "cpu").type == "cuda":
                raise error
            return ones(*shape, **options)

        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        monkeypatch.setattr(torch, "ones", placed)

    caches: Any = (devices._trouble, backbones._load)
    for cache in caches:
        cache.cache_clear()
    yield give
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize(
    "said",
    [
        OLD_BUILD,
        "CUDA driver initialization failed, you might not have a CUDA gpu.",
        "CUDA driver version is insufficient for CUDA runtime version",
        "The NVIDIA driver on your system is too old (found version 10010).",
        "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "GET was unable to find an engine to execute this computation",
    ],
)
def test_a_gpu_that_cannot_be_used_is_left_to_those_who_ask_for_it_by_name(said, gpus) -> None:
    gpus(RuntimeError(f"{said}\nCompile with TORCH_USE_CUDA_DSA"))
    reason = said.rstrip(".")
    assert usable_device() == (CPU, f"cuda cannot be used ({reason})")
    assert usable_device("cpu") == (CPU, "")
    with pytest.raises(InputError) as refused:
        usable_device("cuda:1")
    assert str(refused.value) == f"the device 'cuda:1' cannot be used ({reason}); set ANOMALYST_DEVICE to cpu or auto"


@pytest.mark.parametrize("error", [None, torch.OutOfMemoryError, RuntimeError])
def test_a_gpu_that_is_fit_or_only_full_is_used(error, gpus) -> None:
    gpus(error and error("CUDA error: out of memory"))
    assert usable_device() == (torch.device("cuda"), "")
    assert usable_device("cuda:1") == (torch.device("cuda:1"), "")


def test_an_error_of_ours_on_a_gpu_is_not_taken_for_one_of_the_gpu(gpus) -> None:
    gpus(RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes"):
        usable_device()


def test_a_backbone_says_why_it_is_not_on_the_gpu(gpus) -> None:
    gpus(RuntimeError(OLD_BUILD))
    for _ in range(2):
        backbone = load_backbone()
        assert backbone.notes == [f"efficientnet_lite0 ran on the CPU, since cuda cannot be used ({OLD_BUILD})"]
    assert backbone.forward(torch.zeros(1, 3, 32, 32)).embeddings.shape[0] == 1
    with pytest.raises(InputError, match=r"the device 'cuda' cannot be used"):
        load_backbone(device="cuda")


def test_a_backbone_is_loaded_on_the_chosen_device_unless_an_argument_names_another(gpus) -> None:
    gpus(RuntimeError(OLD_BUILD))
    choose_device("cuda:1")
    assert chosen_device() == "cuda:1"
    with pytest.raises(InputError, match="'cuda:1' cannot"):
        load_backbone()
    assert load_backbone(device="cpu").notes == []
    choose_device("gpu")
    with pytest.raises(InputError, match="no device 'gpu'; use auto, cpu"):
        load_backbone()


def precisions() -> list[str]:
    backends: Any = torch.backends
    return [place.fp32_precision for place in (backends.cudnn.conv, backends.cuda.matmul)]


@pytest.fixture
def tf32() -> Iterator[None]:
    """TF32 allowed by whoever uses this process, in convolutions and in products."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.usefixtures("tf32")
def test_a_precise_network_on_a_gpu_computes_without_tf32_and_changes_nothing_for_others() -> None:
    assert precisions() == ["tf32", "tf32"]
    with devices._precision(torch.device("cuda"), precise=True):
        assert precisions() == ["ieee", "ieee"]
    assert precisions() == ["tf32", "tf32"]
    with pytest.raises(ValueError, match="broken"), devices._precision(torch.device("cuda"), precise=True):
        raise ValueError("broken")
    assert precisions() == ["tf32", "tf32"]
    with devices._precision(CPU, precise=True):
        assert precisions() == ["tf32", "tf32"]


@pytest.mark.parametrize(
    ("device", "bfloat16", "precise", "said"),
    [
        ("cuda", True, False, "bfloat16"),
        ("cuda", True, True, "float32"),
        ("cuda", False, False, "float32"),
        ("cpu", True, False, "float32"),
    ],
)
def test_a_network_says_in_which_precision_it_computes(monkeypatch, device, bfloat16, precise, said) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)
    network = FrozenNetwork("identity", nn.Identity(), lambda images: (images,), CPU, precise=precise)
    network.device = torch.device(device)
    assert network.precision == said
    network.device = CPU  # as where its memory ran out
    assert network.precision == "float32"


@pytest.mark.usefixtures("tf32")
def test_precise_networks_that_meet_on_a_gpu_do_not_give_tf32_back_to_each_other() -> None:
    def compute(_: int) -> list[str]:
        with devices._precision(torch.device("cuda"), precise=True):
            torch.ones(200, 200).matmul(torch.ones(200, 200))
            return precisions()

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(compute, range(200)))
    assert found == [["ieee", "ieee"]] * 200
    assert precisions() == ["tf32", "tf32"]


def test_a_batch_that_fits_is_run_at_once() -> None:
    compute = Doubler()
    network = frozen(compute)
    doubled, means = network(pictures(5))
    assert torch.equal(doubled, pictures(5) * 2)
    assert torch.equal(means, pictures(5).mean((1, 2, 3)))
    assert compute.batches == [("cpu", 5)]
    assert network.notes == []


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_a_batch_that_does_not_fit_is_run_in_halves_in_order(error) -> None:
    compute = Doubler(on_cpu=2, error=error)
    network = frozen(compute)
    doubled, means = network(pictures(7))
    assert torch.equal(doubled, pictures(7) * 2)
    assert torch.equal(means, pictures(7).mean((1, 2, 3)))
    assert [size for _, size in compute.batches] == [7, 4, 2, 2, 3, 2, 1]
    assert network.notes == [
        "doubler ran out of memory on cpu with 7 pictures of 2 x 2 pixels and took them in halves",
        "doubler ran out of memory on cpu with 4 pictures of 2 x 2 pixels and took them in halves",
        "doubler ran out of memory on cpu with 3 pictures of 2 x 2 pixels and took them in halves",
    ]
    network(pictures(7))
    assert len(network.notes) == 3


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
        "GET was unable to find an engine to execute this computation",
        "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",
    ],
)
def test_libraries_that_have_no_memory_say_so_in_their_own_words(said) -> None:
    def hungry(images: Tensor) -> tuple[Tensor, ...]:
        if len(images) > 1:
            raise RuntimeError(said)
        return (images * 2,)

    network = FrozenNetwork("hungry", nn.Identity(), hungry, CPU)
    assert torch.equal(network(pictures(2))[0], pictures(2) * 2)
    assert network.notes == ["hungry ran out of memory on cpu with 2 pictures of 2 x 2 pixels and took them in halves"]


def test_a_device_on_which_nothing_fits_is_left_for_good() -> None:
    compute = Doubler(elsewhere=0)
    network = frozen(compute, FAKE)
    doubled, _ = network(pictures(2))
    assert torch.equal(doubled, pictures(2) * 2)
    assert network.device == CPU
    assert compute.batches == [("meta", 2), ("meta", 1), ("cpu", 1), ("cpu", 1)]
    assert network.notes[-1] == (
        "doubler ran out of memory on meta with one picture of 2 x 2 pixels and ran on the CPU from then on"
    )
    network(pictures(3))
    assert compute.batches[-1] == ("cpu", 3)
    assert len(network.notes) == 2


def test_weights_that_do_not_fit_are_kept_on_the_cpu() -> None:
    class Large(nn.Module):
        def to(self, device: torch.device | str) -> "Large":
            if torch.device(device) != CPU:
                raise torch.OutOfMemoryError("no")
            return self

    network = FrozenNetwork("large", Large(), Doubler(), FAKE)
    assert torch.equal(network(pictures(1))[0], pictures(1) * 2)
    assert network.notes == ["large ran out of memory on meta with its weights alone and ran on the CPU from then on"]


def test_what_was_compiled_for_a_device_is_not_taken_along(monkeypatch) -> None:
    compiled = []

    def remember(compute, dynamic: bool):
        return lambda images: compiled.append(len(images)) or compute(images)

    monkeypatch.setattr(torch, "compile", remember)
    network = FrozenNetwork("doubler", nn.Identity(), Doubler(elsewhere=0), FAKE, compiled=True)
    network(pictures(1))
    network(pictures(3))
    assert compiled == [1]


def test_where_one_picture_is_too_much_for_the_cpu_the_instrument_failed() -> None:
    with pytest.raises(ToolFailure, match="use a smaller area"):
        frozen(Doubler(on_cpu=0))(pictures(2))


@pytest.mark.parametrize("said", ["shapes do not match", "CUDA error: an illegal memory access was encountered"])
def test_another_error_is_no_matter_of_memory(said) -> None:
    def broken(images: Tensor) -> tuple[Tensor, ...]:
        raise RuntimeError(said)

    network = FrozenNetwork("broken", nn.Identity(), broken, CPU)
    with pytest.raises(RuntimeError, match=said):
        network(pictures(2))
    assert network.notes == []


def test_results_are_float32_without_gradients() -> None:
    network = FrozenNetwork("half", nn.Linear(2, 2), lambda images: (images.to(torch.bfloat16),), CPU)
    (result,) = network(pictures(1).requires_grad_())
    assert result.dtype == torch.float32
    assert not result.requires_grad


def test_threads_that_meet_on_a_full_device_all_get_their_own_pictures_back() -> None:
    network = frozen(Doubler(elsewhere=0), FAKE)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda count: network(pictures(count))[0], range(1, 17)))
    assert all(torch.equal(one, pictures(count) * 2) for count, one in enumerate(found, 1))
    assert network.device == CPU
    assert sum("on the CPU" in note for note in network.notes) == 1
