"""The few-shot benchmark on small folders made here, with detectors whose figures are known beforehand."""

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from agent.cli import main
from evals import few_shot
from evals.few_shot import draw_references, parse_shots, run_few_shot
from evals.simulated import write_plate, write_plates
from evals.tables import protocol_line, tables_of
from knowledge import FittedPartError, RequestError
from tools import LocalizerSettings

FAST = LocalizerSettings(areas=(96 * 128,))

Save = Callable[[Path, np.ndarray], Path]


def silent(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def folder(tmp_path: Path, save: Save) -> Path:
    """Two sets of plates: one with 4 train pictures and masks, one with 2 and without masks."""
    for name, count in (("few", 2), ("more", 4)):
        write_plates(tmp_path / name / "train" / "good", count)
        write_plates(tmp_path / name / "test" / "good", 2, first_seed=100)
        for seed in (200, 201):
            write_plate(tmp_path / name / "test" / "scratch" / f"{seed}.png", seed, "scratch")
            if name == "more":
                mask = np.zeros((96, 128), np.uint8)
                mask[17:37, 51:110] = 255
                save(tmp_path / name / "ground_truth" / "scratch" / f"{seed}_mask.png", mask)
    return tmp_path


class Recorder:
    """A peer that keeps the pictures it learns from, and finds scratches where the order of its fits says so."""

    name = "recorder"

    def __init__(self, right: Sequence[bool] = ()) -> None:
        self.learned: list[list[np.ndarray]] = []
        self.right = right

    def fit(self, pictures: Sequence[Callable[[], np.ndarray]]) -> None:
        self.learned.append([picture() for picture in pictures])

    def judge(self, pixels: np.ndarray) -> tuple[float, np.ndarray]:
        darkness = 255 - pixels.mean(axis=2, dtype=np.float32)
        scratched = float((darkness > 225).sum())
        right = not self.right or self.right[len(self.learned) - 1]
        return scratched if right else -scratched, darkness


class Silent(Recorder):
    """A peer whose scores are no numbers."""

    def judge(self, pixels: np.ndarray) -> tuple[float, np.ndarray]:
        return float("nan"), np.full(pixels.shape[:2], np.nan, np.float32)


def beside(monkeypatch: pytest.MonkeyPatch, peer: Recorder) -> Recorder:
    monkeypatch.setattr("evals.detection.load_peer", lambda name, area, seed: peer)
    return peer


def test_draws_are_nested_by_seed_and_differ_between_seeds() -> None:
    train = [Path(f"{number}.png") for number in range(30)]
    for seed in range(5):
        assert draw_references(train, 8, seed)[:3] == draw_references(train, 3, seed)
        assert len(set(draw_references(train, 30, seed))) == 30
    assert len({draw_references(train, 1, seed)[0] for seed in range(10)}) > 5


def test_all_detectors_learn_from_the_very_same_references(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = beside(monkeypatch, Recorder())
    fitted = []
    genuine = few_shot.fit_localizer

    def watching(parts, **options):
        fitted.append([part.pixels() for part in parts])
        return genuine(parts, **options)

    monkeypatch.setattr(few_shot, "fit_localizer", watching)
    result = run_few_shot(str(folder), ["more"], FAST.model_copy(update={"seed": 7}), silent, [2, 1], 3, ["recorder"])
    assert [len(pictures) for pictures in fitted] == [1, 1, 1, 2, 2, 2]
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(flat(fitted), flat(peer.learned), strict=True))
    ours, theirs = (found["sets"][0]["shots"] for found in (result, result["peers"]["recorder"]))
    for shots in ("1", "2"):
        assert [draw["seed"] for draw in ours[shots]["draws"]] == [7, 8, 9]
        assert [d["references"] for d in ours[shots]["draws"]] == [d["references"] for d in theirs[shots]["draws"]]
    for one, two in zip(ours["1"]["draws"], ours["2"]["draws"], strict=True):
        assert two["references"][:1] == one["references"]


def flat(drawn: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    return [picture for pictures in drawn for picture in pictures]


def test_mean_and_deviation_are_over_the_draws_and_macro_is_over_the_sets_of_a_draw(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Fits: `few` by 3 draws, then `more` by 3 draws. Image AUROC is 1 where it is right and 0 where it is not.
    beside(monkeypatch, Recorder([True, True, False, True, False, False]))
    result = run_few_shot(str(folder), [], FAST, silent, [1], 3, ["recorder"])
    theirs = result["peers"]["recorder"]
    few, more, macro = (row["shots"]["1"] for row in (*theirs["sets"], theirs["macro"]))
    assert few["image_auroc"] == pytest.approx({"mean": 2 / 3, "deviation": statistics.stdev([1, 1, 0])})
    assert more["image_auroc"] == pytest.approx({"mean": 1 / 3, "deviation": statistics.stdev([1, 0, 0])})
    assert [draw["image_auroc"] for draw in macro["draws"]] == [1, 0.5, 0]
    assert macro["image_auroc"] == pytest.approx({"mean": 0.5, "deviation": 0.5})
    assert few["pixel_ap"] == {"mean": None, "deviation": None}
    assert more["pixel_ap"]["mean"] == macro["pixel_ap"]["mean"] > 0.05
    assert more["pixel_ap"]["deviation"] == 0


def test_a_scratch_is_found_with_one_reference_and_nothing_is_said_of_false_alarms(folder: Path) -> None:
    result = run_few_shot(str(folder), [], FAST, silent, [1, 2, 3], 2)
    few, more = result["sets"]
    assert few["shots"]["3"] is None
    assert more["shots"]["1"]["image_auroc"]["mean"] == 1
    assert more["shots"]["3"]["pixel_ap"]["mean"] > 0.3
    assert result["macro"]["shots"]["2"]["sets"] == 2
    assert result["macro"]["shots"]["3"]["sets"] == 1
    assert result["protocol"]["shots"] == [1, 2, 3]
    assert result["peers"] == {}
    printed = json.dumps(result)
    assert "false_alarm" not in printed
    assert '"miss"' not in printed


def test_the_table_has_a_line_for_each_set_and_number_and_a_dash_where_there_is_no_figure(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside(monkeypatch, Silent())
    result = run_few_shot(str(folder), [], FAST, silent, [1, 3], 2, ["recorder"])
    (table,) = tables_of(result, markdown=True)
    sets, shots, ours, theirs = (list(column.cells) for column in table.columns)
    assert [column.header for column in table.columns] == ["set", "shots", "anomalyst", "recorder"]
    assert sets == ["few", "few", "more", "more", "macro", "macro"]
    assert shots == ["1", "3"] * 3
    assert ours[0] == "1.000 ± 0.000 / -"
    assert ours[1] == "-"
    assert ours[3].startswith("1.000 ± 0.000 / 0.")
    assert theirs == ["- / -", "-", "- / -", "- / -", "- / -", "- / -"]
    line = protocol_line(result)
    assert "12288 (peers 102400) input pixels" in line
    assert "by seeds 0 to 1, the same for every detector" in line


def test_a_lone_draw_has_no_deviation(folder: Path) -> None:
    result = run_few_shot(str(folder), ["more"], FAST, silent, [1], 1)
    assert result["sets"][0]["shots"]["1"]["image_auroc"] == {"mean": 1, "deviation": None}
    (table,) = tables_of(result, markdown=True)
    assert "±" not in "".join(table.columns[2].cells)


def test_progress_counts_the_draws_of_a_set(folder: Path) -> None:
    told = []
    run_few_shot(str(folder), ["few"], FAST, lambda *told_of: told.append(told_of), [1, 2, 9], 2)
    assert told == [("anomalyst few", done, 4) for done in range(5)]


@pytest.mark.parametrize("text", ["", "1,", "one", "1;2", "1.5"])
def test_shots_that_are_no_numbers_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"^--shots .*expected whole numbers with commas, such as 1,2,4$"):
        parse_shots(text)


@pytest.mark.parametrize(
    ("shots", "draws", "message"),
    [([], 3, "expected numbers of references"), ([-1], 3, "or 0 for none at all"), ([1], 0, "--draws 0: expected at")],
)
def test_numbers_that_no_draw_can_have_are_refused(folder: Path, shots: list[int], draws: int, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        run_few_shot(str(folder), [], FAST, silent, shots, draws)


def test_without_any_reference_texts_judge_once_and_the_others_are_drawn(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tiny_architecture: str
) -> None:
    called = []
    genuine = few_shot.fit_zero_shot
    monkeypatch.setattr(few_shot, "fit_zero_shot", lambda noun, of: called.append(noun) or genuine(noun, of))
    reader = LocalizerSettings(backbone=tiny_architecture, weights="random", areas=(64 * 64,))
    result = run_few_shot(str(folder), [], reader, silent, [1, 0], 2)
    assert called == ["few", "more"]
    assert result["protocol"]["shots"] == [0, 1]
    assert "without any, texts call the parts by the name of their set" in result["protocol"]["references"]
    none, one = (result["macro"]["shots"][shots] for shots in ("0", "1"))
    assert (len(none["draws"]), len(one["draws"])) == (1, 2)
    assert none["image_auroc"]["deviation"] is None
    assert 0 <= none["pixel_ap"]["mean"] <= 1
    [table] = tables_of(result, markdown=True)
    assert list(table.columns[1].cells) == ["0", "1"] * 3
    assert "4096 input pixels" in protocol_line(result)


def test_a_backbone_that_does_not_read_cannot_do_without_references(folder: Path) -> None:
    with pytest.raises(FittedPartError, match=r"efficientnet_lite0 has no texts .* give at least one"):
        run_few_shot(str(folder), ["few"], FAST, silent, [0, 1])


def anomalyst(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["anomalyst", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command_prints_json_or_the_table_and_refuses_nonsense(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("bench", folder, "--sets", "few", "--shots", "1", "--draws", "2")
    assert anomalyst(monkeypatch, *command, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["sets"][0]["shots"]["1"]["draws"]) == 2
    assert anomalyst(monkeypatch, *command) == 0
    assert "| few   | 1     | 1.000 ± 0.000 / - |" in capsys.readouterr().out
    assert anomalyst(monkeypatch, *command, "--shots", "many") == 3
    assert "--shots many: expected whole numbers" in capsys.readouterr().err


def test_real_paper_with_impurities_from_one_reference(shared_data: Path) -> None:
    settings = LocalizerSettings(areas=(320 * 320,))
    result = run_few_shot(str(shared_data / "image"), ["piped_pa_bdp01_tl"], settings, silent, [1], 1)
    assert result["sets"][0]["shots"]["1"]["image_auroc"]["mean"] > 0.98
    assert result["sets"][0]["shots"]["1"]["pixel_ap"]["mean"] > 0.5
