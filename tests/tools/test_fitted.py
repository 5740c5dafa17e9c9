"""Fitted parts on disk, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from knowledge import FittedPartError
from tools.fitted import load_fitted, save_fitted

TENSORS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([1.5])}


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    save_fitted(tmp_path, "depth", 3, TENSORS, {"name": "x", "numbers": [1, 2]})
    fitted = load_fitted(tmp_path, "depth", 3)
    assert fitted.about == {"name": "x", "numbers": [1, 2]}
    assert {name: array.tolist() for name, array in fitted.tensors.items()} == {
        name: array.tolist() for name, array in TENSORS.items()
    }
    assert len(fitted.sha256) == 64


@pytest.mark.parametrize(("kind", "version"), [("video", 3), ("depth", 4)])
def test_parts_of_another_kind_or_version_are_refused(tmp_path: Path, kind, version) -> None:
    save_fitted(tmp_path, "depth", 3, TENSORS, {})
    with pytest.raises(FittedPartError, match="another version"):
        load_fitted(tmp_path, kind, version)


def test_nothing_learned_is_said(tmp_path: Path) -> None:
    with pytest.raises(FittedPartError, match="nothing has been learned here yet; enroll"):
        load_fitted(tmp_path, "depth", 3)


@pytest.mark.parametrize("damage", ["tensors", "cut", "manifest", "list", "deep", "about", "forged"])
def test_damage_is_refused(tmp_path: Path, damage) -> None:
    save_fitted(tmp_path, "depth", 3, TENSORS, {})
    tensors, manifest = tmp_path / "fitted.safetensors", tmp_path / "fitted.json"
    if damage == "tensors":
        content = bytearray(tensors.read_bytes())
        content[-1] ^= 1
        tensors.write_bytes(content)
    elif damage == "cut":
        tensors.write_bytes(tensors.read_bytes()[:-5])
    elif damage == "manifest":
        manifest.write_bytes(b"{")
    elif damage == "list":
        manifest.write_bytes(b"[]")
    elif damage == "deep":
        manifest.write_bytes(b"[" * 100_000)
    elif damage == "about":
        manifest.write_bytes(manifest.read_bytes().replace(b'"about": {}', b'"about": {"a": 1}'))
    else:
        import hashlib

        tensors.write_bytes(b"no tensors")
        values = json.loads(manifest.read_bytes())
        manifest.write_text(json.dumps({**values, "sha256": hashlib.sha256(b"no tensors{}").hexdigest()}))
    with pytest.raises(FittedPartError, match=r"enroll the product again|another version"):
        load_fitted(tmp_path, "depth", 3)
