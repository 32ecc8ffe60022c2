"""From files to frames: every frame is used, or rejected with a reason, or stops the reading."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from crossfield.data import extxyz, geometry, labels, names
from crossfield.data.consistency import mixed_units
from crossfield.data.frame import Frame, Weights
from crossfield.data.source import Keys, Source
from crossfield.data.textfile import read_text
from crossfield.errors import InputError, nearest
from crossfield.theory import Theory, check_parity

NO_LABEL = "no energy, forces or stress"
_NO_THEORY = Theory(name="", charge="e", spin="2S+1")  # whose rules hold where none will be asked


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


class _Structure(NamedTuple):
    Z: NDArray[np.int64]
    positions: NDArray[np.float64]
    cell: geometry.Cell
    shortest: geometry.Shortest
    fields: list[list[str]]
    columns: dict[str, extxyz.Column]


class _Found(NamedTuple):
    frame: Frame
    isolated: bool
    shortest: geometry.Shortest


class _Aside(Exception):
    """A frame that is no error, but not used."""


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
    found: list[_Found] = []
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
    rules = theory or _NO_THEORY
    undeclared = [name for name in inputs if name not in rules.inputs]
    keys = _with_inputs(keys or Keys(), rules, undeclared)
    frames: list[Frame] = []
    rejected: list[Rejected] = []
    for raw in extxyz.split_frames_of(read_text(path), str(path)):
        try:
            info = extxyz.parse_comment(raw.comment)
            names.check_units(info)
            structure = _structure(raw, info)
            charge, spin = _charge_and_spin(info, structure.Z, theory, keys, isolated=len(structure.Z) == 1)
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
                group=_text(info, keys.group) or reduced_formula(structure.Z),
                domain=_text(info, keys.domain),
                weights=Weights(),
                file=str(path),
                index=raw.index,
                inputs=own,
            )
        )
    if not frames:
        raise InputError(f"no usable structure; the first one: {rejected[0].reason}", file=path, frame=0)
    return Reading(tuple(frames), (), tuple(rejected))


def reduced_formula(Z: NDArray[np.int64]) -> str:
    """Formula divided by the common factor of its counts, by atomic number: "HO" for hydrogen peroxide."""
    elements, counts = np.unique(Z, return_counts=True)
    common = math.gcd(*(int(n) for n in counts))
    parts = ((chemical_symbols[z], int(n) // common) for z, n in zip(elements, counts, strict=True))
    return "".join(symbol + (str(n) if n > 1 else "") for symbol, n in parts)


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
    found: list[_Found],
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
            stated = _text(info, source.keys.theory)
            if stated and stated != theory.name:
                others.add(stated)
                rejected.append(Rejected(file, raw.index, f"theory is {stated}"))
                continue
            seen.update(info, info.get("Properties", "").split(":")[::3])
            found.append(_frame(raw, info, file, source, theory))
        except _Aside as aside:
            rejected.append(Rejected(file, raw.index, str(aside)))
        except InputError as error:
            _reject(error, file, raw.index, source.bad_frames, rejected)
    if sum(r.file == file and r.reason.startswith("theory is ") for r in rejected) == len(raws):
        raise InputError(f"no frame of theory {theory.name} (it has: {', '.join(sorted(others))})", file=file)


def _reject(error: InputError, file: str, index: int, bad_frames: str, rejected: list[Rejected]) -> None:
    if bad_frames == "stop":
        raise InputError(error.message, file=file, frame=index) from error
    rejected.append(Rejected(file, index, error.message))


def _frame(
    raw: extxyz.RawFrame, info: Mapping[str, str], file: str, source: Source, theory: Theory
) -> _Found:
    keys = source.keys
    declared = names.check_units(info)
    names.check_weights_read(info, keys)
    structure = _structure(raw, info)
    isolated = _is_isolated(info, structure)
    charge, spin = _charge_and_spin(info, structure.Z, theory, keys, isolated=isolated)
    if isolated and charge != 0:
        if theory.charge == "ignored":
            raise InputError(
                f"an isolated atom must be neutral to be a reference, its charge is {charge}, which theory "
                f"{theory.name} ignores"
            )
        isolated = False  # an ion to learn, from which no E0 follows
    energy = _energy(info, keys)
    forces = _forces(structure, keys)
    stress = _stress(info, structure.cell, keys, declared="stress" in declared)
    if not {chemical_symbols[z] for z in structure.Z}.isdisjoint(source.stress_not_for):
        stress = None  # read and checked like any other, but not to be learnt
    if energy is None and (isolated or (forces is None and stress is None)):
        raise _Aside("an isolated atom without an energy" if isolated else NO_LABEL)
    frame = Frame(
        Z=structure.Z,
        positions=structure.positions,
        cell=structure.cell.vectors,
        pbc=structure.cell.pbc,
        theory=theory.name,
        charge=charge,
        spin=spin,
        energy=energy,
        forces=forces,
        stress=stress,
        group=_text(info, keys.group) or reduced_formula(structure.Z),
        domain=_text(info, keys.domain) or source.domain or "",
        weights=labels.read_weights(info, keys),
        file=file,
        index=raw.index,
        inputs=labels.read_inputs(info, theory, keys),
    )
    return _Found(frame, isolated, structure.shortest)


def _structure(raw: extxyz.RawFrame, info: Mapping[str, str]) -> _Structure:
    other = next((key for key in info if key.lower() == "properties" and key != "Properties"), None)
    if other is not None:
        raise InputError(f"{other!r} is not read: extended XYZ calls it 'Properties'")
    columns = extxyz.parse_properties(info.get("Properties", "species:S:1:pos:R:3"))
    fields = extxyz.split_rows(raw.rows, columns)
    Z = extxyz.species(fields, columns)
    positions = extxyz.real_column(fields, columns["pos"], "positions")
    cell = geometry.read_cell(info)
    shortest = geometry.check_positions(Z, positions, cell)
    return _Structure(Z, positions, cell, shortest, fields, columns)


def _is_isolated(info: Mapping[str, str], structure: _Structure) -> bool:
    kind = "".join(c for c in info.get("config_type", "").lower() if c.isalpha())
    if kind != "isolatedatom":
        return False
    if len(structure.Z) != 1:
        raise InputError(f"config_type is IsolatedAtom, but there are {len(structure.Z)} atoms")
    if structure.cell.pbc.any():
        raise InputError('config_type is IsolatedAtom, but the frame is periodic; write pbc="F F F"')
    return True


def _charge_and_spin(
    info: Mapping[str, str], Z: NDArray[np.int64], theory: Theory | None, keys: Keys, *, isolated: bool
) -> tuple[int, int]:
    charge_text, spin_text = info.get(keys.charge or ""), info.get(keys.spin or "")
    # without a theory both are optional, and a spin is only checked where the frame states it
    rules = theory or _NO_THEORY
    if charge_text is None and rules.charge != "ignored":
        names.check_not_elsewhere("charge", info, keys)
    if spin_text is None and rules.spin != "ignored":
        names.check_not_elsewhere("spin", info, keys)
    charge = labels.read_charge(charge_text, rules, isolated=isolated)
    spin = labels.read_spin(spin_text, rules, isolated=isolated)
    if rules.spin != "ignored" and (theory is not None or spin_text is not None):
        check_parity(int(Z.sum()), charge, spin)
    return charge, spin


def _energy(info: Mapping[str, str], keys: Keys) -> float | None:
    if keys.energy is None:
        return None
    if keys.energy not in info:
        names.check_not_elsewhere("energy", info, keys)
        return None
    return labels.read_energy(info[keys.energy])


def _forces(structure: _Structure, keys: Keys) -> NDArray[np.float64] | None:
    if keys.forces is None:
        return None
    column = structure.columns.get(keys.forces)
    if column is None:
        names.check_not_elsewhere("forces", structure.columns, keys)
        return None
    if (column.kind, column.width) != ("R", 3):
        raise InputError(f"the column {keys.forces} must be {keys.forces}:R:3")
    forces = extxyz.real_column(structure.fields, column, "forces")
    labels.check_forces(forces)
    return forces


def _stress(
    info: Mapping[str, str], cell: geometry.Cell, keys: Keys, *, declared: bool
) -> NDArray[np.float64] | None:
    periodic = bool(cell.pbc.all())
    key = next((k for k in (keys.stress, keys.virial) if k is not None and k in info), None)
    if key is None:
        if periodic:
            names.check_not_elsewhere("stress", info, keys)
        return None
    if not periodic:
        raise InputError(f"{key} is given, but a structure without three periodic axes has none")
    if key == keys.stress:
        return labels.read_stress(info[key], declared=declared)
    virial = labels.read_stress(info[key], declared=True, what="virial")
    stress: NDArray[np.float64] = -virial / float(np.linalg.det(cell.vectors))
    return stress


def _with_inputs(keys: Keys, theory: Theory, more: Sequence[str] = ()) -> Keys:
    """The keys with those of all inputs written out, so that none is taken for a label."""
    known = [*theory.inputs, *more]
    for name in keys.inputs:
        if name not in known:
            there = f"it declares: {', '.join(known)}" if known else "it declares none"
            hint = f"{nearest(name, known)} ({there})"
            raise InputError(f"keys.inputs.{name}: theory {theory.name} declares no such input{hint}")
    return keys.model_copy(update={"inputs": {name: keys.of_input(name) for name in known}})


def _text(info: Mapping[str, str], key: str | None) -> str:
    return "" if key is None else info.get(key, "").strip()


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


def _without_mixed_units(found: list[_Found], source: Source, rejected: list[Rejected]) -> list[_Found]:
    reasons = mixed_units([f.frame for f in found], [f.shortest for f in found])
    for k, reason in sorted(reasons.items()):
        frame = found[k].frame
        _reject(InputError(reason), frame.file, frame.index, source.bad_frames, rejected)
    return [f for k, f in enumerate(found) if k not in reasons]
