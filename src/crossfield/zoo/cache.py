"""The folder where downloaded and converted models are kept.

It is $CROSSFIELD_CACHE, else crossfield/ in $XDG_CACHE_HOME, else ~/.cache/crossfield:

    downloads/NAME.model              published files, as they were downloaded
    downloads/NAME.model.part[.json]  a download that broke off, and which file it is a part of
    models/SHA256-vN[-HEADS].safetensors
                                      converted files: SHA-256 of the source, version of the converter and,
                                      of a published model, a digest of the theories its heads were given
    checksums/NAME.json               SHA-256 at the first download, for models that state none
    licences/NAME.json                licences that were accepted
    kernels/                          compiled code (crossfield.kernels.native.build)

Processes may share it. Every fact has a file of its own, so that none is lost when two write at once, and one
process at a time downloads a file (`claimed`). All of it may be deleted at any time; where everything that is
asked for is there, nothing is written.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

from crossfield.errors import InputError
from crossfield.files import CACHE_VARIABLE, cache_folder, replacing
from crossfield.messages import say

Facts = Literal["checksums", "licences"]


def make_folder_of(path: Path) -> None:
    """Make the folder that a file of the cache will be written to.

    Raises:
        InputError: it cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise InputError(
            f"models cannot be kept here ({error.strerror}); "
            f"set {CACHE_VARIABLE} to a folder that can be written",
            file=path.parent,
        ) from error


def recall(kind: Facts, name: str) -> dict[str, Any] | None:
    """What was remembered; None: nothing.

    Raises:
        InputError: the file of it is damaged.
    """
    path = place_of(kind, name)
    try:
        facts = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError("this is damaged; delete it", file=path) from error
    if not isinstance(facts, dict):
        raise InputError("this is damaged; delete it", file=path)
    return facts


def remember(kind: Facts, name: str, facts: Mapping[str, Any]) -> None:
    """Write something down for later runs."""
    path = place_of(kind, name)
    make_folder_of(path)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(dict(facts)))


def place_of(kind: Facts, name: str) -> Path:
    """The file in which something is remembered."""
    return cache_folder() / kind / f"{name}.json"


@contextmanager
def claimed(path: Path) -> Iterator[Path]:
    """Wait until no other process writes this file, and let others wait; gives the path to write to.

    It is `path` itself. Where there are no locks, it is a name that no other process uses, and the file takes
    the place of `path` in the end: work may be done twice then, but never into one file.
    """
    make_folder_of(path)
    # the lock file stays: to delete it would let two processes lock two files of one name
    with path.with_name(f".{path.name}.lock").open("ab") as lock:
        if _lock(lock, path.name):
            yield path
            return
        own = path.with_name(f"{os.getpid()}-{path.name}")
        try:
            yield own
            os.replace(own, path)
        finally:
            for rest in own.parent.glob(f"{own.name}*"):
                rest.unlink()


def _lock(file: BinaryIO, name: str) -> bool:
    """Lock a file until it is closed or this process ends; False: that is not possible here."""
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock

        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that downloads {name}")
            flock(file, LOCK_EX)
    except (ImportError, OSError):
        return False
    return True
