"""Files of published sets, from a folder or an archive, by ASE's readers; what is wrong names the file."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read

from crossfield.bench.domain.sources import Place
from crossfield.errors import InputError


def text(place: Place, encoding: str = "utf-8") -> str:
    """A file.

    Raises:
        InputError: there is none, or it is no text.
    """
    if not place.exists():
        raise InputError("is missing in the set", file=str(place))
    try:
        return place.read_text(encoding=encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"is no text ({error.reason} at byte {error.start})", file=str(place)) from error


def frames(place: Place, format: str) -> list[Atoms]:
    """All structures of a file, with their labels.

    Args:
        place: the file.
        format: as ASE calls it.

    Raises:
        InputError: there is none, it cannot be read, or positions or cells in it are not finite.
    """
    content = text(place)
    try:
        found: list[Atoms] = read(io.StringIO(content), index=":", format=format)
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, OSError, StopIteration) as error:
        reason = f"cannot be read as {format} ({type(error).__name__}: {error}); is it whole?"
        raise InputError(reason, file=str(place)) from error
    if not found:
        raise InputError("has no structures", file=str(place))
    for index, atoms in enumerate(found):
        where: dict[str, Any] = {"file": str(place), "frame": index if len(found) > 1 else None}
        if len(atoms) == 0:
            raise InputError("has no atoms", **where)
        if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
            raise InputError("has positions or a cell that are not finite", **where)
        if (atoms.numbers < 1).any():
            raise InputError("has atoms of no element", **where)
    return found


def structure(place: Place, format: str) -> Atoms:
    """The one structure of a file, without labels.

    Raises:
        InputError: as `frames`; or there are several.
    """
    found = frames(place, format)
    if len(found) != 1:
        raise InputError(f"has {len(found)} structures, and one is expected", file=str(place))
    return bare(found[0])


def bare(atoms: Atoms) -> Atoms:
    """Elements, positions, cell and periodicity alone."""
    return Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def numbers(place: Place, count: int) -> list[float]:
    """The numbers that a file begins with.

    Raises:
        InputError: there are fewer, or they are not finite.
    """
    words = text(place).split()
    return [number(word, place) for word in words[:count]] if len(words) >= count else _few(place, count)


def number(word: str, place: Place) -> float:
    """A finite number that stands in a file.

    Raises:
        InputError: it is none.
    """
    try:
        value = float(word)
    except ValueError:
        raise InputError(f"{word[:40]!r} is no number", file=str(place)) from None
    if not math.isfinite(value):
        raise InputError(f"{word!r} is not finite", file=str(place))
    return value


def same_atoms(whole: Atoms, parts: Sequence[Atoms]) -> bool:
    """Whether a structure has exactly the elements that its parts have, in any order."""
    together = np.concatenate([part.numbers for part in parts])
    return bool(np.array_equal(np.sort(together), np.sort(whole.numbers)))


def _few(place: Place, count: int) -> list[float]:
    raise InputError(f"has fewer than {count} numbers", file=str(place))
