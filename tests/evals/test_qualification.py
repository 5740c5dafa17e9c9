"""The attribute agreement study, against a published one, and one that is run."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from agent import Inspector, Settings
from agent.cli import app
from evals.appraising import JUDGEMENTS_FILE, Asked, read_parts, run_qualification
from evals.metrics import binomial_interval
from evals.pages import write_qualification_page
from evals.qualification import parts_needed, study
from evals.qualify_command import qualification_table, qualify
from evals.simulated import write_plate, write_plates
from knowledge import RequestError

Verdicts = dict[str, list[str]]


def appraiser(missed: int, alarmed: int, good: int = 34, defective: int = 16) -> tuple[Verdicts, dict[str, str]]:
    """Each of some defective parts missed once in three, each of some good parts rejected once."""
    truth = {f"g{i}": "normal" for i in range(good)} | {f"d{i}": "anomalous" for i in range(defective)}
    judged = {part: [verdict] * 3 for part, verdict in truth.items()}
    for i in range(missed):
        judged[f"d{i}"][i % 3] = "normal"
    for i in range(alarmed):
        judged[f"g{i}"][i % 3] = "anomalous"
    return judged, truth


# AIAG, Measurement Systems Analysis, 4th edition, III-C: 50 parts, three times, two of its three appraisers. Their wrong
# decisions are as many as the parts that they did not judge right every time, so each such part has exactly one.
@pytest.mark.parametrize(
    ("missed", "alarmed", "effective", "miss", "false_alarm", "kappa"),
    [(3, 5, 0.84, 0.063, 0.049, 0.88), (3, 2, 0.90, 0.063, 0.020, 0.92)],
)
def test_the_published_study_is_reproduced(missed, alarmed, effective, miss, false_alarm, kappa) -> None:
    found = study(*appraiser(missed, alarmed))
    assert found.effectiveness.value == pytest.approx(effective)
    assert found.miss.value == pytest.approx(miss, abs=0.0006)
    assert found.false_alarm.value == pytest.approx(false_alarm, abs=0.0006)
    assert found.against.kappa == pytest.approx(kappa, abs=0.005)


def test_every_figure_of_the_first_appraiser_by_hand() -> None:
    found = study(*appraiser(3, 5))
    assert (found.parts, found.good, found.defective, found.repeats) == (50, 34, 16, 3)
    assert (found.effectiveness.hits, found.effectiveness.of) == (42, 50)
    assert (found.effectiveness.low, found.effectiveness.high) == (
        pytest.approx(0.709, abs=5e-4),
        pytest.approx(0.928, abs=5e-4),
    )
    assert (found.miss.hits, found.miss.of, found.false_alarm.hits, found.false_alarm.of) == (3, 48, 5, 102)
    # Nobody missed the same part every time; three of sixteen were missed at all.
    assert (found.miss.low, found.miss.high) == (0, pytest.approx(binomial_interval(3, 16).high))
    # Fleiss: 42 parts agree fully, 8 in one pair of three; a third of the decisions says anomalous.
    assert found.within.kappa == pytest.approx(((42 + 8 / 3) / 50 - 5 / 9) / (4 / 9))
    assert found.within.kappa == pytest.approx(0.76)
    # Cohen: 142 of 150 agree; by chance (50 * 48 + 100 * 102) / 150^2 = 0.56 would.
    assert found.against.kappa == pytest.approx((142 / 150 - 0.56) / 0.44)
    assert (found.within.same, found.within.of) == (42, 50)
    grades = (found.effectiveness.grade, found.miss.grade, found.false_alarm.grade)
    assert grades == ("marginal", "not acceptable", "acceptable")
    assert found.grade == "not acceptable"
    assert not found.shown


def changed(judged: Verdicts, part: str, verdicts: list[str]) -> Verdicts:
    return {**judged, part: verdicts}


def test_one_changed_verdict_changes_what_it_must_and_nothing_else() -> None:
    judged, truth = appraiser(0, 0)
    perfect = study(judged, truth)
    assert (perfect.effectiveness.value, perfect.within.kappa, perfect.against.kappa) == (1, 1, 1)
    missed = study(changed(judged, "d0", ["anomalous", "normal", "anomalous"]), truth)
    assert (missed.miss.hits, missed.false_alarm.hits, missed.reviews.hits, missed.effectiveness.hits) == (1, 0, 0, 49)
    alarmed = study(changed(judged, "g0", ["anomalous"] * 3), truth)
    assert (alarmed.miss.hits, alarmed.false_alarm.hits, alarmed.within.same, alarmed.effectiveness.hits) == (
        0,
        3,
        50,
        49,
    )
    for part in ("g0", "d0"):
        reviewed = study(changed(judged, part, ["review"] * 3), truth)
        assert (reviewed.miss.hits, reviewed.false_alarm.hits, reviewed.reviews.hits) == (0, 0, 3)
        assert (reviewed.effectiveness.hits, reviewed.within.same) == (49, 50)
        assert reviewed.against.kappa is not None
        assert reviewed.against.kappa < 1


def test_the_order_of_parts_and_of_repeats_says_nothing() -> None:
    judged, truth = appraiser(3, 5)
    turned = {part: judged[part][::-1] for part in reversed(judged)}
    first, second = study(turned, truth), study(judged, truth)
    assert first.within.kappa == pytest.approx(second.within.kappa)
    assert first._replace(within=second.within) == second


def test_repeating_a_part_is_not_judging_another() -> None:
    """Of an appraiser who repeats himself, hundred repeats are worth as much as one."""
    truth = {f"g{i}": "normal" for i in range(20)} | {f"d{i}": "anomalous" for i in range(20)}
    once = {part: [verdict] for part, verdict in truth.items()}
    often = {part: [verdict] * 100 for part, verdict in truth.items()}
    assert study(once, truth).miss.high == study(often, truth).miss.high == pytest.approx(binomial_interval(0, 20)[1])


@pytest.mark.slow
def test_the_interval_of_misses_holds_the_truth_where_parts_differ() -> None:
    """Parts are easy or hard: of 120 studies of 30 defective parts, at least 95 % hold the true chance of a miss."""
    random = np.random.default_rng(1)
    truth = {f"d{i}": "anomalous" for i in range(30)} | {"g": "normal"}
    held = 0
    for _ in range(120):
        chances = random.choice([0.0, 0.5], p=[0.8, 0.2], size=30)
        draws = random.random((30, 3)) < chances[:, None]
        judged = {f"d{i}": ["normal" if missed else "anomalous" for missed in row] for i, row in enumerate(draws)}
        miss = study({**judged, "g": ["normal"] * 3}, truth).miss
        assert miss.low is not None
        assert miss.high is not None
        held += miss.low <= 0.1 <= miss.high
    assert held >= 114


@pytest.mark.parametrize(
    ("good", "defective", "shown"),
    [(59, 149, True), (58, 149, False), (59, 148, False)],
)
def test_acceptable_is_shown_by_exactly_as_many_parts_as_the_formula_says(good, defective, shown) -> None:
    found = study(*appraiser(0, 0, good, defective))
    assert found.grade == "acceptable"
    assert found.shown == shown
    assert ("too few" in found.sentence) != shown


def test_one_bad_figure_that_is_shown_is_enough() -> None:
    judged, truth = appraiser(0, 0, 60, 4)
    rejected = {part: ["anomalous"] * 3 for part in judged}
    found = study({**rejected, "d0": ["normal"] * 3}, truth)
    assert (found.miss.grade, found.miss.shown) == ("not acceptable", False)
    assert (found.false_alarm.grade, found.false_alarm.shown) == ("not acceptable", True)
    assert (found.grade, found.shown) == ("not acceptable", True)


def test_bad_is_shown_as_well() -> None:
    judged, truth = appraiser(0, 0, 30, 30)
    found = study({part: ["normal"] * 3 for part in judged}, truth)
    assert (found.grade, found.shown, found.miss.shown, found.false_alarm.grade) == (
        "not acceptable",
        True,
        True,
        "acceptable",
    )
    assert found.against.kappa == 0
    assert found.within.kappa is None


@pytest.mark.parametrize(("rate", "parts"), [(0.05, 59), (0.02, 149), (0.01, 299), (0.001, 2995), (0.1, 29)])
def test_how_many_parts_a_promise_takes(rate, parts) -> None:
    assert parts_needed(rate) == parts
    assert (1 - rate) ** parts <= 0.05 < (1 - rate) ** (parts - 1)


def test_with_parts_of_one_kind_nothing_is_known() -> None:
    found = study({"a": ["normal"], "b": ["normal"]}, {"a": "normal", "b": "normal"})
    assert (found.grade, found.miss.value, found.miss.grade) == ("not known", None, "not known")
    assert (found.within.share, found.against.kappa) == (None, None)
    assert found.sentence == "Not known: a study needs good and defective parts."


@pytest.mark.parametrize(
    ("judged", "truth", "sentence"),
    [
        ({}, {}, "needs judgements and truth of the same parts"),
        ({"a": ["normal"]}, {"b": "normal"}, "of the same parts"),
        ({"a": ["fine"]}, {"a": "normal"}, "no verdict 'fine'"),
        ({"a": ["normal"]}, {"a": "review"}, "normal or anomalous, not 'review'"),
        ({"a": ["normal"], "b": []}, {"a": "normal", "b": "normal"}, "equally often"),
        ({"a": []}, {"a": "normal"}, "equally often"),
    ],
)
def test_a_study_that_is_none_is_refused(judged, truth, sentence) -> None:
    with pytest.raises(RequestError, match=sentence):
        study(judged, truth)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good plates, two scratched ones, and a file that is no picture."""
    write_plates(tmp_path / "parts" / "good", 2, first_seed=300)
    for seed in (400, 401):
        write_plate(tmp_path / "parts" / "scratch" / f"{seed}.png", seed, "scratch")
    return tmp_path / "parts"


