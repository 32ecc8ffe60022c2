"""Files that are either whole or not there, and the folder for those that can be made again."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crossfield.errors import InputError

CACHE_VARIABLE = "CROSSFIELD_CACHE"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes the place of `path` when the block succeeds.

    The file gets the permissions of any new file, whatever wrote it; after a failure nothing is left.
    """
    # the suffix stays last: writers choose compression and format by it
    temporary = path.with_name(f".{secrets.token_hex(8)}.{path.name}")
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def cache_folder() -> Path:
    """The folder for what can be made again: downloads, compiled kernels. It need not exist.

    $CROSSFIELD_CACHE, else crossfield/ in $XDG_CACHE_HOME, else ~/.cache/crossfield.

    Raises:
        InputError: the user has no home folder.
    """
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(os.path.expanduser(chosen)).absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # the standard says to ignore it then
        try:
            base = Path.home() / ".cache"
        except RuntimeError as error:
            raise InputError(
                f"there is no home folder; set {CACHE_VARIABLE} to a folder to keep files in"
            ) from error
    return base / "crossfield"
