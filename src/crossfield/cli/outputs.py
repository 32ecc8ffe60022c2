"""Files and folders that a command will write: refused before the work, not after it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from crossfield.errors import InputError


def check_output(path: Path, inputs: Sequence[Path] = ()) -> None:
    """Check that a file can be written, in a folder that may have to be made; changes nothing.

    Raises:
        InputError: it is a folder or a device, is one of the inputs, or its folder cannot be written to.
    """
    if path.is_dir():
        raise InputError("this is a folder; name the file to write", file=path)
    if path.exists():
        if not path.is_file():
            raise InputError("not a regular file, it will not be replaced", file=path)
        if any(given.exists() and path.samefile(given) for given in inputs):
            raise InputError("this is one of the inputs; name another file to write", file=path)
    check_folder(path.parent)


def check_folder(path: Path) -> None:
    """Check that a folder can be written to, or made; changes nothing.

    Raises:
        InputError: it is a file, lies below one, or permission is lacking.
    """
    there = path.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise InputError(f"cannot be a folder: {there} is a file", file=path)
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"cannot be written: no permission in {there}", file=path)
