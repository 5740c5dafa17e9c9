"""Floor 1: instruments, every one usable without an agent.

The door (its names stand in `__init__.pyi`) opens a room only when something in it is asked for, so that `import tools`
costs nothing: torch is loaded with the localiser, and LangChain with the toolbox.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
