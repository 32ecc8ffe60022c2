"""One process at a time makes a file; the others wait for it."""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from crossfield.errors import InputError
from crossfield.messages import say

POLL = 0.2  # s
BEAT = 30.0  # s between two signs of life
SILENCE = 600.0  # s without one, after which a process of another machine is taken for dead


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, `.lock` beside it; wait for a process that holds it.

    The lock is a file that only one process can create, also on network drives. It names its process and
    machine, and a thread keeps its time of change recent, whatever the block does. A lock is stale when its
    process on this machine has ended, or, if it is of another machine, after ten minutes without a sign of
    life, and is then taken over.

    Args:
        path: the file that is to be made; its folder exists.
    """
    lock = lock_of(path)
    token = _acquire(lock)
    over = threading.Event()
    threading.Thread(target=_beat, args=(lock, token, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()
        if _read(lock) == token:  # else it was taken for stale, and is that of another process now
            lock.unlink(missing_ok=True)


def lock_of(path: Path) -> Path:
    """Where the lock of a file is."""
    return path.with_name(f"{path.name}.lock")


def _acquire(lock: Path) -> str:
    """Create the lock, as soon as that is possible; gives its content."""
    pid = os.getpid()
    owner = {"pid": pid, "host": socket.gethostname(), "began": _began(pid), "token": secrets.token_hex(8)}
    token = json.dumps(owner)
    watched: tuple[str, float] | None = None  # content and time of change of the lock in the way
    since = time.monotonic()
    told = False
    while not _create(lock, token):
        content, changed = _read(lock), _changed(lock)
        if content is None or changed is None:
            continue  # it is gone
        if watched != (content, changed):  # by the clock of the waiting, whatever the drive's says
            watched, since = (content, changed), time.monotonic()
        lives = _lives(content)
        if lives is False or (lives is None and time.monotonic() - since > SILENCE):
            _remove_stale(lock, content)
            continue
        if not told:
            say(f"waiting for {_name(content)}, which is writing {lock.name.removesuffix('.lock')}")
            told = True
        time.sleep(POLL)
    return token


def _create(lock: Path, token: str) -> bool:
    """Whether the lock did not exist, and does now."""
    # written beside and linked, so that nobody sees it empty; a link fails where there is a file
    own = lock.with_name(f".{secrets.token_hex(8)}.{lock.name}")
    try:
        own.write_text(token)
        os.link(own, lock)
    except FileExistsError:
        return False
    except OSError:
        return _create_without_links(lock, token)
    finally:
        own.unlink(missing_ok=True)
    return True


def _create_without_links(lock: Path, token: str) -> bool:
    """The same on drives without hard links."""
    try:
        handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    except OSError as error:
        raise InputError(
            f"no file can be written to this folder ({error.strerror})", file=lock.parent
        ) from error
    with os.fdopen(handle, "w") as file:
        file.write(token)
    return True


def _remove_stale(lock: Path, content: str) -> None:
    """Remove a lock of this content, and not one that another process has made in its place."""
    aside = lock.with_name(f".{secrets.token_hex(8)}.{lock.name}")
    try:
        os.rename(lock, aside)
    except FileNotFoundError:
        return
    if _read(aside) != content:
        with suppress(OSError):  # there is a third lock already
            os.link(aside, lock)
    else:
        say(f"{_name(content)} has ended without finishing {lock.name.removesuffix('.lock')}; going on")
    aside.unlink(missing_ok=True)


def _lives(content: str) -> bool | None:
    """Whether the process that made a lock lives; None: it is of another machine, or not named."""
    owner = _owner(content)
    pid = owner.get("pid")
    if owner.get("host") != socket.gethostname() or not isinstance(pid, int) or pid <= 0:
        return None
    try:
        os.kill(pid, 0)  # no signal, only the question
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    except OverflowError:
        return None
    stated, found = owner.get("began"), _began(pid)
    # numbers of processes are used again, also after the machine was started anew
    return stated is None or found is None or stated == found


def _began(pid: int) -> str | None:
    """When a process began, in ticks of the machine; None: that is not known here."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, LookupError):
        return None


def _name(content: str) -> str:
    owner = _owner(content)
    pid, host = owner.get("pid"), owner.get("host")
    return f"process {pid} on {host}"[:80] if pid and host else "another process"


def _owner(content: str) -> dict[str, Any]:
    try:
        owner = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _read(lock: Path) -> str | None:
    try:
        return lock.read_text(errors="replace")
    except OSError:
        return None


def _changed(lock: Path) -> float | None:
    try:
        return lock.stat().st_mtime
    except OSError:
        return None


def _beat(lock: Path, token: str, over: threading.Event) -> None:
    """Give signs of life until the block is over."""
    while not over.wait(BEAT):
        if _read(lock) == token:
            with suppress(OSError):
                os.utime(lock)
