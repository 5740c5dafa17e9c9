"""A conversation of ten turns about a real solar cell, recorded as a picture. Run as `python -m evals.recorded_chat OUT.svg`."""

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from agent import InspectionSession, Inspector, Settings, Talk, progress_bars, split_cells
from knowledge import SHIPPED_PRODUCTS, read_product

TURNS = (
    "inspect {cell}",
    "Why?",
    "Where is the main finding, and how large is it?",
    "How sure are you?",
    "Look closer at finding 1",
    "Compare finding 1 with the second reference",
    "Which rules were kept?",
    "What was not checked?",
    "What was sent to the cloud?",
    "Who made this cell?",
)
WIDTH = 128

_FONT_FACE = re.compile(r"@font-face\s*\{.*?\}", re.DOTALL)


def record(out: Path) -> None:
    """Learn solar cells, talk about one that was never seen, and draw the terminal."""
    cells = split_cells("mono", 0, 100, 100, 4)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        inspector = Inspector(Settings(home=home))
        product = read_product(SHIPPED_PRODUCTS / "solar_cell" / "product.yaml")
        with progress_bars() as progress:
            inspector.enroll(
                product,
                [cell.path for cell in cells.learn],
                [cell.path for cell in cells.calibrate],
                progress=progress,
            )
        console = Console(record=True, width=WIDTH, force_terminal=True, color_system="truecolor", file=sys.stderr)
        talk = Talk(InspectionSession(inspector, "recorded"), console, home / "pictures")
        talk.lines(_shown(console, cells.defective[0].path))
        # Nothing outside of the picture is loaded: the viewer's own font is as good.
        drawn = _FONT_FACE.sub("", console.export_svg(title="anomalyst chat"))
        out.write_text(drawn.replace(str(home), "~/.anomalyst").replace(folder, "~"))


def _shown(console: Console, cell: Path) -> Iterator[str]:
    for turn in TURNS:
        console.print(Text("> " + turn.format(cell=cell.name), style="bold green"))
        yield turn.format(cell=cell)


if __name__ == "__main__":
    record(Path(sys.argv[1]))
