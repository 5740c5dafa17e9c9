"""A benchmark's result as tables: lines for a terminal, Markdown for a file."""

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


def benchmark_table(result: dict[str, Any], *, markdown: bool) -> Table:
    """A line a set, and the macro average."""
    table = _table("Detection and localisation", markdown, "set", "train", "test", *_COLUMNS.values())
    for row in result["sets"]:
        table.add_row(row["name"], str(row["train"]), str(row["test"]), *_figures(row))
    table.add_row("macro", "", "", *_figures(result["macro"]))
    return table


def false_alarm_table(result: dict[str, Any], *, markdown: bool) -> Table:
    """Realised error rates at each alpha, with exact binomial intervals."""
    columns = ("set", "calibrated on", "alpha", "false alarms (95 %)", "misses (95 %)")
    table = _table("Realised error rates", markdown, *columns)
    for row in result["sets"]:
        for rate in row["rates"]:
            table.add_row(
                row["name"],
                f"{row['calibration_parts']}, {row['calibration_scheme']}",
                f"{rate['alpha']:g}",
                _rate(rate, "false_alarm", "normal_parts"),
                _rate(rate, "miss", "anomalous_parts"),
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


def protocol_line(result: dict[str, Any]) -> str:
    protocol = result["protocol"]
    return (
        f"Protocol: {protocol['backbone']}, {_areas(result)} input pixels, "
        f"{protocol['memory_patches']} memory patches, seed {protocol['seed']}; "
        f"scored at {protocol['scored_at']}; AUPRO {protocol['aupro']}; "
        f"false alarm and miss at alpha {protocol['alphas'][0]:g}; "
        f"time without decoding, {protocol['threads']} threads on {protocol['cores']} cores."
    )


def _areas(result: dict[str, Any]) -> str:
    """The input sizes that the sets were looked at with, and that of the peers."""
    sizes = sorted({row["input_area"] for row in result["sets"]})
    peers = result["protocol"]["peers_input_area"]
    return " or ".join(map(str, sizes)) + (f" (peers {peers})" if peers else "")


def _table(title: str, markdown: bool, *columns: str) -> Table:
    return Table(*columns, box=box.MARKDOWN) if markdown else Table(*columns, title=title)


def _figures(row: dict[str, Any]) -> list[str]:
    return [_figure(row[key]) for key in _COLUMNS]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _rate(rate: dict[str, Any], key: str, count: str) -> str:
    if rate[key] is None:
        return "-"
    low, high = rate[f"{key}_interval"]
    return f"{rate[key]:.3f} ({low:.3f} .. {high:.3f}) of {rate[count]}"
