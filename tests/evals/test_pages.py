"""The page of a run."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from agent import Verdict
from evals.cases import Case, Expected, ProductSource, Suite
from evals.comparing import compare
from evals.judge import Judgement, agreements
from evals.pages import (
    Judged,
    comparison_section,
    decided_risk,
    realised_alarms,
    realised_misses,
    results_page,
    write_page,
)
from evals.results import CaseResult
from knowledge import RequestError

EVIL = "<img src=x onerror=alert(1)>\"'&{{ 7 * 7 }}"
ALPHA = 0.05


def suite_of(cases: list[Case], description: str = "") -> Suite:
    return Suite(
        name="plates", description=description, products=(ProductSource(name="plate", good=("g",)),), cases=tuple(cases)
    )


def case(name: str, verdict: Verdict | None, tags: tuple[str, ...] = ()) -> Case:
    return Case(id=name, product="plate", assets=("a.png",), expected=Expected(verdict=verdict), tags=tags)


def result(name: str, verdict: Verdict | None, p_value: float | None = None, **more: str) -> CaseResult:
    return CaseResult(case=name, fingerprint="f", verdict=verdict, p_value=p_value, alpha=ALPHA, **more)  # type: ignore[arg-type]


def scored(result: CaseResult, case: Case) -> dict[str, float | None]:
    """As the scorers of verdicts do."""
    truth, said = case.expected.verdict, result.verdict
    return {
        "verdict.correct": None if truth is None else float(said == truth),
        "verdict.miss": float(said == "normal" or said is None) if truth == "anomalous" else None,
        "verdict.false_alarm": float(said == "anomalous" or said is None) if truth == "normal" else None,
        "place.iou": None if said != "anomalous" else 0.25,
        "cost.seconds_s": 0.1,
    }


def write(folder: Path, results: list[CaseResult], of: Suite, **summary: object) -> Path:
    folder.mkdir(exist_ok=True)
    known = {case.id: case for case in of.cases}
    (folder / "results.jsonl").write_text("".join(each.model_dump_json() + "\n" for each in results))
    lines, columns = [], {}
    for each in results:
        for name, value in scored(each, known[each.case]).items():
            why = "" if value is not None else f"not asked of this part {EVIL if name == 'place.iou' else ''}"
            lines.append({"case": each.case, "name": name, "value": value, "why": why})
            columns.setdefault(name, []).append(value)
    (folder / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    scores = {}
    for name, values in columns.items():
        found = [value for value in values if value is not None]
        mean = sum(found) / len(found) if found else None
        low, high = (None, None) if mean is None else (max(0.0, mean - 0.05), min(1.0, mean + 0.05))
        scores[name] = {"mean": mean, "low": low, "high": high, "n": len(found), "unscored": len(values) - len(found)}
    baselines = {"always_normal": {"verdict.correct": 0.5}, "always_review": {"verdict.correct": {"mean": 0.0}}}
    told = {"suite": of.name, "model": "embedded", "seed": 0, "cases": len(results), "failed": 0, "cost": 0.0}
    told |= {"seconds": 12.5, "scores": scores, "baselines": baselines, **summary}
    (folder / "summary.json").write_text(json.dumps(told))
    return folder


def many(count: int, seed: int = 0) -> tuple[list[CaseResult], Suite]:
    """Parts of which half are anomalous, judged by p-values that are honest of the normal ones."""
    random = np.random.default_rng(seed)
    cases, results = [], []
    for i in range(count):
        truth: Verdict = "anomalous" if i % 2 else "normal"
        p_value = float(random.uniform(0, 1)) if truth == "normal" else float(random.beta(0.25, 4))
        said: Verdict | None = "anomalous" if p_value <= ALPHA else "review" if p_value < 0.07 else "normal"
        tags = ("bent", "left side", "night shift")[: i % 4]
        cases.append(case(f"plate/{truth}/{i:05d}", truth, tags))
        failed = i % 97 == 96
        error = "the file cannot be read: it ends too early" if failed else ""
        page = f"pages/{i:05d}/report.html"
        results.append(
            result(cases[-1].id, None if failed else said, None if failed else p_value, error=error, page=page)
        )
    return results, suite_of(cases, "Simulated plates, half of them with a defect.")


class Elements(HTMLParser):
    """Tags, attributes and shown text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_headline_is_what_the_cases_say(tmp_path) -> None:
    suite = suite_of([case(f"a{i}", "anomalous") for i in range(4)] + [case(f"n{i}", "normal") for i in range(6)])
    said: list[Verdict | None] = ["normal", "review", "anomalous", "anomalous", "anomalous", *["normal"] * 4, None]  # type: ignore[list-item]
    results = [
        result(each.id, verdict, error="" if verdict else "broke")
        for each, verdict in zip(suite.cases, said, strict=True)
    ]
    text = Elements(results_page(write(tmp_path / "r", results, suite), suite)).text
    assert "misses 25.0 % 1 of 4 anomalous parts; 0.6 % to 80.6 %" in text
    assert "false alarms 33.3 % 2 of 6 normal parts; 4.3 % to 77.7 %" in text
    assert "coverage: decided without a person 80.0 % 8 of 10 cases" in text
    assert "1 failed, 2 wrong, 1 left to a person" in text
    assert "counts among misses, or false alarms" in text


