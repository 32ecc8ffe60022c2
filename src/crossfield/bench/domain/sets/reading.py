"""Files of published sets, from a folder or an archive, by ASE's readers; what is wrong names the file."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read

from crossfield.bench.domain.benchmark import Inputs
from crossfield.bench.domain.results import Problem
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


def json_of(place: Place) -> Any:
    """What a JSON file holds.

    Raises:
        InputError: there is none, it is damaged, or a name occurs twice in it.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if len(found := dict(pairs)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"{twice} occurs twice", file=str(place))
        return found

    content = text(place)
    try:
        return json.loads(content, object_pairs_hook=unique)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"is no JSON, or damaged ({error})", file=str(place)) from error


def children(place: Place) -> list[Place]:
    """What is in a folder, by name, without hidden files.

    Raises:
        InputError: there is no such folder.
    """
    if not place.is_dir():
        raise InputError("is missing in the set", file=str(place))
    found: list[Place] = [*place.iterdir()]
    return sorted((p for p in found if not p.name.startswith(".")), key=lambda p: p.name)


def frames(place: Place, format: str) -> list[Atoms]:
    """All structures of a file, with their labels.

    Args:
        place: the file.
        format: as ASE calls it.

    Raises:
        InputError: there is none, it cannot be read, or positions or cells in it are not finite.
    """
    return parsed(text(place), format, place)


def parsed(content: str, format: str, place: Place) -> list[Atoms]:
    """All structures of a text, which is a file or a part of it; arguments and errors as of `frames`."""
    try:
        found: list[Atoms] = read(io.StringIO(content), index=":", format=format)
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        AssertionError,
        OSError,
        StopIteration,
    ) as error:
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
    if len(words) < count:
        raise InputError(f"has fewer than {count} numbers", file=str(place))
    return [number(word, place) for word in words[:count]]


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


def expect(inputs: Inputs, systems: int, found: int | None = None) -> None:
    """Note down which part of a set there is, and how many systems are missing without a trace.

    Args:
        inputs: as read.
        systems: number of them in the set.
        found: number of those that could be read; None: as many as there are items.
    """
    found = len(inputs.items) if found is None else found
    inputs.part = min(found / systems, 1.0)
    missing = systems - found - len(inputs.problems)
    if missing > 0:
        reason = f"{missing} of the {systems} systems are not in the set"
        inputs.problems.append(Problem(name="set", kind="input", reason=reason))


def charge(place: Place, missing: int | None = None) -> int:
    """The total charge in a file of its own, e.

    Args:
        place: the file.
        missing: what it is where there is no file; None: there must be one.

    Raises:
        InputError: there must be one, or what it holds is no whole number.
    """
    if missing is not None and not place.exists():
        return missing
    (value,) = numbers(place, 1)
    if value != round(value):
        raise InputError(f"charge {value:g} is no whole number", file=str(place))
    return round(value)


def same_atoms(whole: Atoms, parts: Sequence[Atoms]) -> bool:
    """Whether a structure has exactly the elements that its parts have, in any order."""
    together = np.concatenate([part.numbers for part in parts])
    return bool(np.array_equal(np.sort(together), np.sort(whole.numbers)))
