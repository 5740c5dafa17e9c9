"""A benchmark's result as tables: lines for a terminal, Markdown for a file."""

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.table import Table

_COLUMNS = {
    "image_auroc": "image AUROC",
    "pixel_ap": "pixel AP",
    "pixel_f1_max": "pixel F1-max",
    "pixel_auroc": "pixel AUROC",
    "aupro": "AUPRO",
    "false_alarm": "false alarm",
    "miss": "miss",
    "seconds_per_image": "s / image",
    "forward_ratio": "x forward",
}

_PROFILE = {
    "preprocess_ms": "preprocess ms",
    "forward_ms": "forward ms",
    "patches_ms": "patches ms",
    "memory_ms": "memory ms",
    "map_ms": "map ms",
}

_VERDICTS = {
    "good parts: normal / review / anomalous": "normal",
    "bad parts: normal / review / anomalous": "anomalous",
}


def tables_of(result: dict[str, Any], *, markdown: bool) -> list[Table]:
    """All that there is to show of a benchmark, or of a few-shot benchmark."""
    if "variants" in result:
        return [ablation_table(result, markdown=markdown)]
    if "shots" in result["protocol"]:
        return [few_shot_table(result, markdown=markdown)]
    shown = [benchmark_table, false_alarm_table]
    shown += [peer_table] if result["peers"] else []
    shown += [template_table] if any(row["with_templates"] for row in result["sets"]) else []
    return [table(result, markdown=markdown) for table in (*shown, profile_table)]


def benchmark_table(result: dict[str, Any], *, markdown: bool) -> Table:
    """A line a set, and the macro average."""
    table = _table("Detection and localisation", markdown, "set", "train", "test", *_COLUMNS.values())
    for row in result["sets"]:
        table.add_row(row["name"], str(row["train"]), str(row["test"]), *_figures(row))
    table.add_row("macro", "", "", *_figures(result["macro"]))
    return table


def false_alarm_table(result: dict[str, Any], *, markdown: bool) -> Table:
    """Realised error rates at each alpha, with exact binomial intervals, and the verdicts that follow."""
    columns = ("set", "calibrated on", "alpha", "false alarms (95 %)", "misses (95 %)", *_VERDICTS)
    table = _table("Realised error rates", markdown, *columns)
    for row in result["sets"]:
        for rate in row["rates"]:
            table.add_row(
                row["name"],
                f"{row['calibration_parts']}, {row['calibration_scheme']}",
                f"{rate['alpha']:g}",
                _rate(rate, "false_alarm", "normal_parts"),
                _rate(rate, "miss", "anomalous_parts"),
                *(" / ".join(str(count) for count in rate["verdicts"][truth].values()) for truth in _VERDICTS.values()),
            )
    return table


def peer_table(result: dict[str, Any], *, markdown: bool) -> Table:
    """Image AUROC and pixel AP beside the peers', a line a set."""
    names = list(result["peers"])
    table = _table("Beside peers with the same backbone: image AUROC / pixel AP", markdown, "set", "anomalyst", *names)
    columns = [result, *(result["peers"][name] for name in names)]
    rows = [[column["sets"][index] for column in columns] for index in range(len(result["sets"]))]
    for row in [*rows, [column["macro"] for column in columns]]:
        table.add_row(row[0]["name"], *(f"{_figure(r['image_auroc'])} / {_figure(r['pixel_ap'])}" for r in row))
    return table


def template_table(result: dict[str, Any], *, markdown: bool) -> Table:
    """Pixel AP over the pictures that come with a registered template, which the peers have no use for."""
    names = list(result["peers"])
    columns = ("set", "pictures", "anomalyst with templates", "without", *names)
    table = _table("Registered templates: pixel AP", markdown, *columns)
    for index, row in enumerate(result["sets"]):
        if given := row["with_templates"]:
            peers = [result["peers"][name]["sets"][index]["with_templates"] for name in names]
            figures = [given["pixel_ap"], *(of["pixel_ap_without"] for of in (given, *peers))]
            table.add_row(row["name"], str(given["pictures"]), *map(_figure, figures))
    return table


def ablation_table(result: dict[str, Any], *, markdown: bool) -> Table:
    """A line a variant, averages over the sets."""
    columns = ("image_auroc", "pixel_ap", "pixel_auroc", "aupro")
    table = _table("Ablation", markdown, "variant", *(_COLUMNS[key] for key in columns))
    for row in result["variants"]:
        table.add_row(row["name"], *(_figure(row["macro"][key]) for key in columns))
    return table


