"""A conversation in a terminal: steps as they are taken, answers with what they rest on, pictures as files."""

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from agent.session import ChatMessage, InspectionSession
from knowledge import AnomalystError, write_atomically

COMMANDS = {
    "/attach FILE ...": "have the part inspected that these files show",
    "/product NAME": "what the next parts are",
    "/report": "write the last report, and say where it lies",
    "/facts": "what the last answer rests on",
    "/help": "what can be asked",
    "/quit": "leave; the thread is kept",
}

_CITATION = re.compile(r"\[((?:i\d+|thread)\.[^\]]+)\]$")
_STEPS = {"tool_call": "…", "tool_result": "·", "error": "!", "verdict": "="}


class Typed(NamedTuple):
    """A line, taken apart."""

    command: str
    """With its slash; empty for plain words."""
    words: str
    files: tuple[Path, ...]


def typed(line: str) -> Typed:
    """Take a line apart: a command, the words, and the files that are named in it and exist."""
    line = line.strip()
    command, _, rest = (
        line.partition(" ") if line.startswith("/") and not Path(line.split()[0]).exists() else ("", "", line)
    )
    parts = _parts(rest)
    files = tuple(Path(part).expanduser() for part in parts if _is_file(part))
    words = " ".join(part for part in parts if not _is_file(part)) if files else rest
    return Typed(command, words.strip(), files)


class Talk:
    """Puts lines to a session, and its answers onto a console."""

    def __init__(self, session: InspectionSession, console: Console, folder: Path) -> None:
        """`folder` is where pictures and reports are written."""
        self._session = session
        self._console = console
        self._folder = folder
        self._last: ChatMessage | None = None

    def lines(self, lines: Iterable[str]) -> None:
        """Answer line by line until they end or one says /quit."""
        for line in lines:
            if line.strip() and not self.line(line):
                return

    def line(self, line: str) -> bool:
        """Answer one line; false where it ends the conversation."""
        said = typed(line)
        try:
            return self._obey(said)
        except AnomalystError as error:
            self._console.print(Text(f"{error}", style="yellow"))
            return True

    def _obey(self, said: Typed) -> bool:
        if said.command in ("/quit", "/exit"):
            return False
        if said.command == "/report":
            self._report()
        elif said.command == "/facts":
            self._facts()
        elif said.command == "/product":
            self._session.product = said.words
            self._console.print(Text(f"The next parts are inspected as {said.words}.", style="dim"))
        elif said.command in ("", "/attach", "/help"):
            self._say("help" if said.command == "/help" else said.words, said.files)
        else:
            known = "\n".join(f"{name}  {what}" for name, what in COMMANDS.items())
            self._console.print(Text(known, style="dim"))
        return True

    def _say(self, words: str, files: tuple[Path, ...]) -> None:
        if not words and not files:
            self._console.print(Text("Name a file that exists.", style="yellow"))
            return
        self.show(self._session.say(words, files, listen=self._step))

    def show(self, message: ChatMessage) -> None:
        """Put an answer onto the console, and its pictures into files."""
        self._last = message
        for line in message.text.splitlines():
            self._console.print(Padding(_cited(line), (0, 0, 0, 2), expand=False))
        for picture in message.pictures:
            path = self._folder / f"{re.sub(r'[^a-z0-9.]+', '-', picture.title.lower()).strip('-')}.png"
            write_atomically(path, self._session.inspector.store.get(picture.artifact))
            self._console.print(Text(f"  {picture.title}: {path}", style="cyan"), soft_wrap=True)
        for sentence in message.dropped:
            self._console.print(Text(f"  left out: {sentence}", style="dim"))
        self._console.print()

    def _step(self, event: Mapping[str, Any]) -> None:
        mark = _STEPS.get(str(event.get("kind")))
        if mark is None:
            return
        target = " ".join(map(str, event.get("arguments", {}).values()))
        told = event.get("summary") or event.get("verdict") or event.get("message") or f"{event.get('tool')} {target}"
        self._console.print(Text(f"  {mark} {told}", style="dim", overflow="ellipsis", no_wrap=True))

    def _report(self) -> None:
        reports = self._session.reports()
        if not reports:
            self._console.print(Text("Nothing has been inspected yet.", style="yellow"))
            return
        inspector = self._session.inspector
        page = inspector.write(reports[-1], self._folder / reports[-1].inspection_id)
        self._console.print(Text(str(page), style="cyan"), soft_wrap=True)

    def _facts(self) -> None:
        for id_, text in (self._last.evidence if self._last else {}).items():
            self._console.print(f"  [bold]{escape(id_)}[/] {escape(text)}")


def _cited(line: str) -> Text:
    """An answer's sentence with its citation set back."""
    match = _CITATION.search(line)
    if match is None:
        return Text(line)
    return Text(line[: match.start()]) + Text(f"[{match[1]}]", style="blue")


def _parts(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an apostrophe is no quotation
        return text.split()


def _is_file(part: str) -> bool:
    try:
        return len(part) < 4096 and Path(part).expanduser().exists() and (("/" in part) or ("." in part))
    except (OSError, ValueError, RuntimeError):
        return False
