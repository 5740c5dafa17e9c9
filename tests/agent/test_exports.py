"""The views drawn from the record: complete, self-contained, and harmless whatever the record says."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agent import InspectionReport, Inspector
from agent.exports import html_page, index_page, markdown_text
from agent.exports.html import IndexRow

EVIL = (
    "<script>alert(1)</script>\"'><img src=http://example.org/x.png onerror=alert(1)> [a](javascript:b) `c` |d|\x1b[2J"
)


class Tags(HTMLParser):
    """Names and attributes of every element."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))


@pytest.fixture
def report(inspector: Inspector, plate, save, tmp_path: Path) -> InspectionReport:
    return inspector.inspect(save(tmp_path / "part.png", plate(1001, "scratch")), "plate")


@pytest.fixture
def evil(report: InspectionReport) -> InspectionReport:
    """The same record with hostile words wherever words from outside can stand."""
    values = report.model_dump(mode="json")
    values["inputs"][0]["name"] = values["product"]["name"] = EVIL
    values["decision"]["reasons"] = values["not_checked"] = [EVIL]
    for key in ("title", "defect_type"):
        values["findings"][0][key] = EVIL
    values["claims"][0].update(text=EVIL, checked=EVIL, source=EVIL)
    values["rules"][0].update(text=EVIL, reason=EVIL)
    values["evidence"][0]["summary"] = values["references"][0]["why"] = EVIL
    values["plan"][0].update(purpose=EVIL, note=EVIL)
    return InspectionReport.model_validate(values)


def tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(page)
    return parser.found


def test_the_page_holds_everything_that_an_engineer_looks_for(report, inspector) -> None:
    page = html_page(report, inspector.store)
    for heading in ("Findings", "Nearest normal references", "Rules", "Not checked", "Plan and steps", "Record"):
        assert f"<h2>{heading}</h2>" in page
    assert page.index("Anomalous</h1>") < page.index("<h2>")
    for words in (
        "Scratch in the top centre",
        "supported",
        "P-2",
        "violated",
        "localize_anomalies",
        report.inspection_id,
    ):
        assert words in page
    assert {attributes.get("class") for tag, attributes in tags(page) if tag == "input"} == {
        "heat-switch",
        "box-switch",
    }


@pytest.mark.parametrize("which", ["report", "evil"])
def test_the_page_runs_nothing_and_loads_nothing(request, inspector, which) -> None:
    for page in (
        html_page(request.getfixturevalue(which), inspector.store),
        index_page([IndexRow(request.getfixturevalue(which), "a/report.html", EVIL)], inspector.store, EVIL, EVIL),
    ):
        found = tags(page)
        assert "script" not in {tag for tag, _ in found}
        assert not [name for _, attributes in found for name in attributes if name.startswith("on")]
        sources = [attributes["src"] for _, attributes in found if "src" in attributes]
        assert sources
        assert all(source and source.startswith("data:image/") for source in sources)
        links = [attributes["href"] for tag, attributes in found if tag == "a"]
        assert all(link and re.fullmatch(r"#f\d+|a/report\.html", link) for link in links)
        assert "default-src 'none'" in page


def test_markdown_from_outside_stays_text(evil) -> None:
    text = markdown_text(evil)
    assert "\x1b" not in text
    assert "<script>" not in text
    assert re.search(r"(?<!\\)\[a\]", text) is None
    rows = [line for line in text.splitlines() if line.startswith("| P-1")]
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 4


def test_markdown_says_verdict_reasons_findings_and_marks(report) -> None:
    text = markdown_text(report)
    assert text.startswith("# ANOMALOUS: plate\n")
    assert "### Scratch in the top centre (critical)" in text
    assert "- ✓ The region is darker than its surroundings. (supported)" in text
    assert "| P-2 | violated |" in text
    assert "nothing left this machine" in text


def test_a_report_without_findings_says_so(inspector, plate, save, tmp_path) -> None:
    report = inspector.inspect(save(tmp_path / "good.png", plate(1000)), "plate")
    page = html_page(report, inspector.store)
    assert "No region of the part is over the threshold." in page
    assert "<h2>Findings</h2>" not in page
