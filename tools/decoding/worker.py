"""Decoding in a process of its own, so that a hostile file costs at most the seconds and megabytes it is allowed.

The process is kept for the next file and thrown away after a failure. It is told the name of one of our functions and
the bytes of a file; what it answers, plain JSON and arrays, is read without pickle.
"""

import atexit
import importlib
import io
import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from knowledge import AssetError

MAX_SECONDS = 10.0
MAX_MEGABYTES = 1024
"""Of private memory of the process, its libraries included."""

_MAX_ANSWER = 2_000_000_000
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMPDIR")
_LENGTH = struct.Struct("<Q")


class Decoded(NamedTuple):
    """What a decoder found in a file."""

    arrays: Mapping[str, NDArray[Any]]
    about: Mapping[str, Any]
    """Plain JSON values."""


Decoder = Callable[..., Decoded]


class Worker:
    """A process that decodes one file at a time."""

    def __init__(self, megabytes: int = MAX_MEGABYTES) -> None:
        self._megabytes = megabytes
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def decode(
        self, decoder: Decoder, content: bytes, shown: str, *, seconds: float = MAX_SECONDS, **options: Any
    ) -> Decoded:
        """Run `decoder(content, **options)` over there; `options` are plain JSON values.

        `decoder` is a function at the top of one of our modules that raises `AssetError`, or anything at all on damaged
        content. Raises `AssetError`, which begins with `shown`, when the file cannot be decoded within the limits.
        """
        call = {"decoder": f"{decoder.__module__}:{decoder.__qualname__}", "options": options}
        with self._lock:
            process = self._running()
            late = threading.Event()
            timer = threading.Timer(seconds, _kill, (process, late))
            timer.start()
            try:
                return self._ask(process, call, content, shown)
            except (OSError, EOFError, ValueError, KeyError) as error:
                self._end()
                limit = f"{seconds:g} seconds" if late.is_set() else f"{self._megabytes} megabytes of memory"
                raise AssetError(
                    f"{shown}: could not be decoded within {limit}; export it again, or a smaller piece of it"
                ) from error
            except AssetError:
                raise
            except BaseException:
                self._end()  # its answer may still be in the pipe, and must not be taken for that to the next file
                raise
            finally:
                timer.cancel()

    def close(self) -> None:
        with self._lock:
            self._end()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-c", "from tools.decoding.worker import serve; serve()", str(self._megabytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )
        return self._process

    def _ask(self, process: "subprocess.Popen[bytes]", call: dict[str, Any], content: bytes, shown: str) -> Decoded:
        there, here = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        for message in (json.dumps(call).encode(), content):
            _write(there, message)
        status, about = json.loads(_read(here))
        if status == "refused":
            raise AssetError(f"{shown}: {about}")
        arrays = {}
        for name in about.pop("arrays"):
            arrays[str(name)] = np.load(io.BytesIO(_read(here)), allow_pickle=False)
        return Decoded(arrays, about)

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
            self._process = None


_shared: Worker | None = None
_sharing = threading.Lock()


def decode_in_worker(decoder: Decoder, content: bytes, shown: str, **options: Any) -> Decoded:
    """`Worker.decode` by the one worker of this process, which is started when it is first needed."""
    global _shared  # noqa: PLW0603
    with _sharing:
        if _shared is None:
            _shared = Worker()
            atexit.register(_shared.close)
    return _shared.decode(decoder, content, shown, **options)


def _environment() -> dict[str, str]:
    """What the process needs to start, and no key or setting of the user's."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}


def _kill(process: "subprocess.Popen[bytes]", late: threading.Event) -> None:
    late.set()
    process.kill()


def serve() -> None:
    """The other side: decode what comes in until the pipe is closed."""
    incoming, outgoing = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    limited = False
    while True:
        try:
            call, content = json.loads(_read(incoming)), _read(incoming)
        except EOFError:
            return
        decoder = _function(call["decoder"])
        if not limited:
            _limit_memory(int(sys.argv[1]))
            limited = True
        _answer(outgoing, decoder, content, call["options"])


def _answer(outgoing: IO[bytes], decoder: Decoder, content: bytes, options: Mapping[str, Any]) -> None:
    try:
        decoded = decoder(content, **options)
        arrays = {name: _as_bytes(array) for name, array in decoded.arrays.items()}
        head = json.dumps(["decoded", {**decoded.about, "arrays": list(arrays)}])
    except AssetError as error:
        head, arrays = json.dumps(["refused", str(error)]), {}
    except MemoryError:
        os._exit(1)
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        head, arrays = (
            json.dumps(["refused", f"is damaged or of a kind that is not read ({reason}); export it again"]),
            {},
        )
    for message in (head.encode(), *arrays.values()):
        _write(outgoing, message)


def _as_bytes(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _function(name: str) -> Decoder:
    module, _, function = name.partition(":")
    found: Decoder = getattr(importlib.import_module(module), function)
    return found


def _limit_memory(megabytes: int) -> None:
    """Of what is allocated from now on, besides what the libraries took; where the system knows such limits."""
    if sys.platform == "win32":
        return
    import resource

    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, resource.RLIM_INFINITY))


def _write(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(_LENGTH.pack(len(message)))
    pipe.write(message)
    pipe.flush()


def _read(pipe: IO[bytes]) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    if length > _MAX_ANSWER:
        raise ValueError("a message longer than any of ours")
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    content = pipe.read(length)
    if len(content) != length:
        raise EOFError
    return content
