"""The artifact store: named by content, checked on the way out, and no way out of its root."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge import StoreError
from tools import ArtifactStore

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""sha256 of b"abc", from FIPS 180-4."""


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def files(store: ArtifactStore, tmp_path: Path) -> list[str]:
    return sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())


# --- by hand


def test_three_bytes_are_stored_under_their_digest(store, tmp_path) -> None:
    assert store.put(b"abc", "bin") == f"{ABC}.bin"
    assert store.get(f"{ABC}.bin") == b"abc"
    assert files(store, tmp_path) == [f"artifacts/ba/{ABC}.bin"]
    assert store.path(f"{ABC}.bin") == tmp_path / "artifacts" / "ba" / f"{ABC}.bin"


def test_a_3x3_picture_and_a_3x3_map_come_back_as_they_were(store) -> None:
    pixels = np.array([[0, 1, 2], [100, 101, 102], [253, 254, 255]], np.uint8)
    assert store.get_image(store.put_image(pixels)).tolist() == pixels.tolist()
    values = np.array([[0.0, -1.5, np.inf], [1e-30, 1e30, -0.0], [1, 2, 3]], np.float32)
    back = store.get_array(store.put_array(values))
    assert back.dtype == np.float32
    assert back.tobytes() == values.tobytes()


# --- shapes


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (7, 5, 3), (1, 9, 3), (7, 5, 4)])
def test_pictures_keep_their_shape(store, shape) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    back = store.get_image(store.put_image(pixels))
    assert back.dtype == np.uint8
    assert np.array_equal(back, pixels)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32", ">f4"])
@pytest.mark.parametrize("shape", [(), (0,), (4, 3), (2, 3, 4)])
def test_arrays_keep_their_shape_and_type(store, dtype, shape) -> None:
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    back = store.get_array(store.put_array(array))
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert np.array_equal(back, array)


def test_a_strided_picture_is_stored_like_its_copy(store) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)[::2, ::-2]
    assert store.put_image(pixels) == store.put_image(np.ascontiguousarray(pixels))


@given(st.binary(max_size=200), st.sampled_from(["png", "npy", "json", "bin"]))
@settings(derandomize=True, max_examples=40)
def test_any_bytes_come_back_under_the_digest_of_their_content(tmp_path_factory, content, suffix) -> None:
    store = ArtifactStore(tmp_path_factory.getbasetemp() / "shared-artifacts")
    artifact = store.put(content, suffix)
    assert artifact == f"{hashlib.sha256(content).hexdigest()}.{suffix}"
    assert store.get(artifact) == content


# --- the same again


def test_what_is_there_already_is_not_written_again(store, tmp_path) -> None:
    artifact = store.put(b"abc", "bin")
    before = store.path(artifact).stat()
    assert store.put(b"abc", "bin") == artifact
    after = store.path(artifact).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert len(files(store, tmp_path)) == 1


def test_many_writers_of_the_same_content_leave_one_whole_file(store, tmp_path) -> None:
    content = bytes(range(256)) * 400
    with ThreadPoolExecutor(8) as pool:
        artifacts = set(pool.map(lambda _: store.put(content, "bin"), range(32)))
    assert len(artifacts) == 1
    assert store.get(artifacts.pop()) == content
    assert len(files(store, tmp_path)) == 1, "no half-written file is left"


# --- damage


@pytest.mark.parametrize("damage", [b"", b"ab", b"abd", b"abc\0"])
def test_content_that_does_not_match_its_name_is_refused(store, damage) -> None:
    artifact = store.put(b"abc", "bin")
    store.path(artifact).write_bytes(damage)
    with pytest.raises(StoreError, match="is damaged; delete it and inspect the part again"):
        store.get(artifact)


def test_putting_content_again_mends_a_damaged_artifact(store) -> None:
    artifact = store.put(b"abc", "bin")
    store.path(artifact).write_bytes(b"")
    assert store.put(b"abc", "bin") == artifact
    assert store.get(artifact) == b"abc"


def test_an_artifact_that_is_gone_is_refused(store) -> None:
    artifact = store.put(b"abc", "bin")
    store.path(artifact).unlink()
    with pytest.raises(StoreError, match=r"is missing from .*; inspect the part again"):
        store.get(artifact)


@pytest.mark.parametrize("suffix", ["png", "npy", "json"])
def test_an_artifact_of_another_kind_is_refused(store, suffix) -> None:
    artifact = store.put(b"{}", suffix)
    with pytest.raises(StoreError):
        (store.get_array if suffix == "npy" else store.get_image)(artifact)


class Trap:
    """Pickles into a call that leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_an_array_that_hides_a_pickle_is_never_opened(store, tmp_path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap(tmp_path / "mark")], dtype=object), allow_pickle=True)
    with pytest.raises((StoreError, ValueError)):
        store.get_array(store.put(buffer.getvalue(), "npy"))
    with pytest.raises(ValueError, match="allow_pickle"):
        store.put_array(np.array([Trap(tmp_path / "mark")], dtype=object))
    assert not (tmp_path / "mark").exists()


# --- names


@pytest.mark.parametrize(
    "name",
    [
        "",
        ABC,
        f"{ABC}.exe",
        f"{ABC}.bin.bin",
        f"{ABC.upper()}.bin",
        f"{ABC[:-1]}.bin",
        f"{ABC}0.bin",
        f"../{ABC}.bin",
        f"..\\{ABC}.bin",
        f"ba/{ABC}.bin",
        f"/etc/{ABC}.bin",
        "../../../etc/passwd",
        "/etc/passwd",
        f"{ABC}.bin/../../../etc/passwd",
        f"{ABC}.bin\0",
        f"\n{ABC}.bin",
        f" {ABC}.bin",
        f"{ABC}.png/",
        "\uff10" * 64 + ".bin",
        f"{ABC}.bin\n",
    ],
)
def test_a_name_that_is_no_id_of_ours_leads_nowhere(store, name) -> None:
    for use in (store.path, store.get, store.get_image, store.get_array):
        with pytest.raises(StoreError, match="is not an artifact id"):
            use(name)


@given(st.text(alphabet=st.sampled_from("ba0./\\~\n\0g%"), max_size=80))
@settings(derandomize=True, max_examples=150)
def test_no_text_leads_out_of_the_root(name) -> None:
    root = Path("/artifacts")
    try:
        path = ArtifactStore(root).path(name)
    except StoreError as error:
        assert str(error).isprintable()  # noqa: PT017
    else:
        assert path.resolve().is_relative_to(root)


@pytest.mark.parametrize(
    "suffix",
    [
        *("", "exe", "png/../../x", "PNG", ".png"),
        "png\n",
    ],
)
def test_content_is_not_stored_under_a_suffix_that_could_not_be_read_again(store, tmp_path, suffix) -> None:
    with pytest.raises(StoreError, match="is not an artifact id"):
        store.put(b"abc", suffix)
    assert files(store, tmp_path) == []


# --- a root that cannot be used


def test_a_root_that_is_a_file_is_refused_in_one_sentence(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = ArtifactStore(tmp_path / "file")
    with pytest.raises(StoreError, match=r"cannot write to .*; choose another folder or mend its permissions"):
        store.put(b"abc", "bin")
    with pytest.raises(StoreError, match="is missing"):
        store.get(f"{ABC}.bin")
