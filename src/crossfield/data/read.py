"""From files to frames: every frame is used, or rejected with a reason, or stops the reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from crossfield.data import extxyz, labels, names
from crossfield.data.consistency import mixed_units
from crossfield.data.frame import Frame, Weights
from crossfield.data.parse import (
    NO_THEORY,
    Aside,
    Found,
    charge_and_spin,
    labelled,
    reduced_formula,
    structure_of,
    text_of,
)
from crossfield.data.source import Keys, Source
from crossfield.data.textfile import read_text
from crossfield.errors import InputError, nearest
from crossfield.theory import Theory


class Rejected(NamedTuple):
    """A frame that is not used."""

    file: str
    index: int  # type: ignore[assignment]  # in that file, from 0; hides tuple.index
    reason: str  # one line


@dataclass(frozen=True)
class Reading:
    """What a source holds for one level of theory."""

    frames: tuple[Frame, ...]
    isolated: tuple[Frame, ...]  # single atoms that give reference energies
    rejected: tuple[Rejected, ...]  # frames of other theories, without labels, and bad ones


def read_source(source: Source, theory: Theory, *, base: Path = Path()) -> Reading:
    """Read all files of a source, keeping the frames of one theory.

    A frame that states another theory is left aside, and so is one without any label; both are listed in
    `rejected`. Bad frames stop the reading, or are listed too (`source.bad_frames`); a damaged file always
    stops it.

    An isolated atom with a charge gives no reference energy; where the theory knows charge, it is a frame
    like any other.

    Args:
        source: files, keys and what to do with bad frames.
        theory: the level of theory of the labels.
        base: where relative file names start.

    Raises:
        InputError: naming file and frame; also where a file has no frame of the theory, where nothing usable
            is left, where a key given by the user occurs in no frame, or is that of an input which the theory
            does not declare.
    """
    found: list[Found] = []
    rejected: list[Rejected] = []
    seen: set[str] = set()
    complete = source.model_copy(update={"keys": _with_inputs(source.keys, theory)})
    for path in _paths(source, base):
        _read_file(path, complete, theory, found, rejected, seen)
    _check_keys_seen(source, seen)
    if source.check_units:
        found = _without_mixed_units(found, source, rejected)
    frames = tuple(f.frame for f in found if not f.isolated)
    isolated = tuple(f.frame for f in found if f.isolated)
    if not found:
        first = next((r for r in rejected if not r.reason.startswith("theory is ")), rejected[0])
        raise InputError(
            f"no usable frame of theory {theory.name}; the first one: {first.reason}",
            file=first.file,
            frame=first.index,
        )
    return Reading(frames, isolated, tuple(rejected))


def read_structures(
    path: Path,
    *,
    theory: Theory | None = None,
    keys: Keys | None = None,
    inputs: Sequence[str] = (),
    bad_frames: Literal["stop", "list"] = "stop",
) -> Reading:
    """Read structures to predict for, with the checks of `read_source`; labels in the file are not read.

    Args:
        path: extended XYZ, gzipped or not.
        theory: the theory that will be asked, whose rules for charge, spin and further inputs apply; without
            one, charge is 0 and spin 1 where a frame states none.
        keys: names of charge, spin, inputs, domain and group.
        inputs: what the model reads besides (`ModelConfig.extra_inputs`). Where the theory does not declare
            them, they are read from the frames that state them.
        bad_frames: as in `Source`.

    Returns:
        `frames` in file order, with theory "" and labels None; `isolated` is empty.

    Raises:
        InputError: naming file and frame; also where no usable structure is left.
    """
    rules = theory or NO_THEORY
    undeclared = [name for name in inputs if name not in rules.inputs]
    keys = _with_inputs(keys or Keys(), rules, undeclared)
    frames: list[Frame] = []
    rejected: list[Rejected] = []
    for raw in extxyz.split_frames_of(read_text(path), str(path)):
        try:
            info = extxyz.parse_comment(raw.comment)
            names.check_units(info)
            structure = structure_of(raw, info)
            charge, spin = charge_and_spin(info, structure.Z, theory, keys, isolated=len(structure.Z) == 1)
            own = labels.read_inputs(info, rules, keys)
            for name in undeclared:
                if (key := keys.of_input(name)) in info:
                    own[name] = labels.number(info[key], key)
        except InputError as error:
            _reject(error, str(path), raw.index, bad_frames, rejected)
            continue
        frames.append(
            Frame(
                Z=structure.Z,
                positions=structure.positions,
                cell=structure.cell.vectors,
                pbc=structure.cell.pbc,
                theory="",
                charge=charge,
                spin=spin,
                energy=None,
                forces=None,
                stress=None,
                group=text_of(info, keys.group) or reduced_formula(structure.Z),
                domain=text_of(info, keys.domain),
                weights=Weights(),
                file=str(path),
                index=raw.index,
                inputs=own,
            )
        )
    if not frames:
        raise InputError(f"no usable structure; the first one: {rejected[0].reason}", file=path, frame=0)
    return Reading(tuple(frames), (), tuple(rejected))


def _paths(source: Source, base: Path) -> list[Path]:
    paths = [base / file for file in source.files]
    for k, path in enumerate(paths):
        if path in paths[:k]:
            raise InputError("the file is listed twice", file=path)
    return paths


def _read_file(
    path: Path,
    source: Source,
    theory: Theory,
    found: list[Found],
    rejected: list[Rejected],
    seen: set[str],
) -> None:
    """Read one file into `found` and `rejected`, and collect the keys there are into `seen`."""
    others: set[str] = set()
    file = str(path)
    raws = extxyz.split_frames_of(read_text(path), file)
    for raw in raws:
        try:
            info = extxyz.parse_comment(raw.comment)
            stated = text_of(info, source.keys.theory)
            if stated and stated != theory.name:
                others.add(stated)
                rejected.append(Rejected(file, raw.index, f"theory is {stated}"))
                continue
            seen.update(info, info.get("Properties", "").split(":")[::3])
            found.append(labelled(raw, info, file, source, theory))
        except Aside as aside:
            rejected.append(Rejected(file, raw.index, str(aside)))
        except InputError as error:
            _reject(error, file, raw.index, source.bad_frames, rejected)
    if sum(r.file == file and r.reason.startswith("theory is ") for r in rejected) == len(raws):
        raise InputError(f"no frame of theory {theory.name} (it has: {', '.join(sorted(others))})", file=file)


def _reject(error: InputError, file: str, index: int, bad_frames: str, rejected: list[Rejected]) -> None:
    if bad_frames == "stop":
        raise InputError(error.message, file=file, frame=index) from error
    rejected.append(Rejected(file, index, error.message))


def _with_inputs(keys: Keys, theory: Theory, more: Sequence[str] = ()) -> Keys:
    """The keys with those of all inputs written out, so that none is taken for a label."""
    known = [*theory.inputs, *more]
    for name in keys.inputs:
        if name not in known:
            there = f"it declares: {', '.join(known)}" if known else "it declares none"
            hint = f"{nearest(name, known)} ({there})"
            raise InputError(f"keys.inputs.{name}: theory {theory.name} declares no such input{hint}")
    return keys.model_copy(update={"inputs": {name: keys.of_input(name) for name in known}})


def _check_keys_seen(source: Source, seen: set[str]) -> None:
    """A name that the user gave and that no frame has would leave a label silently unread."""
    defaults = Keys().by_role
    for role, name in source.keys.by_role.items():
        usual = defaults.get(role, role.removeprefix("inputs."))
        if name is not None and name != usual and name not in seen:
            there = ", ".join(sorted(seen - {"", "Properties", "Lattice", "pbc", "species", "pos"}))
            raise InputError(
                f"no frame has {name!r}, which is given as keys.{role} (there are: {there or 'none'})",
                file=source.files[0] if len(source.files) == 1 else None,
            )


def _without_mixed_units(found: list[Found], source: Source, rejected: list[Rejected]) -> list[Found]:
    reasons = mixed_units([f.frame for f in found], [f.shortest for f in found])
    for k, reason in sorted(reasons.items()):
        frame = found[k].frame
        _reject(InputError(reason), frame.file, frame.index, source.bad_frames, rejected)
    return [f for k, f in enumerate(found) if k not in reasons]
