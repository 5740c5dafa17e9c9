"""Where threads are kept, and that one runs only once at a time."""

import asyncio
import hashlib
import sqlite3
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiosqlite
from filelock import FileLock, Timeout
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from knowledge import RequestError, StoreError

if TYPE_CHECKING:
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

REVIVED_TYPES = (
    ("langchain_core.messages.ai", "AIMessage"),
    ("langchain_core.messages.human", "HumanMessage"),
    ("langchain_core.messages.tool", "ToolMessage"),
)
"""The only types besides plain values that may come back out of a checkpoint."""


_SETUP_KEY = 0x616E6F6D616C  # of this program's own choosing
_PATIENCE = 600
"""Times that a process asks whether the tables are made, thirty seconds in all."""
_ZLIB = "+zlib"
_LARGEST = 256 * 2**20


class Threads:
    """Threads of a home: in its own SQLite file, or in a Postgres database that the user names."""

    def __init__(self, home: Path, address: str | None = None) -> None:
        """`address` is a `postgresql://` URL; raises `RequestError` for any other."""
        if address is not None and not address.startswith(("postgres://", "postgresql://")):
            raise RequestError("threads are kept in SQLite, or at an address that begins with postgresql://")
        self._home = home
        self._address = address

    @asynccontextmanager
    async def open(self) -> AsyncIterator[BaseCheckpointSaver[Any]]:
        """The checkpoints; raises `StoreError` where they cannot be read or written."""
        if self._address is not None:
            async with _postgres(self._address) as saver:
                yield saver
            return
        path = self._home / "threads.sqlite"
        try:
            await asyncio.to_thread(_prepared, path, self._home / "leases")
            async with checkpointer(path) as saver:
                yield saver
        except sqlite3.Error as error:
            raise StoreError(f"{path} cannot be used ({error}); free space, or move the file away") from error

    @asynccontextmanager
    async def lease(self, thread: str) -> AsyncIterator[None]:
        """Work on a thread alone; raises `RequestError` while another process of this machine does.

        The system takes the lease back from a process that was killed.
        """
        name = hashlib.sha256(thread.encode()).hexdigest()[:32]
        lock = await asyncio.to_thread(_locked, self._home / "leases" / f"{name}.lock", thread)
        try:
            yield
        finally:
            await asyncio.to_thread(lock.release)


def _locked(path: Path, thread: str) -> FileLock:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0, thread_local=False)
        lock.acquire()
    except Timeout:
        raise RequestError(f"thread {thread!r} is being worked on; wait until that is done") from None
    except OSError as error:
        raise StoreError(f"{path.parent} cannot be used ({error}); free space, or mend its rights") from error
    return lock


def _prepared(path: Path, folder: Path) -> None:
    """Switch a new database to a write-ahead log, one at a time.

    While two do so at once SQLite calls the database locked without waiting for its turn.
    """
    if _has_log(path):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "threads.lock", timeout=60), closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    except (Timeout, OSError) as error:
        raise StoreError(f"{path} cannot be used ({error}); free space, or mend its rights") from error


def _has_log(path: Path) -> bool:
    """By the header's two bytes of the file format."""
    try:
        with path.open("rb") as file:
            return file.read(20)[18:] == b"\x02\x02"
    except OSError:
        return False


@asynccontextmanager
async def checkpointer(path: Path) -> AsyncIterator[AsyncSqliteSaver]:
    """Threads in SQLite. Only `REVIVED_TYPES` come back out of it, and nothing is ever unpickled."""
    async with aiosqlite.connect(path, timeout=30) as connection:
        yield AsyncSqliteSaver(connection, serde=_serde())


@asynccontextmanager
async def _postgres(address: str) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    try:
        import psycopg
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    except ImportError:
        raise RequestError("threads in Postgres need the extra: pip install 'anomalyst[postgres]'") from None
    try:
        async with AsyncPostgresSaver.from_conn_string(address, serde=_serde()) as saver:
            await _set_up(saver)
            yield saver
    except psycopg.Error as error:
        # The address may hold a password, and so may what the driver says of it.
        raise StoreError(f"the Postgres database of the threads cannot be used ({type(error).__name__})") from None


async def _set_up(saver: "AsyncPostgresSaver") -> None:
    """Make the tables, one process at a time: two that make them together get in each other's way."""
    connection: Any = saver.conn  # of one address: no pool
    # Asking again and again, for whoever waits inside of the database holds up the making of an index.
    for _ in range(_PATIENCE):
        answer = await (await connection.execute("select pg_try_advisory_lock(%s) as free", (_SETUP_KEY,))).fetchone()
        if answer is not None and answer["free"]:
            break
        await asyncio.sleep(0.05)
    try:
        await saver.setup()
    finally:
        await connection.execute("select pg_advisory_unlock(%s)", (_SETUP_KEY,))


def _serde() -> JsonPlusSerializer:
    return _Compressed(allowed_msgpack_modules=REVIVED_TYPES, pickle_fallback=False)


class _Compressed(JsonPlusSerializer):
    """Every step writes the whole state anew, and most of it is words: an eighth of the bytes says the same."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        kind, content = super().dumps_typed(obj)
        return f"{kind}{_ZLIB}", zlib.compress(content, 1)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        kind, content = data
        if kind.endswith(_ZLIB):
            kind, content = kind.removesuffix(_ZLIB), _inflated(content)
        return super().loads_typed((kind, content))


def _inflated(content: bytes) -> bytes:
    inflate = zlib.decompressobj()
    whole = inflate.decompress(content, _LARGEST)
    if inflate.unconsumed_tail:
        raise ValueError(f"a checkpoint of more than {_LARGEST} bytes is none of ours")
    return whole
