"""A product of which nothing was ever seen, from the command line to the report."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli import main


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["anomalyst", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


def test_every_part_is_for_review_and_the_report_says_that_nothing_was_seen(
    run, tiny_architecture, plate, save, tmp_path
) -> None:
    reader = ("--backbone", tiny_architecture, "--weights", "random")
    code, out, err = run("enroll", "steel-plate", "--zero-shot", *reader, "--looks", "64")
    assert code == 0, err
    assert "0 references; looked at as a photograph, since no reference says otherwise" in out
    assert "only texts of a flawless and of a damaged steel plate" in out
    assert "end in review" in err
    code, out, err = run("inspect", save(tmp_path / "p.png", plate(1, "scratch")), "-p", "steel-plate", "--json")
    report = json.loads(out)
    assert code == 2, err
    assert report["verdict"] == "review"
    assert report["decision"]["threshold"] is None
    assert any("no normal part was ever seen" in reason for reason in report["decision"]["reasons"])
    assert report["references"] == []
    code, out, _ = run("products", "--json")
    assert code == 0
    assert {"product": "steel-plate", "references": 0, "promised": False}.items() <= json.loads(out)[-1].items()


@pytest.mark.parametrize("arguments", [(), ("--zero-shot", "--good", "."), ("--zero-shot", "--held-out", ".")])
def test_normal_parts_or_none_is_to_be_said(run, arguments) -> None:
    code, _, err = run("enroll", "plate", *arguments)
    assert code == 3
    assert "give folders of normal parts with --good, or --zero-shot to do without any" in err


def test_the_embedded_backbone_does_not_read(run, tmp_path: Path) -> None:
    code, _, err = run("enroll", "plate", "--zero-shot")
    assert code == 3
    assert "efficientnet_lite0 has no texts" in err
    assert "give at least one" in err
    assert not (tmp_path / "home" / "catalog" / "plate").exists()
