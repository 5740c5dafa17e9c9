"""`anomalyst bench` at the command line: folders of other modalities than pictures, and what options ask for."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.cli import main
from agent.simulated.flanges import DENT_AT, write_flange
from knowledge import RequestError


@pytest.fixture
def flanges(tmp_path: Path) -> Path:
    folder = tmp_path / "depth" / "flange"
    for seed in range(4):
        write_flange(folder / "train" / "good" / f"{seed}.png", seed)
    write_flange(folder / "test" / "good" / "0.png", 50)
    write_flange(folder / "test" / "dent" / "0.png", 51, "dent")
    rows, columns = np.mgrid[0:160, 0:160]
    mask = np.hypot(columns - DENT_AT[0], rows - DENT_AT[1]) < 8
    truth = folder / "ground_truth" / "dent" / "0_mask.png"
    truth.parent.mkdir(parents=True)
    Image.fromarray((mask * 255).astype(np.uint8)).save(truth)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr("sys.argv", ["anomalyst", "bench", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False])
def test_height_maps_are_judged_beside_a_peer(flanges, named, monkeypatch, capsys) -> None:
    source = flanges / "depth" if named else flanges
    assert run(monkeypatch, str(source), "--json", *(["--peers", "fpfh"] if named else [])) == 0
    result = json.loads(capsys.readouterr().out)
    found = result["sets"][0]
    assert (found["name"], found["train"], found["test_good"], found["test_anomalous"]) == ("flange", 4, 1, 1)
    assert found["object_auroc"] == 1.0
    assert found["located"] == 1
    assert bool(result["peers"]) == named


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--shots", "1"], "are for pictures"),
        (["--looks", "224"], "are for pictures"),
        (["--not-aligned"], "are for pictures"),
        (["--sets", "typo"], "there is no set 'typo'; known are flange"),
        (["--peers", "patchcore"], "there is no peer 'patchcore' here; known are fpfh"),
    ],
)
def test_what_makes_no_sense_here_is_refused_before_any_work(flanges, options, sentence, monkeypatch, capsys) -> None:
    assert run(monkeypatch, str(flanges / "depth"), *options) == 3
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(("options", "aligned"), [([], None), (["--aligned"], True), (["--not-aligned"], False)])
def test_comparing_place_by_place_is_chosen_unless_it_is_said(options, aligned, monkeypatch, tmp_path) -> None:
    asked = []

    def benchmark(source, sets, settings, *others):
        asked.append(settings.aligned)
        raise RequestError("enough")

    monkeypatch.setattr("evals.benchmark.run_benchmark", benchmark)
    assert run(monkeypatch, str(tmp_path), *options) == 3
    assert asked == [aligned]


def test_an_ablation_compares_both_by_itself(monkeypatch, tmp_path, capsys) -> None:
    assert run(monkeypatch, str(tmp_path), "--ablate", "--aligned") == 3
    assert "it compares both" in capsys.readouterr().err