def test_each_case_is_in_the_filter_where_it_belongs(tmp_path) -> None:
    suite = suite_of([case(name, "anomalous") for name in ("right", "wrong", "asked", "broken")] + [case("free", None)])
    results = [
        result("right", "anomalous"),
        result("wrong", "normal"),
        result("asked", "review"),
        result("broken", None, error="broke"),
        result("free", "normal"),
    ]
    page = results_page(write(tmp_path / "r", results, suite), suite)
    rows = dict(re.findall(r'<tr class="(\w+)[\w ]*"><td><span class="id">(\w+)</span>', page))
    assert rows == {"right": "right", "wrong": "wrong", "unsure": "asked", "failed": "broken", "unjudged": "free"}
    text = Elements(page).text
    for label in ("all (5)", "wrong (1)", "review (1)", "failed (1)", "with low scores (4)"):
        assert label in text
    assert "verdict.correct 0, verdict.miss 1" in text
    assert "cost.seconds_s 0.1" not in text


def test_scores_stand_in_families_with_baselines_and_reasons(tmp_path) -> None:
    results, suite = many(40)
    text = Elements(results_page(write(tmp_path / "r", results, suite), suite)).text
    for words in (
        "always normal",
        "always review",
        "verdict.miss lower is better",
        "20 : not asked of this part",
        "(as in",
    ):
        assert words.replace(" :", ":") in text
    assert text.index("verdict.correct") < text.index("place.iou") < text.index("cost.seconds_s")


def test_nothing_from_outside_becomes_markup(tmp_path) -> None:
    suite = suite_of([case(EVIL, "anomalous", (EVIL,))], EVIL)
    results = [result(EVIL, None, error=EVIL, page=EVIL)]
    folder = write(tmp_path / "r", results, suite, suite=EVIL, model=EVIL, baselines={EVIL: {"verdict.correct": 1.0}})
    found = compare(folder, folder)
    for page in (results_page(folder, suite, found), comparison_section(found)):
        elements = Elements(page)
        assert not {"img", "script"} & set(elements.names)
        assert not any(name.startswith("on") for name, _ in elements.attributes)
        assert EVIL in elements.text


def test_nothing_is_loaded_and_nothing_runs(tmp_path) -> None:
    results, suite = many(30)
    path = write_page(write(tmp_path / "r", results, suite), suite)
    page = path.read_text()
    assert path.name == "index.html"
    assert "default-src 'none'" in page
    assert not re.search(r"<script|<link|<iframe|https?://|@import|url\(|javascript:", page)


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("pages/1/report.html", "./pages/1/report.html"),
        ("pages/a b#?.html", "./pages/a%20b%23%3F.html"),
        ("javascript:alert(1)", "./javascript%3Aalert%281%29"),
        ("//elsewhere/x", None),
        ("/etc/passwd", None),
        ("../../x.html", None),
        ("", None),
    ],
)
def test_a_link_leads_into_the_folder_or_nowhere(tmp_path, page, link) -> None:
    suite = suite_of([case("x", "normal")])
    shown = results_page(write(tmp_path / "r", [result("x", "normal", page=page)], suite), suite)
    assert [value for name, value in Elements(shown).attributes if name == "href"] == ([link] if link else [])


def test_a_page_of_2000_cases_stays_small(tmp_path) -> None:
    results, suite = many(2000)
    page = results_page(write(tmp_path / "r", results, suite), suite)
    assert page.count('<span class="id">plate/') > 1990
    assert len(page.encode()) < 2_000_000


def test_without_a_suite_the_scores_alone_speak(tmp_path) -> None:
    results, suite = many(40)
    folder = write(tmp_path / "r", results, suite)
    alone, known = results_page(folder, None), results_page(folder, suite)
    tile = re.compile(r"misses</span><b>([\d.]+ %)</b>")
    assert tile.findall(alone) == tile.findall(known)
    assert re.findall(r"wrong \((\d+)\)", alone) == re.findall(r"wrong \((\d+)\)", known)
    assert "No normal part with a known truth has a p-value." in alone


def test_an_empty_run_has_a_page(tmp_path) -> None:
    suite = suite_of([])
    text = Elements(results_page(write(tmp_path / "r", [], suite, cost=None), suite)).text
    assert "No score was asked for." in text
    assert "no anomalous parts with a known truth" in text
    assert "not known" in text


