"""Which labels files hold, and under which names: a proposal for `keys`, which reading then checks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crossfield.data import extxyz, geometry
from crossfield.data.names import Quantity, is_likely, weight_role
from crossfield.data.source import Keys
from crossfield.data.textfile import read_text
from crossfield.errors import InputError

PLAIN = "species:S:1:pos:R:3"
# what a model said of a structure, and not what it is to learn
_PREDICTED = re.compile(r"^(mace|pred|predicted|ml|mlip|model|nequip)_|_(pred|predicted|ml|mlip|mace)$")
_REFERENCE = re.compile(r"^ref(erence)?_")
_FREE = re.compile(r"free")


@dataclass(frozen=True)
class Line:
    """The comment line of a frame."""

    file: str
    info: dict[str, str]
    columns: tuple[str, ...]  # of three numbers for each atom
    periodic: bool  # in three directions

    def names(self, quantity: Quantity) -> Iterable[str]:
        """Where a quantity may stand."""
        return self.columns if quantity == "forces" else self.info


@dataclass(frozen=True)
class LabelNames:
    """Names of labels in some files."""

    keys: dict[str, str | None]  # as in `Keys`, without those that are the default
    stated: dict[Quantity, int]  # number of frames that have the quantity
    warnings: tuple[str, ...]

    def name(self, quantity: Quantity) -> str | None:
        """The key or column that is read."""
        found = Keys.model_validate(self.keys)
        return found.virial or found.stress if quantity == "stress" else getattr(found, quantity)


def comment_lines(files: Sequence[Path], bad_frames: Literal["stop", "list"] = "stop") -> list[Line]:
    """What all frames of some files state.

    Args:
        files: extended XYZ, gzipped or not.
        bad_frames: "stop" at a line that cannot be read, or "list", which here leaves it out.

    Raises:
        InputError: naming file and frame.
    """
    lines = []
    for file in files:
        for raw in extxyz.split_frames_of(read_text(file), str(file)):
            try:
                info = extxyz.parse_comment(raw.comment)
                columns = extxyz.parse_properties(info.get("Properties", PLAIN))
                periodic = bool(geometry.read_cell(info).pbc.all())
            except InputError as error:
                if bad_frames == "stop":
                    raise InputError(error.message, file=file, frame=raw.index) from error
                continue
            real = tuple(n for n, c in columns.items() if (c.kind, c.width) == ("R", 3) and n != "pos")
            lines.append(Line(str(file), info, real, periodic))
    return lines


def label_names(lines: Sequence[Line]) -> LabelNames:
    """The name under which each label is, going by how names look and how many frames have them.

    A name that says "reference" goes before the usual one, which a calculator may have written later; names
    that say that a model predicted them are never taken.

    Raises:
        InputError: files that store a label under different names, which no `keys` can read.
    """
    defaults = Keys()
    keys: dict[str, str | None] = {}
    stated: dict[Quantity, int] = {}
    warnings: list[str] = []
    for quantity in ("energy", "forces", "stress", "charge", "spin"):
        among = [line for line in lines if line.periodic] if quantity == "stress" else lines
        found = _candidates(quantity, among, taken=set(keys.values()))
        chosen = next(iter(found), None)
        stated[quantity] = found[chosen] if chosen else 0
        if chosen is None:
            continue
        _check_same_name(quantity, chosen, list(found), among)
        others = [name for name in list(found)[1:] if not _same(chosen, name, among)]
        if others:
            warnings.append(
                f"{quantity} may be under {' or '.join([chosen, *others])}; keys.{quantity} is {chosen}"
            )
        role = "virial" if _is_virial(chosen) else quantity
        if chosen != getattr(defaults, role):
            keys[role] = chosen
    if not_defined := _stress_without_volume(lines, keys, defaults):
        keys.pop("virial", None)
        keys["stress"] = None
        stated["stress"] = 0
        warnings.append(not_defined)
    return LabelNames(keys | _weights(lines, defaults), stated, tuple(warnings))


def _candidates(quantity: Quantity, lines: Sequence[Line], taken: Collection[str | None]) -> dict[str, int]:
    """Names that may hold a quantity, the best first, with the number of frames that have them."""
    usual = getattr(Keys(), quantity)
    counts = Counter(
        name
        for line in lines
        for name in line.names(quantity)
        if name == usual
        or (is_likely(quantity, name) and name not in taken and not _PREDICTED.search(name.lower()))
    )
    if quantity in ("energy", "charge", "spin"):
        text = {
            name
            for line in lines
            for name in counts.keys() & line.info.keys()
            if not extxyz.is_number(line.info[name])
        }
        for name in text - {usual}:
            del counts[name]
    # gradients are minus the forces: the reader says what to do about them
    counts = Counter({n: c for n, c in counts.items() if quantity != "forces" or "grad" not in n.lower()})
    return dict(sorted(counts.items(), key=lambda item: (-item[1], _rank(item[0], usual), item[0])))


def _rank(name: str, usual: str) -> int:
    if _is_virial(name):
        return 4  # read where a frame has no stress, whatever stands here
    if _REFERENCE.search(name.lower()):
        return 0
    if name == usual:
        return 1
    return 3 if _FREE.search(name.lower()) else 2


def _check_same_name(quantity: Quantity, chosen: str, found: Sequence[str], lines: Sequence[Line]) -> None:
    """Check that every file has a label under the same name."""
    there: dict[str, set[str]] = {}
    for line in lines:
        there.setdefault(line.file, set()).update(name for name in found if name in line.names(quantity))
    for file, names in there.items():
        if names and chosen not in names:
            raise InputError(
                f"has its {quantity} under {min(names, key=found.index)}, and other files have it under "
                f"{chosen}: files of one head need the same names (rename it, or give each its own head)",
                file=file,
            )


def _is_virial(name: str) -> bool:
    return "virial" in name.lower()


def _same(a: str, b: str, lines: Sequence[Line]) -> bool:
    """Whether two keys hold the same numbers wherever a frame has both, or do not exclude each other."""
    if _is_virial(a) != _is_virial(b):
        return True
    both = [(line.info[a], line.info[b]) for line in lines if a in line.info and b in line.info]
    if not both or not all(extxyz.is_number(text) for pair in both for text in pair):
        return False
    return all(abs(float(x) - float(y)) < 1e-6 for x, y in both)


def _stress_without_volume(lines: Sequence[Line], keys: dict[str, str | None], defaults: Keys) -> str | None:
    """A warning where structures without a volume have a stress, which the reader refuses."""
    name = keys.get("virial") or keys.get("stress") or defaults.stress
    number = sum(name in line.info for line in lines if not line.periodic)
    if not number:
        return None
    return (
        f"{number} frames have {name}, but not three periodic axes, without which there is no stress: "
        "it is left unread in all frames"
    )


def _weights(lines: Sequence[Line], defaults: Keys) -> dict[str, str | None]:
    """Keys of weights in the loss that have other names than usual."""
    counts = Counter(name for line in lines for name in line.info if weight_role(name))
    found: dict[str, str | None] = {}
    for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        role = weight_role(name)
        if role and role not in found and getattr(defaults, role) not in counts:
            found[role] = name
    return found
