"""Errors that a user can act on."""

from __future__ import annotations

from pathlib import Path


class InputError(ValueError):
    """Something given from outside cannot be used.

    The message is one line that says where (file, frame) and what to do. The command line prints it
    without a traceback and exits with code 2.

    Args:
        message: what is wrong and what to do.
        file: the file it was found in.
        frame: index of the frame in that file, from 0.
    """

    def __init__(self, message: str, *, file: str | Path | None = None, frame: int | None = None) -> None:
        self.message = " ".join(message.split())
        self.file = file
        self.frame = frame
        where = "" if file is None else f"{file}"
        if frame is not None:
            where += f", frame {frame}" if where else f"frame {frame}"
        super().__init__(f"{where}: {self.message}" if where else self.message)


def nearest(name: str, choices: list[str]) -> str:
    """A hint `; did you mean 'x'?` when a choice is close to the name, else an empty string."""
    from difflib import get_close_matches

    close = get_close_matches(name, choices, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
