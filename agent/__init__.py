"""Floor 2: deciding what to do next. The door for users.

Importing it loads neither torch nor LangGraph; they come with the first name that needs them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


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