def asked(folder: Path, out: Path, repeats: int = 2, seed: int = 0) -> Asked:
    return Asked(read_parts(folder, None, seed), "plate", repeats, seed, out)


def silent(what: str, done: int, total: int) -> None:
    pass


def test_parts_are_read_by_their_folders_and_drawn_alike(folder, tmp_path) -> None:
    parts = read_parts(folder, None, 0)
    assert [(part.name, part.truth) for part in parts] == [
        ("good/plate0300.png", "normal"),
        ("good/plate0301.png", "normal"),
        ("scratch/400.png", "anomalous"),
        ("scratch/401.png", "anomalous"),
    ]
    assert sorted(part.truth for part in read_parts(folder, 2, 0)) == ["anomalous", "normal"]
    assert len(read_parts(folder, 3, 0)) == 3
    assert {part.name for seed in range(20) for part in read_parts(folder, 2, seed)} == {part.name for part in parts}
    (tmp_path / "set").mkdir()
    folder.rename(tmp_path / "set" / "test")
    assert len(read_parts(tmp_path / "set", None, 0)) == 4


def test_a_folder_without_both_kinds_is_refused(folder, tmp_path) -> None:
    with pytest.raises(RequestError, match="has no folder 'good'"):
        read_parts(tmp_path, None, 0)
    (tmp_path / "only" / "good").mkdir(parents=True)
    write_plates(tmp_path / "only" / "good", 1)
    with pytest.raises(RequestError, match="has no defective parts"):
        read_parts(tmp_path / "only", None, 0)
    with pytest.raises(RequestError, match="a good and a defective part"):
        read_parts(folder, 1, 0)


