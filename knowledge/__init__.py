"""Floor 0: what experts know. No torch, no LangChain.

The names of the door stand in `__init__.pyi`; a room is opened when something in it is asked for.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
