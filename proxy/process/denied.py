"""What the system does not let us have, as a sentence of ours and in nginx's words."""

from __future__ import annotations


class Denied(ValueError):
    """The sentence, and `nginx`, what nginx says in its place."""

    def __init__(self, sentence: str, nginx: str) -> None:
        super().__init__(sentence)
        self.nginx = nginx


def failed(call: str, error: OSError) -> str:
    """What nginx says of a call to the system that has failed."""
    return f"{call} failed ({error.errno}: {error.strerror})"


def unopened(error: OSError) -> Denied:
    """A log file could not be opened."""
    path = error.filename
    return Denied(f"the log {path} cannot be opened: {error.strerror}", failed(f'open() "{path}"', error))