def test_a_study_is_run_goes_on_where_it_was_and_is_shown(folder, learned_home, tmp_path, monkeypatch) -> None:
    (folder / "scratch" / "broken.png").write_bytes(b"no picture")
    calls: list[tuple[str, str, int | None]] = []
    inspect = Inspector.inspect

    def counted(self: Inspector, path: Path, product: str, **options: str) -> object:
        calls.append((Path(path).name, options["thread_id"], self.settings.client.seed))
        return inspect(self, path, product, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Inspector, "inspect", counted)
    settings, out = Settings(home=learned_home), tmp_path / "out"
    result = run_qualification(asked(folder, out), settings, silent)
    assert len(calls) == 10
    assert len({thread for _, thread, _ in calls}) == 10
    assert [seed for *_, seed in calls] == [0] * 5 + [1] * 5
    found = result["study"]
    assert (found["reviews"]["hits"], found["miss"]["hits"], found["within"]["same"]) == (2, 0, 5)
    broken = next(part for part in result["parts"] if part["part"] == "scratch/broken.png")
    assert broken["verdicts"] == ["review", "review"]
    assert broken["why"]

    kept = (out / JUDGEMENTS_FILE).read_text()
    (out / JUDGEMENTS_FILE).write_text(kept[: int(len(kept) * 0.75)])
    calls.clear()
    again = run_qualification(asked(folder, out), settings, silent)
    assert 0 < len(calls) < 5
    assert again["study"] == found
    calls.clear()
    run_qualification(asked(folder, out), settings, silent)
    assert calls == []

    def refused(self: Inspector, path: Path, product: str, **options: str) -> object:
        raise RequestError("asked again")

    monkeypatch.setattr(Inspector, "inspect", refused)
    other = run_qualification(asked(folder, out, seed=1), settings, silent)
    assert {part["why"] for part in other["parts"]} == {"asked again"}

    page = write_qualification_page(out, result).read_text()
    assert "scratch/broken.png" in page
    assert "<script" not in page
    assert [column.header for column in qualification_table(result).columns][:2] == ["figure", "value"]


