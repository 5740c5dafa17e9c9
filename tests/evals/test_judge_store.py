"""Judgements as files: what a kill, an editor or another run makes of them, and labels."""

from pathlib import Path

import pytest

from evals.judge.labels import LabelLine, labelled, read_labels
from evals.judge.store import Judgement, JudgementStore, judgements_of_run, read_judgements, subject_of
from knowledge import RequestError, StoreError


def judgement(case: str, answer: str = "Yes.", judge: str = "openai:a", **more: object) -> Judgement:
    known = {"question": "q", "asked": "Is it?", "grade": "right", "why": "", "deterministic": "right", "prompt": "1"}
    return Judgement(case=case, answer=answer, digest=f"of {answer}", judge=judge, **{**known, **more})  # type: ignore[arg-type]


def finished(folder: Path, *judgements: Judgement) -> None:
    with JudgementStore(folder) as store:
        for each in judgements:
            store.add(each)
        store.finish(judgements)


def test_what_is_added_is_on_disk_at_once_and_found_again(tmp_path) -> None:
    with JudgementStore(tmp_path) as store:
        store.add(judgement("a"))
        assert read_judgements(tmp_path) == [judgement("a")]
    with JudgementStore(tmp_path) as store:
        assert store.get(subject_of(judgement("a")), "openai:a", "1") == judgement("a")
        for other in (judgement("a", "No."), judgement("b")):
            assert store.get(subject_of(other), "openai:a", "1") is None
        assert store.get(subject_of(judgement("a")), "openai:b", "1") is None
        assert store.get(subject_of(judgement("a")), "openai:a", "2") is None


def test_half_a_line_is_what_a_kill_left(tmp_path) -> None:
    finished(tmp_path, judgement("a"))
    path = tmp_path / "judged.jsonl"
    path.write_bytes(path.read_bytes() + judgement("b").model_dump_json().encode()[:50])
    with JudgementStore(tmp_path) as store:
        store.add(judgement("c"))
    assert [each.case for each in read_judgements(tmp_path)] == ["a", "c"]


def test_a_label_that_is_none_is_named_and_nothing_is_lost(tmp_path) -> None:
    finished(tmp_path, judgement("a"), judgement("b"))
    path = tmp_path / "judged.jsonl"
    first, second = path.read_text().splitlines()
    path.write_text("\n".join((first, second.replace('"person":null', '"person":"rihgt"'))))
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"judged\.jsonl, line 2: person: .*mend the line"):
        JudgementStore(tmp_path)
    assert path.read_bytes() == before


def test_a_run_keeps_what_others_judged_and_what_people_said(tmp_path) -> None:
    finished(tmp_path, judgement("a", person="wrong"), judgement("b"))
    path = tmp_path / "judged.jsonl"
    path.write_text(path.read_text().replace('"person":null', '"person":"wrong"'))
    with JudgementStore(tmp_path) as store:
        store.add(judgement("b", judge="openai:b"))
        store.finish([store.get(subject_of(judgement("b")), "openai:b", "1")])
    assert [(each.case, each.judge) for each in judgements_of_run(tmp_path)] == [("b", "openai:b")]
    assert [(each.case, each.judge) for each in read_judgements(tmp_path)] == [
        ("a", "openai:a"),
        ("b", "openai:a"),
        ("b", "openai:b"),
    ]
    with JudgementStore(tmp_path) as store:
        assert store.people() == dict.fromkeys(map(subject_of, (judgement("a"), judgement("b"))), "wrong")


def test_a_label_that_is_taken_back_stays_so(tmp_path) -> None:
    finished(tmp_path, judgement("a", judge="openai:b", person="right"))
    finished(tmp_path, judgement("a", person="right"))
    path = tmp_path / "judged.jsonl"
    path.write_text(path.read_text().replace('"person":"right"', '"person":null'))
    with JudgementStore(tmp_path) as store:
        assert store.people() == {}
        store.add(judgement("a", judge="openai:c"))
        assert store.people() == {}


def test_labels_hold_for_the_answers_that_they_are_of(tmp_path) -> None:
    run = [judgement("kept", person="right"), judgement("given"), judgement("changed"), judgement("silent")]
    given = [
        LabelLine(case="kept", question="q", person="wrong", digest="of Yes."),
        LabelLine(case="given", question="q", person="right"),
        LabelLine(case="changed", question="q", person="right", digest="of No."),
        LabelLine(case="silent", question="q", person=None),
        LabelLine(case="elsewhere", question="q", person="right"),
        LabelLine(case="nobody", question="q", person=None),
    ]
    found = labelled(run, {subject_of(run[0]): "right", subject_of(judgement("silent", "Before.")): "wrong"}, given)
    assert [each.person for each in found.judgements] == ["wrong", "right", None, None]
    assert (found.stale, found.strangers) == (2, 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"case": "a", "question": "q", "person": "right"}\n{"case": "a"}', "line 2: question: Field required"),
        ('{"case": "a", "question": "q", "person": "good"}', "line 1: person: Input should be 'right' or 'wrong'"),
        ("yes", "line 1: not a label: "),
        (None, "cannot be read"),
    ],
)
def test_a_file_of_labels_that_is_wrong_is_named(tmp_path, text, sentence) -> None:
    if text is not None:
        (tmp_path / "labels.jsonl").write_text(text)
    with pytest.raises(RequestError) as refused:
        read_labels(tmp_path / "labels.jsonl")
    assert f"{tmp_path / 'labels.jsonl'}" in str(refused.value)
    assert sentence in str(refused.value)


def test_the_file_of_a_run_is_a_file_of_labels(tmp_path) -> None:
    finished(tmp_path, judgement("a", "One line \u2028 and two.", person="right"), judgement("b"))
    assert [(line.case, line.person) for line in read_labels(tmp_path / "judged.jsonl")] == [
        ("a", "right"),
        ("b", None),
    ]
