"""Extended XYZ text, cut into frames and columns.

ASE's reader is not used: it keeps the last of two equal keys, drops what follows an open quote, refuses a
stress of six numbers and cannot say which frame is at fault. The grammar is the same, and the tests compare
the two readers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from crossfield.errors import InputError, nearest

_QUOTED = r'"(?:[^"\\]|\\.)*"|' r"'(?:[^'\\]|\\.)*'"
_NESTED = r"\{[^{}]*\}|\[(?:[^\[\]]|\[[^\[\]]*\])*\]"
_KEY = re.compile(r"""(?P<key>"[^"]*"|[^\s='"\[\]{}]+)(?P<equals>\s*=\s*)?""")
_VALUE = re.compile(rf"""(?:{_QUOTED}|{_NESTED}|[^\s'"\[\]{{}}])+""")
_WHOLE = re.compile(_QUOTED + "|" + _NESTED)
_COUNT = re.compile(r"\d{1,12}")
_TYPES = frozenset("SRIL")


class Column(NamedTuple):
    """One entry of `Properties`: where it starts in a row and how many numbers it has."""

    kind: str  # S text, R real, I whole, L logical
    start: int
    width: int


@dataclass(frozen=True)
class RawFrame:
    """A frame as text: its comment line and its rows."""

    index: int  # from 0
    comment: str
    rows: Sequence[str]


def split_frames_of(text: str, file: str) -> list[RawFrame]:
    """Cut a file into frames by their atom counts.

    Raises:
        InputError: a count that is not a number, or that does not fit the rows. After that nothing in the
            file can be trusted, so that the whole file is refused.
    """
    lines = [line.rstrip("\r") for line in text.rstrip().split("\n")]
    frames: list[RawFrame] = []
    at = 0
    while at < len(lines):
        index = len(frames)
        head = lines[at].strip()
        if not _COUNT.fullmatch(head):
            raise _bad_count(head, index, frames, file)
        count = int(head)
        if count == 0:
            raise InputError("the frame has no atoms", file=file, frame=index)
        if at + 1 >= len(lines):
            raise InputError("the file ends after the atom count", file=file, frame=index)
        rows = lines[at + 2 : at + 2 + count]
        if len(rows) < count:
            found = f"{len(rows)} of {count} atoms are there"
            raise InputError(f"the file ends inside the frame: {found}", file=file, frame=index)
        frames.append(RawFrame(index, lines[at + 1], rows))
        at += 2 + count
    return frames


def _bad_count(head: str, index: int, frames: Sequence[RawFrame], file: str) -> InputError:
    """Blame the frame whose count is wrong: often the one before the line that shows it."""
    if frames:
        before = frames[-1]
        widths = [len(row.split()) for row in before.rows]
        if len(widths) > 1 and widths[-1] != widths[0]:
            reason = f"the atom count {len(widths)} is larger than the number of rows that follow"
            return InputError(reason, file=file, frame=before.index)
        if len(head.split()) == widths[0] > 1:
            reason = f"more rows follow than the atom count of {len(widths)}"
            return InputError(reason, file=file, frame=before.index)
    found = "a blank line" if not head else repr(head[:40])
    return InputError(f"expected an atom count (a whole number), found {found}", file=file, frame=index)


def parse_comment(comment: str) -> dict[str, str]:
    """Keys and values of a comment line, values as text without their quotes; a bare word has value "T".

    Raises:
        InputError: open quotes or brackets, or a key that occurs twice. A line without any `=` is free text.
    """
    if "=" not in comment:
        return {}
    found: dict[str, str] = {}
    text, at = comment.strip(), 0
    while at < len(text):
        key_match = _KEY.match(text, at)
        if key_match is None:
            raise _unreadable(text, at)
        key, value, at = key_match["key"].strip('"'), "T", key_match.end()
        if key_match["equals"]:
            value_match = _VALUE.match(text, at)
            if value_match is None:
                raise InputError(f"the comment line has no value for {key!r}, or a quote that stays open")
            value, at = value_match[0], value_match.end()
            if _WHOLE.fullmatch(value):
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
        if at < len(text) and not text[at].isspace():
            raise _unreadable(text, at)
        while at < len(text) and text[at].isspace():
            at += 1
        if key in found and key_match["equals"]:
            raise InputError(f"the key {key!r} occurs twice in the comment line")
        found[key] = value
    return found


def _unreadable(text: str, at: int) -> InputError:
    return InputError(f"the comment line cannot be read at {text[at : at + 30]!r} (open quote or bracket?)")


def parse_properties(text: str) -> dict[str, Column]:
    """Columns of a `Properties` value such as "species:S:1:pos:R:3:forces:R:3".

    Raises:
        InputError: not name, type and width in turn, or no column of species or positions.
    """
    parts = text.split(":")
    if len(parts) % 3:
        raise InputError(f"Properties={text[:60]} is not a list of name:type:width")
    columns: dict[str, Column] = {}
    start = 0
    for name, kind, width in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if not name or kind not in _TYPES or not re.fullmatch(r"[1-9]\d{0,2}", width):
            entry = f"{name}:{kind}:{width}"[:60]
            raise InputError(f"bad entry {entry} in Properties (name, then S, R, I or L, then a width)")
        if name in columns:
            raise InputError(f"the column {name!r} occurs twice in Properties")
        columns[name] = Column(kind, start, int(width))
        start += int(width)
    if columns.get("pos", Column("", 0, 0))[::2] != ("R", 3):
        raise InputError("Properties has no column pos:R:3")
    if "species" not in columns and "Z" not in columns:
        raise InputError("Properties has neither species:S:1 nor Z:I:1")
    for name, kind in (("species", "S"), ("Z", "I")):
        if name in columns and columns[name][::2] != (kind, 1):
            raise InputError(f"the column {name} must be {name}:{kind}:1")
    return columns


def split_rows(rows: Sequence[str], columns: dict[str, Column]) -> list[list[str]]:
    """Rows cut into fields.

    Raises:
        InputError: a row with more or fewer fields than Properties says.
    """
    width = sum(column.width for column in columns.values())
    fields = [row.split() for row in rows]
    for number, row in enumerate(fields):
        if len(row) != width:
            raise InputError(f"the row of atom {number} has {len(row)} columns where Properties says {width}")
    return fields


def species(fields: Sequence[Sequence[str]], columns: dict[str, Column]) -> NDArray[np.int64]:
    """(N,) atomic numbers.

    Raises:
        InputError: not an element.
    """
    column = columns.get("species") or columns["Z"]
    names = [row[column.start] for row in fields]
    numbers = [_element(name, atom) for atom, name in enumerate(names)]
    return np.array(numbers, dtype=np.int64)


def _element(name: str, atom: int) -> int:
    Z = int(name) if re.fullmatch(r"[1-9]\d{0,2}", name) else atomic_numbers.get(name, 0)
    if not 1 <= Z <= 118:
        hint = nearest(name.capitalize(), list(atomic_numbers))
        raise InputError(f"atom {atom}: unknown species {name[:20]!r}{hint}")
    return Z


def real_column(fields: Sequence[Sequence[str]], column: Column, what: str) -> NDArray[np.float64]:
    """(N, width) finite numbers of one column.

    Raises:
        InputError: something that is not a number, or not finite.
    """
    texts = [row[column.start : column.start + column.width] for row in fields]
    try:
        values = np.array([[float(text) for text in row] for row in texts], dtype=np.float64)
    except ValueError as error:
        atom = next(a for a, row in enumerate(texts) if not all(is_number(text) for text in row))
        raise InputError(f"atom {atom}: {what} {' '.join(texts[atom])[:60]!r} are not numbers") from error
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        atom = int(np.argmin(finite))
        raise InputError(f"atom {atom}: {what} {' '.join(texts[atom])[:60]!r} are not finite")
    return values


def is_number(text: str) -> bool:
    """Whether Python reads the text as a real number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
