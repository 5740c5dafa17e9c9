"""Cases through the real agent on painted plates."""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agent import ChatMessage, Settings
from agent.report import UsageInfo
from evals import running
from evals.cases import Case, Expected, ProductSource, Question, Suite, SuiteError
from evals.results import CaseResult
from evals.running import Evaluation, file_name, within
from evals.simulated import write_plate, write_plates
from tools import LearnedProducts

CASES = (
    Case(id="sound/1", product="plate", assets=("parts/sound.png",), alpha=0.2, expected=Expected(verdict="normal")),
    Case(
        id="scratched",
        product="plate",
        assets=("parts/scratch.png",),
        alpha=0.2,
        expected=Expected(verdict="anomalous"),
        group="part 1",
    ),
    Case(id="not a picture", product="plate", assets=("parts/broken.png",)),
    Case(id="not there", product="plate", assets=("parts/nothing.png",)),
    Case(id="denied", product="plate", assets=("parts/scratch.png",), alpha=0.2, reasoner="denier"),
)
ASKED = Case(
    id="asked",
    product="plate",
    assets=("parts/scratch.png",),
    alpha=0.2,
    questions=(
        Question(id="verdict", text="What is the verdict?"),
        Question(id="defect", kind="anomaly_detection", text="Is there a defect?", options=("Yes", "No"), answer=0),
        Question(id="operator", text="What is the name of the operator?", unanswerable=True),
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    write_plates(folder / "good", 9)
    write_plate(folder / "parts" / "sound.png", 500)
    write_plate(folder / "parts" / "scratch.png", 501, "scratch")
    (folder / "parts" / "broken.png").write_bytes(b"no picture")
    return folder


def suite_of(*cases: Case) -> Suite:
    return Suite(name="plates", products=(ProductSource(name="plate", good=("good",)),), cases=cases)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def evaluation(folder: Path, out: Path) -> Evaluation:
    made = Evaluation(suite_of(*CASES, ASKED), folder, out, Settings(home=out / "unused"))
    made.prepare()
    return made


def run(evaluation: Evaluation, case: Case):
    return evaluation.run(case, evaluation.fingerprint(case))


def test_a_part_is_inspected_and_its_result_can_be_scored_without_running_it_again(evaluation, out) -> None:
    result = run(evaluation, CASES[1])
    assert (result.case, result.group, result.error, result.verdict) == ("scratched", "part 1", "", "anomalous")
    assert result.p_value is not None
    assert result.findings
    assert {step.tool for step in result.steps} >= {"localize_anomalies", "reason_about_anomaly"}
    assert result.seconds > 0
    assert (out / result.page).is_file()
    assert not (out / "unused").exists()


def test_the_messages_of_an_inspection_are_there_as_long_as_its_thread_is(evaluation) -> None:
    result = run(evaluation, CASES[0])
    messages = evaluation.messages(CASES[0], result)
    called = {call["function"]["name"] for message in messages for call in message.get("tool_calls", ())}
    assert "localize_anomalies" in called
    assert evaluation.messages(CASES[0], result.model_copy(update={"fingerprint": "another"})) == []


@pytest.mark.parametrize("case", CASES[2:4], ids=lambda case: case.id)
def test_a_part_that_cannot_be_inspected_says_why(evaluation, case) -> None:
    case = case.model_copy(update={"group": "g"})
    result = run(evaluation, case)
    assert (result.verdict, result.group) == (None, "g")
    assert Path(case.assets[0]).name in result.error
    assert evaluation.messages(case, result) == []


def test_a_case_may_bring_a_scripted_reasoner(evaluation) -> None:
    result = run(evaluation, CASES[4])
    assert result.opinions == ("normal",)
    assert result.verdict != "normal"


def test_questions_are_asked_in_a_conversation_or_read_from_the_record(evaluation) -> None:
    result = run(evaluation, ASKED)
    assert result.error == ""
    verdict, defect, operator = result.answers
    assert [answer.question for answer in result.answers] == ["verdict", "defect", "operator"]
    assert result.alpha == 0.2
    assert "anomalous" in verdict.text
    assert verdict.known
    assert verdict.evidence
    assert (defect.option, defect.text) == (0, "Yes")
    assert not operator.known
    assert evaluation.messages(ASKED, result)
    # The first answer is worded, and two questions are understood and answered.
    assert result.model_calls == run(evaluation, CASES[1]).model_calls + 5


def test_a_conversation_that_was_broken_off_begins_anew(evaluation) -> None:
    first, second = run(evaluation, ASKED), run(evaluation, ASKED)
    assert [answer.text for answer in first.answers] == [answer.text for answer in second.answers]


def test_an_exception_that_is_not_ours_to_expect_is_raised(evaluation, monkeypatch) -> None:
    def bug(self: object, case: Case, fingerprint: str) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Evaluation, "_run", bug)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(evaluation, CASES[0])


def test_a_case_that_takes_too_long_has_failed(evaluation, monkeypatch) -> None:
    monkeypatch.setattr(Evaluation, "_run", lambda *_: time.sleep(5))
    monkeypatch.setattr(Evaluation, "_limit", lambda *_: 0.05)
    assert run(evaluation, CASES[0]).error == "no result within 0.05 seconds"


def test_results_are_the_same_for_one_worker_and_for_four(evaluation) -> None:
    cases = [*CASES, ASKED]
    one = [run(evaluation, case) for case in cases]
    # Other fingerprints are other threads: everything is done again.
    with ThreadPoolExecutor(4) as threads:
        four = list(threads.map(lambda case: evaluation.run(case, f"again {case.id}"), cases))
    differs = {"fingerprint", "seconds"}
    assert [each.model_dump(exclude=differs) for each in one] == [each.model_dump(exclude=differs) for each in four]


def test_a_product_is_learned_once(evaluation, folder, out) -> None:
    told: list[str] = []
    again = Evaluation(evaluation.suite, folder, out, Settings(home=out / "unused"))
    again.prepare(lambda what, done, total: told.append(what))
    assert told == []
    assert [again.fingerprint(case) for case in CASES] == [evaluation.fingerprint(case) for case in CASES]


def test_a_product_is_learned_anew_when_its_source_has_changed(folder, tmp_path) -> None:
    copy = tmp_path / "suite"
    shutil.copytree(folder / "parts", copy / "parts")
    write_plates(copy / "good", 2)
    told: list[str] = []

    def fingerprint() -> str:
        made = Evaluation(suite_of(*CASES), copy, tmp_path / "out", Settings())
        told.clear()
        made.prepare(lambda what, done, total: told.append(what))
        return made.fingerprint(CASES[0])

    first = fingerprint()
    assert set(told) == {"learning plate"}
    write_plate(copy / "good" / "one_more.png", 900)
    assert fingerprint() != first
    assert told


def test_a_product_is_learned_with_its_seed(tmp_path, monkeypatch) -> None:
    write_plates(tmp_path / "good", 2)
    seeds: list[int] = []
    learn = LearnedProducts.learn

    def watched(self: LearnedProducts, *given: Any, **more: Any) -> Any:
        seeds.append(given[3].seed)
        return learn(self, *given, **more)

    monkeypatch.setattr(LearnedProducts, "learn", watched)
    for seed in (0, 3, 3):
        source = ProductSource(name="plate", good=("good",), seed=seed)
        suite = Suite(name="plates", products=(source,), cases=CASES[:1])
        Evaluation(suite, tmp_path, tmp_path / "out", Settings()).prepare()
    assert seeds == [0, 3]


def test_what_was_said_adds_to_what_was_spent(evaluation) -> None:
    inspected = CaseResult(case="c", fingerprint="f", model_calls=4, tokens=100, cost=0.5)

    def said(tokens: int, cost: float | None) -> ChatMessage:
        usage = UsageInfo(steps=0, model_calls=2, tokens=tokens, cost=cost, seconds=1.0)
        return ChatMessage(who="anomalyst", text="Yes.", usage=usage)

    asked = ChatMessage(who="person", text="Is it?")
    told = running._spent(inspected, (asked, said(10, 0.25), said(20, 0.125)))
    assert told == {"model_calls": 8, "tokens": 130, "cost": 0.875}
    assert running._spent(inspected, (said(10, 0.25), said(20, None)))["cost"] is None
    assert running._spent(inspected, ()) == {"model_calls": 4, "tokens": 100, "cost": 0.5}


@pytest.mark.parametrize(
    "change",
    [
        lambda case: case.model_copy(update={"alpha": 0.3}),
        lambda case: case.model_copy(update={"expected": Expected(verdict="review")}),
        lambda case: case.model_copy(update={"assets": ("parts/scratch.png",)}),
        lambda case: case.model_copy(update={"reasoner": "denier"}),
    ],
)
def test_a_changed_case_has_another_fingerprint(evaluation, change: Callable[[Case], Case]) -> None:
    assert evaluation.fingerprint(change(CASES[0])) != evaluation.fingerprint(CASES[0])


def test_changed_files_settings_and_programs_have_other_fingerprints(evaluation, folder, out, monkeypatch) -> None:
    before = evaluation.fingerprint(CASES[0])
    other = Evaluation(evaluation.suite, folder, out, Settings(home=out, conditions=("task",)))
    assert other.fingerprint(CASES[0]) != before
    part = folder / "parts" / "sound.png"
    content = part.read_bytes()
    write_plate(part, 777)
    assert evaluation.fingerprint(CASES[0]) != before
    part.write_bytes(content)
    assert evaluation.fingerprint(CASES[0]) == before
    monkeypatch.setattr(running, "code_version", lambda *packages: "another")
    assert evaluation.fingerprint(CASES[0]) != before


@pytest.mark.parametrize(("pages", "kept"), [("all", True), ("wrong", False), ("none", False)])
def test_pages_are_kept_as_asked(folder, out, monkeypatch, pages, kept) -> None:
    monkeypatch.setattr(running, "SAMPLE_PAGES", 0)
    right, wrong = CASES[1], CASES[1].model_copy(update={"id": "wrong", "expected": Expected(verdict="normal")})
    made = Evaluation(suite_of(right, wrong), folder, out, Settings(home=out), pages)
    made.prepare()
    assert bool(run(made, right).page) == kept
    assert bool(run(made, wrong).page) == (pages != "none")


def test_a_suite_that_cannot_be_learned_from_is_refused(folder, tmp_path) -> None:
    strange = CASES[0].model_copy(update={"reasoner": "nobody"})
    with pytest.raises(SuiteError, match="there is no scripted reasoner 'nobody'"):
        Evaluation(suite_of(strange), folder, tmp_path, Settings())
    with pytest.raises(SuiteError, match="there is no such folder"):
        Evaluation(suite_of(CASES[0]), tmp_path, tmp_path / "out", Settings()).prepare()


def test_names_of_files_are_plain_and_never_alike() -> None:
    assert file_name("image/défaut 1") != file_name("image/defaut 1")
    assert file_name("../../etc").startswith("etc-")
    assert len(file_name("a/" * 100)) < 80


def test_work_has_its_time() -> None:
    assert within(5, lambda: "done") == "done"
    with pytest.raises(TimeoutError, match="its own"):
        within(5, lambda: (_ for _ in ()).throw(TimeoutError("its own")))
    with pytest.raises(TimeoutError, match=r"no result within 0.01 seconds"):
        within(0.01, lambda: time.sleep(1))


def test_a_product_is_learned_anew_when_its_files_name_other_parts(tmp_path) -> None:
    for seed in range(4):
        write_plate(tmp_path / "good" / f"p{seed // 2}_{seed % 2}.png", seed)
    (tmp_path / "plate.yaml").write_text("name: plate\ndescription: A plate.\npart_name: p{part}_*\n")
    source = ProductSource(name="plate", spec="plate.yaml", good=("good",))

    def parts() -> int:
        made = Evaluation(
            Suite(name="plates", products=(source,), cases=CASES[:1]), tmp_path, tmp_path / "out", Settings()
        )
        made.prepare()
        return LearnedProducts(tmp_path / "out" / "home").get("plate").images.calibration.parts

    assert parts() == 2
    (tmp_path / "good" / "p0_0.png").rename(tmp_path / "good" / "p7_0.png")
    assert parts() == 3
