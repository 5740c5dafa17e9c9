"""The folder of results: nothing that was finished is lost, nothing is counted twice."""

import pytest

from evals.comparing import read_run
from evals.results import CaseResult, Score
from evals.store import EARLIER_FILE, RESULTS_FILE, ResultStore
from knowledge import StoreError


def result(case: str, fingerprint: str = "f", verdict: str = "normal") -> CaseResult:
    return CaseResult(case=case, fingerprint=fingerprint, verdict=verdict)


def lines(path) -> list[CaseResult]:
    return [CaseResult.model_validate_json(line) for line in path.read_bytes().splitlines()]


def test_a_result_is_found_again_by_case_and_fingerprint(tmp_path) -> None:
    with ResultStore(tmp_path / "out") as store:
        store.add(result("a", "1"))
    with ResultStore(tmp_path / "out") as store:
        assert store.get("a", "1") == result("a", "1")
        assert store.get("a", "2") is None
        assert store.get("b", "1") is None


def test_a_result_is_on_disk_when_it_is_added(tmp_path) -> None:
    with ResultStore(tmp_path) as store:
        store.add(result("a"))
        assert lines(tmp_path / RESULTS_FILE) == [result("a")]


@pytest.mark.parametrize("torn", [b'{"case":"c","finger', b"\0\0\0\0", b"\0\0\0\n", b'{"case":"c"}\n'])
def test_what_a_kill_left_half_written_is_overwritten(tmp_path, torn) -> None:
    with ResultStore(tmp_path) as store:
        store.add(result("a"))
        store.add(result("b"))
    with (tmp_path / RESULTS_FILE).open("ab") as file:
        file.write(torn)
    with ResultStore(tmp_path) as store:
        assert store.get("b", "f") is not None
        assert store.get("c", "f") is None
        store.add(result("c"))
    assert [each.case for each in lines(tmp_path / RESULTS_FILE)] == ["a", "b", "c"]


@pytest.mark.parametrize("torn", [b'{"case":"c","finger', b"\0\0\n", b"\n"])
def test_a_first_line_may_be_torn_too(tmp_path, torn) -> None:
    (tmp_path / RESULTS_FILE).write_bytes(torn)
    with ResultStore(tmp_path) as store:
        store.add(result("a"))
    assert lines(tmp_path / RESULTS_FILE) == [result("a")]


def test_a_file_that_is_damaged_in_the_middle_is_refused_and_left_alone(tmp_path) -> None:
    content = b'{"case":1}\n' + result("a").model_dump_json().encode() + b"\n"
    (tmp_path / RESULTS_FILE).write_bytes(content)
    with pytest.raises(StoreError, match=r"results.jsonl, line 1: not a result; move the file away"):
        ResultStore(tmp_path)
    assert (tmp_path / RESULTS_FILE).read_bytes() == content
    (tmp_path / RESULTS_FILE).unlink()
    with ResultStore(tmp_path):
        pass


def test_a_folder_belongs_to_one_run_at_a_time(tmp_path) -> None:
    with ResultStore(tmp_path), pytest.raises(StoreError, match="another evaluation is writing here"):
        ResultStore(tmp_path)
    with ResultStore(tmp_path):
        pass


def test_a_finished_run_holds_its_own_results_in_order_and_keeps_the_others(tmp_path) -> None:
    with ResultStore(tmp_path) as store:
        for each in (result("b"), result("a", "old"), result("a", "new"), result("not chosen")):
            store.add(each)
        store.finish([result("a", "new"), result("b")], {}, {})
        assert [each.case for each in lines(tmp_path / RESULTS_FILE)] == ["a", "b"]
        assert [each.case for each in lines(tmp_path / EARLIER_FILE)] == ["a", "not chosen"]
        store.add(result("later"))
    with ResultStore(tmp_path) as store:
        assert store.get("not chosen", "f") is not None
        assert store.get("a", "old") is not None
        assert store.get("later", "f") is not None


def test_a_finished_run_is_read_by_what_compares_runs(tmp_path) -> None:
    scores = {"a": {"verdict.correct": Score(1.0), "place.iou": Score(None, "no place is known")}}
    with ResultStore(tmp_path) as store:
        store.add(result("a"))
        store.finish([result("a")], scores, {"suite": "s", "scores": {}})
    run = read_run(tmp_path)
    assert run.results == {"a": result("a")}
    assert run.value("a", "verdict.correct") == 1.0
    assert run.scores["a"]["place.iou"].why == "no place is known"
    assert run.summary["suite"] == "s"
