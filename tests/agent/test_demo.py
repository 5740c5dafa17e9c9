"""The demo, for real: real cells, learned and inspected, with its pages."""

import json
from pathlib import Path

import pytest

from agent.cli import main


@pytest.mark.slow
def test_the_demo_learns_cells_and_tells_four_good_from_four_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["anomalyst", "demo", "--out", str(tmp_path / "pages"), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    result = json.loads(capsys.readouterr().out)
    verdicts = [(part["truth"], part["verdict"]) for part in result["parts"]]
    assert verdicts.count(("functional", "normal")) == 4
    assert verdicts.count(("defective", "anomalous")) == 4
    page = Path(result["index"]).read_text()
    assert page.count("/report.html") == 8
    assert all(Path(part["page"]).is_file() for part in result["parts"])
    assert "CC BY-NC-SA 4.0" in page
