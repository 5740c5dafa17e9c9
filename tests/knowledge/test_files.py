"""Files are written whole or not at all."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from knowledge import StoreError, write_atomically


def test_three_bytes_are_written_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "file"
    write_atomically(path, b"abc")
    assert path.read_bytes() == b"abc"
    write_atomically(path, b"")
    assert path.read_bytes() == b""
    assert list(path.parent.iterdir()) == [path]


def test_everyone_may_read_what_only_its_owner_may_write(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"kept")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "elsewhere").read_bytes() == b"kept"
    assert (tmp_path / "link").read_bytes() == b"new"


def test_of_many_writers_one_wins_whole(tmp_path: Path) -> None:
    contents = [bytes([number]) * 50_000 for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: write_atomically(tmp_path / "file", content), contents))
    assert (tmp_path / "file").read_bytes() in contents
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("name", ["file/inside", "n" * 300, "folder"])
def test_a_place_that_cannot_be_written_is_named_and_left_as_it_was(tmp_path: Path, name) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match=r"^cannot write ") as caught:
        write_atomically(tmp_path / name, b"new")
    assert str(tmp_path) in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
    assert (tmp_path / "file").read_bytes() == b"kept"


FULL_DISK = """
import resource, sys
from pathlib import Path
from knowledge.errors import StoreError
from knowledge.files import write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(Path(sys.argv[1]), bytes(5000))
except StoreError as error:
    print(error)
"""


def test_a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk."""
    path = tmp_path / "file"
    path.write_bytes(b"kept")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.startswith(f"cannot write {path} (")
    assert os.listdir(tmp_path) == ["file"]
    assert path.read_bytes() == b"kept"


def test_no_other_error_leaves_a_half_written_file(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_atomically(tmp_path / "file", "text")  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == []
