"""Floor 2: deciding what to do next. The door for users.

Importing it loads neither torch nor LangGraph; they come with the first name that needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.inspection import Inspector
    from agent.report import InspectionReport
    from agent.request import Budget, InspectionRequest
    from agent.settings import Settings

_ROOM_OF = {
    "Budget": "agent.request",
    "InspectionReport": "agent.report",
    "InspectionRequest": "agent.request",
    "Inspector": "agent.inspection",
    "Settings": "agent.settings",
}

__all__ = ["Budget", "InspectionReport", "InspectionRequest", "Inspector", "Settings"]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'agent' has no attribute {name!r}")
    return getattr(import_module(_ROOM_OF[name]), name)


def _check_neighbours() -> None:
    """Flat import names can be shadowed by a user's own `tools.py`; say so instead of failing later and stranger."""
    from importlib.util import find_spec
    from pathlib import Path

    home = Path(__file__).parent.parent
    for name in ("knowledge", "tools"):
        spec = find_spec(name)
        found = spec.origin if spec else None
        if found is None or Path(found).parent.parent != home:
            raise ImportError(
                f"another module named {name!r} ({found}) hides the one of anomalyst; "
                "install anomalyst in an environment of its own and run from another folder"
            )


_check_neighbours()
