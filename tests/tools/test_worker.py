"""Decoding in a bounded process: what comes back, and what a hostile file costs."""

import importlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from knowledge import AssetError
from tools.decoding import Worker

DECODERS = """
import os, time
import numpy as np
from knowledge import AssetError
from tools.decoding import Decoded

def count(content, factor=1):
    return Decoded({"bytes": np.frombuffer(content, np.uint8) * factor, "empty": np.zeros((0, 3), np.float32)},
                   {"n": len(content), "pid": os.getpid()})
def chatty(content):
    print("a library talks")
    os.write(1, b"and a C library too")
    return Decoded({}, {"n": 1})
def refuses(content):
    raise AssetError("holds no points; export it again")
def breaks(content):
    raise KeyError("header")
def environment(content):
    return Decoded({}, {"names": sorted(os.environ)})
def sleeps(content):
    time.sleep(60)
def eats(content):
    return Decoded({"big": np.ones(200_000_000)}, {})
def dies(content):
    os._exit(11)
def objects(content):
    return Decoded({"o": np.array([{}], dtype=object)}, {})
"""


@pytest.fixture
def decoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "hostile_decoders.py").write_text(DECODERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return importlib.reload(importlib.import_module("hostile_decoders"))


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(megabytes=400)
    yield worker
    worker.close()


def test_arrays_and_facts_come_back_as_they_were(worker, decoders) -> None:
    found = worker.decode(decoders.count, b"\x01\x02\x03", "part.xyz", factor=2)
    assert found.arrays["bytes"].tolist() == [2, 4, 6]
    assert found.arrays["bytes"].dtype == np.uint8
    assert found.arrays["empty"].shape == (0, 3)
    assert found.about["n"] == 3


def test_the_process_is_another_one_and_is_kept(worker, decoders) -> None:
    import os

    pids = {worker.decode(decoders.count, b"1", "a").about["pid"] for _ in range(3)}
    assert len(pids) == 1
    assert pids != {os.getpid()}


def test_what_is_printed_over_there_does_not_get_between_the_answers(worker, decoders) -> None:
    assert worker.decode(decoders.chatty, b"", "a").about["n"] == 1
    assert worker.decode(decoders.count, b"12", "a").about["n"] == 2


def test_keys_of_the_user_are_not_there(worker, decoders, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert "OPENAI_API_KEY" not in worker.decode(decoders.environment, b"", "a").about["names"]


@pytest.mark.parametrize(
    ("decoder", "sentence"),
    [
        ("refuses", r"^part\.ply: holds no points; export it again$"),
        ("breaks", r"^part\.ply: is damaged or of a kind that is not read \('header'\); export it again$"),
        ("objects", r"^part\.ply: is damaged"),
        ("eats", r"^part\.ply: could not be decoded within 400 megabytes of memory; export"),
        ("dies", r"^part\.ply: could not be decoded"),
    ],
)
def test_a_bad_file_is_one_sentence_and_the_next_file_is_decoded(worker, decoders, decoder, sentence) -> None:
    with pytest.raises(AssetError, match=sentence):
        worker.decode(getattr(decoders, decoder), b"x", "part.ply")
    assert worker.decode(decoders.count, b"12", "b").about["n"] == 2


def test_a_file_that_takes_too_long_is_given_up(worker, decoders) -> None:
    worker.decode(decoders.count, b"", "a")
    start = time.perf_counter()
    with pytest.raises(AssetError, match=r"part\.mp4: could not be decoded within 0\.3 seconds"):
        worker.decode(decoders.sleeps, b"x", "part.mp4", seconds=0.3)
    assert time.perf_counter() - start < 5
    assert worker.decode(decoders.count, b"12", "b").about["n"] == 2


def test_threads_take_turns(worker, decoders) -> None:
    found: dict[int, int] = {}

    def decode(size: int) -> None:
        found[size] = worker.decode(decoders.count, b"x" * size, "a").about["n"]

    threads = [threading.Thread(target=decode, args=(size,)) for size in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {size: size for size in range(1, 9)}


def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next(worker, decoders, monkeypatch) -> None:
    import tools.decoding.worker as module

    worker.decode(decoders.count, b"1", "a")
    with monkeypatch.context() as patch:

        def interrupted(pipe):
            raise KeyboardInterrupt

        patch.setattr(module, "_read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            worker.decode(decoders.count, b"12345", "b")
    assert worker.decode(decoders.count, b"12", "c").about["n"] == 2