def test_a_study_leaves_no_threads_in_the_home(folder, learned_home, tmp_path) -> None:
    def threads() -> set[str]:
        return {f"{path} {path.stat().st_size}" for path in learned_home.rglob("*") if "artifacts" not in path.parts}

    before = threads()
    result = run_qualification(asked(folder, tmp_path / "out", repeats=1), Settings(home=learned_home), silent)
    assert result["study"]["parts"] == 4
    assert threads() == before


def test_the_parts_are_shuffled_anew_in_each_repeat(folder, learned_home, tmp_path, monkeypatch) -> None:
    orders: list[str] = []

    def refused(self: Inspector, path: Path, product: str, **options: str) -> object:
        orders.append(Path(path).name)
        raise RequestError("not today")

    monkeypatch.setattr(Inspector, "inspect", refused)
    result = run_qualification(asked(folder, tmp_path / "out", repeats=6), Settings(home=learned_home), silent)
    rounds = [tuple(orders[start : start + 4]) for start in range(0, 24, 4)]
    assert all(len(set(names)) == 4 for names in rounds)
    assert len(set(rounds)) > 1
    assert result["study"]["reviews"]["hits"] == 24
    assert result["study"]["miss"]["hits"] == result["study"]["false_alarm"]["hits"] == 0


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, learned_home: Path) -> Callable[..., object]:
    monkeypatch.setenv("ANOMALYST_HOME", str(learned_home))
    if "qualify" not in {each.name for each in app.registered_commands}:
        monkeypatch.setattr(app, "registered_commands", list(app.registered_commands))
        app.command("qualify")(qualify)
    return lambda *arguments: CliRunner().invoke(app, ["qualify", *map(str, arguments)])


def test_the_command_prints_json_alone_or_a_table(command, folder, tmp_path) -> None:
    options = [folder, "--product", "plate", "--repeats", 1, "--out", tmp_path / "out"]
    done = command(*options, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["study"]["parts"] == 4
    assert result == json.loads((tmp_path / "out" / "qualification.json").read_text())
    shown = command(*options)
    assert "effectiveness" in shown.stdout
    assert "not shown with so few parts" in shown.stdout
    assert "5 % 59, 2 % 149, 1 % 299, 0.1 % 2,995" in shown.stderr


def test_a_product_that_was_not_learned_is_an_error_and_not_a_study(command, folder, tmp_path) -> None:
    done = command(folder, "--product", "stranger", "--out", tmp_path / "out")
    assert done.exit_code != 0
    assert not (tmp_path / "out").exists()
