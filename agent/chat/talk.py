"""A conversation in a terminal: steps as they are taken, answers with what they rest on, pictures as files."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from agent.chat.facts import one_line
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
_COMMAND = re.compile(r"/[a-z]+(?:\s|$)")
_PART = re.compile(r"\"[^\"]*\"|'[^']*'(?=\s|$)|(?:\\.|[^\s\\])+")
"""A word, or what stands in quotation marks; an apostrophe within a word is none, and a backslash saves a space."""
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
    command, rest = "", line
    if _COMMAND.match(line) and not Path(line.split()[0]).exists():
        command, _, rest = line.partition(" ")
    parts = [(part, _file(part, attached=command == "/attach")) for part in _PART.findall(rest)]
    files = tuple(path for _, path in parts if path is not None)
    words = " ".join(part for part, path in parts if path is None) if files else rest
    return Typed(command.strip(), words.strip(), files)


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
            self._console.print(Text(one_line(f"{error}"), style="yellow"))
            return True

    def _obey(self, said: Typed) -> bool:
        if said.command in ("/quit", "/exit"):
            return False
        if said.command == "/report":
            self._report()
        elif said.command == "/facts":
            self._facts()
        elif said.command == "/product":
            self._choose(one_line(said.words))
        elif said.command == "/attach":
            self._attach(said)
        elif said.command in ("", "/help"):
            self._say("help" if said.command == "/help" else said.words, said.files)
        else:
            known = "\n".join(f"{name}  {what}" for name, what in COMMANDS.items())
            self._console.print(Text(known, style="dim"))
        return True

    def _choose(self, name: str) -> None:
        known = self._session.inspector.known_products()
        if name not in known:
            listed = ", ".join(known) or "none; learn one with anomalyst enroll"
            self._console.print(Text(f"Name a product that is known: {listed}.", style="yellow"))
            return
        self._session.product = name
        self._console.print(Text(f"The next parts are inspected as {name}.", style="dim"))

    def _attach(self, said: Typed) -> None:
        if said.words or not said.files:
            what = f"there is no file {one_line(said.words)}" if said.words else "name a file that exists"
            self._console.print(Text(f"Nothing was attached: {what}.", style="yellow"))
            return
        self._say("", said.files)

    def _say(self, words: str, files: tuple[Path, ...]) -> None:
        self.show(self._session.say(words, files, listen=self._step))

    def show(self, message: ChatMessage) -> None:
        """Put an answer onto the console, and its pictures into files."""
        self._last = message
        for line in message.text.splitlines():
            self._print(_cited(one_line(line)))
        for picture in message.pictures:
            path = self._folder / f"{re.sub(r'[^a-z0-9.]+', '-', picture.title.lower()).strip('-')}.png"
            write_atomically(path, self._session.inspector.store.get(picture.artifact))
            self._console.print(
                Text(f"  {one_line(picture.title)}: {one_line(str(path))}", style="cyan"), soft_wrap=True
            )
        for sentence in message.dropped:
            self._console.print(Text(f"  left out: {one_line(sentence)}", style="dim"), soft_wrap=True)
        self._console.print()

    def _print(self, line: Text) -> None:
        """Set in from the margin; without a terminal one line stays one line."""
        if self._console.is_terminal:
            self._console.print(Padding(line, (0, 0, 0, 2), expand=False))
        else:
            self._console.print(Text("  ") + line, soft_wrap=True)

    def _step(self, event: Mapping[str, Any]) -> None:
        mark = _STEPS.get(str(event.get("kind")))
        if mark is None:
            return
        target = " ".join(map(str, event.get("arguments", {}).values()))
        told = event.get("summary") or event.get("verdict") or event.get("message") or f"{event.get('tool')} {target}"
        self._console.print(Text(f"  {mark} {one_line(str(told))}", style="dim", overflow="ellipsis", no_wrap=True))

    def _report(self) -> None:
        reports = self._session.reports()
        if not reports:
            self._console.print(Text("Nothing has been inspected yet.", style="yellow"))
            return
        inspector = self._session.inspector
        page = inspector.write(reports[-1], self._folder / reports[-1].inspection_id)
        self._console.print(Text(one_line(str(page)), style="cyan"), soft_wrap=True)

    def _facts(self) -> None:
        for id_, text in (self._last.evidence if self._last else {}).items():
            self._print(Text(one_line(id_), style="bold") + Text(f" {one_line(text)}", style="not bold"))


def _cited(line: str) -> Text:
    """An answer's sentence with its citation set back."""
    match = _CITATION.search(line)
    if match is None:
        return Text(line)
    return Text(line[: match.start()]) + Text(f"[{match[1]}]", style="blue")


def _file(part: str, *, attached: bool) -> Path | None:
    """The file that a word names, if there is one; a folder only where it is told to be attached."""
    bare = part[1:-1] if part[:1] in ("'", '"') and part[-1:] == part[:1] else re.sub(r"\\(.)", r"\1", part)
    for name in (bare, bare.rstrip(",;:!?.")):
        try:
            path = Path(name).expanduser()
            found = 0 < len(name) < 4096 and (path.is_file() or (attached and path.is_dir()))
        except (OSError, ValueError, RuntimeError):
            continue
        if found and (attached or "/" in name or "." in name):
            return path
    return None