def judged(p_value: float | None, expected: Verdict, verdict: Verdict) -> Judged:
    state = "right" if verdict == expected else "review" if verdict == "review" else "wrong"
    return Judged(result("x", verdict, p_value), expected, state)


def test_realised_rates_by_hand() -> None:
    found = [judged(p, "normal", "normal") for p in (0.02, 0.3, 0.5, 1.0)]
    found += [judged(p, "anomalous", "anomalous") for p in (0.01, 0.2)]
    alarms, misses = realised_alarms(found), realised_misses(found)
    assert alarms is not None
    assert misses is not None
    at = {point.x: point for point in alarms.points}
    assert (at[0.01].y, at[0.02].y, at[0.3].y, at[0.5].y, at[1.0].y) == (0, 0.25, 0.5, 0.75, 1)
    assert at[0.02].low < 0.25 < at[0.02].high
    assert {point.x: point.y for point in misses.points}[0.01] == 0.5
    assert {point.x: point.y for point in misses.points}[0.2] == 0
    assert realised_alarms(found[4:]) is None


def test_risk_and_coverage_by_hand() -> None:
    found = [
        judged(0.5, "normal", "normal"),  # ten times alpha: the surest
        judged(0.01, "normal", "anomalous"),  # a fifth
        judged(0.15, "anomalous", "normal"),  # three times
        judged(0.06, "normal", "review"),
    ]
    risk = decided_risk(found)
    assert risk is not None
    assert [(point.x, pytest.approx(point.y)) for point in risk.points] == [(0.25, 0), (0.5, 0.5), (0.75, 2 / 3)]
    assert decided_risk(found[3:]) is None


def test_a_comparison_stands_in_the_page(tmp_path) -> None:
    (first, suite), (second, _) = many(60), many(60, seed=1)
    before, after = write(tmp_path / "a", first, suite), write(tmp_path / "b", second, suite)
    text = Elements(results_page(after, suite, compare(before, after))).text
    assert "Compared with an earlier run" in text
    assert "Right before, not any more:" in text


def judgement(question: str, grade: str, **more: object) -> Judgement:
    known = {
        "asked": EVIL,
        "answer": EVIL,
        "why": EVIL,
        "deterministic": "right",
        "digest": "d",
        "judge": EVIL,
        "prompt": "1",
    }
    return Judgement(case=EVIL, question=question, grade=grade, **{**known, **more})  # type: ignore[arg-type]


def test_what_a_judge_said_stands_apart_where_it_differs_from_code(tmp_path) -> None:
    suite = suite_of([case("x", "normal")])
    judged = [
        judgement("alike", "right", person="wrong"),
        judgement("unsure", "cannot_say", right_answer_holds=("area", EVIL)),
        judgement("apart", "wrong", unanswerable=True, person="right"),
    ]
    judge = {"model": EVIL, "prompt": "1", "answers": 3, "right": 1, "wrong": 1, "cannot_say": 1, "failed": 1}
    judge |= {"tokens": 300, "cost": None, "labels": {"used": 2, "stale": 7, "strangers": 0}}
    judge |= {"scores": {"judged.right": {"mean": 0.5, "low": 0.1, "high": 0.9, "n": 2, "unscored": 0}}}
    folder = write(tmp_path / "r", [result("x", "normal")], suite, judge={**judge, "agreement": agreements(judged, 0)})
    assert "Judged by a model" in results_page(folder, suite)
    (folder / "judged.jsonl").write_text("".join(each.model_dump_json() + "\n" for each in judged))
    page = results_page(folder, suite)
    elements = Elements(page)
    assert not {"img", "script"} & set(elements.names)
    assert "judged.right" not in elements.text[elements.text.index("Can the numbers be trusted") :]
    assert "judged.right 0.500 0.100 to 0.900 2" in elements.text
    assert "the judge with people 0 of 2 0.000" in elements.text
    assert "Labels of 7 answers that have changed since are left out." in elements.text
    assert "Judge and deterministic scorer apart: 2" in elements.text
    assert page.index('<span class="id">apart</span>') < page.index('<span class="id">unsure</span>')
    assert '<span class="id">alike</span>' not in page
    assert "says that it is not known" in elements.text


def test_a_run_that_nobody_judged_says_nothing_of_judges(tmp_path) -> None:
    results, suite = many(4)
    folder = write(tmp_path / "r", results, suite)
    (folder / "judged.jsonl").write_text("of an earlier run")
    assert "Judged" not in results_page(folder, suite)


def test_a_folder_without_results_is_refused(tmp_path) -> None:
    with pytest.raises(RequestError, match=r"results\.jsonl: cannot be read"):
        write_page(tmp_path)
