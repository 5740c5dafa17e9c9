"""Electroluminescence pictures of solar cells from the package `elpv-dataset` (CC BY-NC-SA 4.0), for demo and benchmark.

The pictures are Deitsch et al.'s (Solar Energy 185, 2019; Buerhop-Lutz et al., EU PVSEC 2018): 2,624 cells with a
probability of being defective, as experts judged them: 0, 1/3, 2/3 or 1.
"""

import csv
import importlib.util
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from knowledge import RequestError

CellType = Literal["mono", "poly"]


class Cell(NamedTuple):
    path: Path
    defect_probability: float
    type: CellType


class Split(NamedTuple):
    """Disjoint cells of one type, drawn by a seed."""

    learn: list[Cell]
    """Functional."""
    calibrate: list[Cell]
    """Functional."""
    functional: list[Cell]
    """Never seen before the test."""
    defective: list[Cell]
    """Probability 1."""


def solar_cells(kind: CellType) -> list[Cell]:
    """All cells of one type, in the order of the data set."""
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise RequestError("the solar cells are not installed; get them with: pip install 'anomalyst[demo]'")
    folder = Path(spec.origin).parent / "data"
    with (folder / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.reader(file, delimiter=" ", skipinitialspace=True) if row]
    cells = [Cell(folder / path, float(probability), _type(kind_)) for path, probability, kind_ in rows]
    return [cell for cell in cells if cell.type == kind]


def split_cells(kind: CellType, seed: int, learn: int = 100, calibrate: int = 100, functional: int = 200) -> Split:
    """Functional cells shuffled and cut into three; every surely defective cell, shuffled."""
    cells = solar_cells(kind)
    random = np.random.default_rng(seed)
    good = _shuffled([cell for cell in cells if cell.defect_probability == 0], random)
    bad = _shuffled([cell for cell in cells if cell.defect_probability == 1], random)
    first, second = learn, learn + calibrate
    return Split(good[:first], good[first:second], good[second : second + functional], bad)


def _shuffled(cells: list[Cell], random: np.random.Generator) -> list[Cell]:
    return [cells[index] for index in random.permutation(len(cells))]


def _type(word: str) -> CellType:
    for kind in get_args(CellType):
        if word == kind:
            known: CellType = kind
            return known
    raise RequestError(f"elpv-dataset: expected cell type mono or poly, got {word!r}; install elpv-dataset again")
