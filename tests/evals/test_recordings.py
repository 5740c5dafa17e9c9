"""The benchmark on recordings, on recordings made here."""

import json
from pathlib import Path

import numpy as np
import pytest

from evals.recordings import read_cases, recordings_table, run_recordings
from knowledge import RequestError


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "timeseries" / "made"
    (folder / "test").mkdir(parents=True)
    (folder / "train" / "good").mkdir(parents=True)
    rng = np.random.default_rng(0)

    def write(name: str, first: int | None) -> None:
        values = rng.normal(size=(500, 2))
        if first is not None:
            values[first : first + 60] += 5
        lines = [f"{a:.4f},{b:.4f},{int(first is not None)}" for a, b in values]
        (folder / name).write_text("a,b,anomaly\n" + "\n".join(lines) + "\n")

    write("train/good/normal.csv", None)
    write("test/odd.csv", 300)
    write("test/own.csv", 400)
    write("test/good.csv", None)
    files = {
        "test/odd.csv": {"n_rows": 500, "intervals": [[300, 359]]},
        "test/own.csv": {"n_rows": 500, "intervals": [[400, 459]], "train_rows": [0, 299]},
        "test/good.csv": {"n_rows": 500, "intervals": []},
    }
    (folder / "labels.json").write_text(json.dumps({"files": files}))
    return folder.parent.parent


def test_what_is_learned_from(source: Path) -> None:
    odd, own, good = read_cases(source / "timeseries" / "made")
    assert odd.recording.channels == ("a", "b")
    assert (odd.judged_from, own.judged_from) == (0, 300)
    assert own.train[0].samples == 300
    assert odd.train[0].samples == 500
    assert odd.truth.sum() == 60
    assert not good.truth.any()


def test_a_run_and_its_table(source: Path) -> None:
    result = run_recordings(source)
    row = result["sets"][0]
    assert row["with_anomalies"] == 2
    assert row["test"] == 3
    assert row["vus_pr"] > 0.9
    assert row["auroc"] > 0.95
    assert row["event_recall"] == 1
    assert row["judged_by"] == {"samples": 3}
    assert result["macro"]["vus_pr"] == row["vus_pr"]
    assert result["peers"] == {}
    assert json.loads(json.dumps(result)) == result
    table = recordings_table(result, markdown=True)
    assert table.row_count == 2
    assert table.columns[0].header == "set"


def test_peers_run_beside(source: Path) -> None:
    pytest.importorskip("pyod")
    result = run_recordings(source, ["made"], peers=["iforest"])
    peer = result["peers"]["iforest"]["sets"][0]
    assert peer["vus_pr"] > 0.5
    assert peer["event_f1"] is None
    assert peer["events_reported_on_normal"] is None
    assert peer["judged_by"] is None


def test_what_there_is_not(source: Path) -> None:
    with pytest.raises(RequestError, match="no set"):
        run_recordings(source, ["other"])
    with pytest.raises(RequestError, match="no peer"):
        run_recordings(source, peers=["oracle"])