def profile_table(result: dict[str, Any], *, markdown: bool) -> Table:
    """Where the time of an image goes, and what learning costs, beside the backbone as it is built.

    Localising stands beside the pass of its own network too.
    """
    columns = ("set", *_PROFILE.values(), "x forward", "x own forward", "enrolment x forward")
    table = _table("Time of localising an image, medians by stage", markdown, *columns)
    for row in result["sets"]:
        profile = row["profile"]
        stages = [f"{profile[key]:.1f}" for key in _PROFILE]
        ratios = (row["forward_ratio"], row["own_forward_ratio"], profile["enrolment_ratio"])
        table.add_row(row["name"], *stages, *map(_figure, ratios))
    return table


def few_shot_table(result: dict[str, Any], *, markdown: bool) -> Table:
    """Image AUROC and pixel AP of each detector, a line for each set and number of references."""
    detectors = {"anomalyst": result, **result["peers"]}
    table = _table(
        "Few-shot, over draws of the references: image AUROC / pixel AP", markdown, "set", "shots", *detectors
    )
    rows = [[*found["sets"], found["macro"]] for found in detectors.values()]
    for of_detectors in zip(*rows, strict=True):
        for shots in result["protocol"]["shots"]:
            cells = [row["shots"][str(shots)] for row in of_detectors]
            table.add_row(of_detectors[0]["name"], str(shots), *map(_cell, cells))
    return table


def protocol_line(result: dict[str, Any]) -> str:
    protocol = result["protocol"]
    if "variants" in result:
        return (
            f"Protocol: {protocol['backbone']}, {protocol['memory_patches']} memory patches, seed {protocol['seed']}; "
            f"prompts learned on {protocol['pictures']} pictures of each set; macro over {len(result['variants'][0]['sets'])} "
            f"sets; scored at {protocol['scored_at']}; AUPRO {protocol['aupro']}."
        )
    areas = f"{_areas(result)} input pixels{_placed(protocol)}"
    memory = f"{protocol['memory_patches']} memory patches, prompts {protocol['prompts']}"
    if "shots" in protocol:
        return (
            f"Protocol: {protocol['backbone']}, {areas}, {memory}; references {protocol['references']}; "
            f"mean ± {protocol['spread']}; {_left_out(result)}all test pictures, scored at {protocol['scored_at']}."
        )
    return (
        f"Protocol: {protocol['backbone']}, {areas}, {memory}, seed {protocol['seed']}; "
        f"scored at {protocol['scored_at']}; AUPRO {protocol['aupro']}; {_left_out(result)}{_named(protocol)}"
        f"false alarm and miss at alpha {protocol['alphas'][0]:g}; "
        f"time without decoding, but enrolment with it, {protocol['threads']} threads on {protocol['cores']} cores."
    )


def _placed(protocol: dict[str, Any]) -> str:
    aligned = protocol["aligned"]
    return "" if aligned is None else f", all {'' if aligned else 'not '}compared place by place"


def _named(protocol: dict[str, Any]) -> str:
    named = protocol["part_name"]
    return f"parts told by file names like {named}, and calibrated on so many parts; " if named else ""


def _left_out(result: dict[str, Any]) -> str:
    count = sum(row.get("left_out", 0) for row in result["sets"])
    return f"without {count} train pictures that are copies of others or of test pictures; " if count else ""


def _areas(result: dict[str, Any]) -> str:
    """The input sizes that the sets were looked at with, and that of the peers."""
    areas = sorted({tuple(looked["input_areas"]) for row in result["sets"] for looked in _looks(row)})
    peers = result["protocol"]["peers_input_area"]
    return (" or ".join(" + ".join(map(str, of_looks)) for of_looks in areas) or "-") + (
        f" (peers {peers})" if peers else ""
    )


def _looks(row: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """A set is looked at once, or once a draw."""
    return [draw for cell in row["shots"].values() if cell for draw in cell["draws"]] if "shots" in row else [row]


def _table(title: str, markdown: bool, *columns: str) -> Table:
    return Table(*columns, box=box.MARKDOWN) if markdown else Table(*columns, title=title)


def _figures(row: dict[str, Any]) -> list[str]:
    return [_figure(row[key]) for key in _COLUMNS]


def _cell(cell: dict[str, Any] | None) -> str:
    return "-" if cell is None else f"{_spread(cell['image_auroc'])} / {_spread(cell['pixel_ap'])}"


def _spread(figure: dict[str, float | None]) -> str:
    deviation = figure["deviation"]
    return _figure(figure["mean"]) + ("" if deviation is None else f" ± {deviation:.3f}")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _rate(rate: dict[str, Any], key: str, count: str) -> str:
    if rate[key] is None:
        return "-"
    low, high = rate[f"{key}_interval"]
    return f"{rate[key]:.3f} ({low:.3f} .. {high:.3f}) of {rate[count]}"
