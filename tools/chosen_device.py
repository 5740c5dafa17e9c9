"""The device on which frozen networks run where no argument names one; without torch, so that choosing costs nothing."""

_CHOSEN = {"device": "auto"}


def choose_device(name: str) -> None:
    """For the whole process, as networks are loaded once a process; what is loaded already stays where it is.

    The name is judged when a network is loaded.
    """
    _CHOSEN["device"] = name


def chosen_device() -> str:
    """`auto` where nobody chose."""
    return _CHOSEN["device"]
