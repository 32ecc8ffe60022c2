"""What there is: the new frames, and what the base makes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossfield.data.composition import elements_of
from crossfield.data.frame import Frame
from crossfield.data.label_names import LabelNames, Line, comment_lines, label_names
from crossfield.data.read import Reading, read_source
from crossfield.data.source import Keys, Source
from crossfield.errors import InputError
from crossfield.model.model import Model
from crossfield.theory import Head, symbols
from crossfield.train.config import ReplaySource
from crossfield.train.head_data import check_covered, check_inputs, isolated_atoms
from crossfield.train.pool import Pool, bundled_structures
from crossfield.train.sections import SplitConfig
from crossfield.train.starter.plan import Length, Parts, divide, length, mean_atoms
from crossfield.train.starter.request import Request
from crossfield.train.starter.theories import FoundTheory, find_theory, theory_name
from crossfield.zoo import checkpoint
from crossfield.zoo.fetch import local_model


@dataclass(frozen=True)
class Look:
    """What was found."""

    request: Request
    base: Model | None
    head: str
    level: FoundTheory
    names: LabelNames
    reading: Reading
    atoms: tuple[Frame, ...]  # isolated, of their own file and of the data
    atom_names: LabelNames | None  # of labels in the file of isolated atoms
    parts: Parts
    replayed: Mapping[str, int]  # training structures replayed, by head of the base
    length: Length

    @property
    def own(self) -> Head | None:
        """The head, where the base has it already."""
        if self.base is None:
            return None
        return next((head for head in self.base.heads if head.name == self.head), None)

    @property
    def elements(self) -> frozenset[int]:
        """Atomic numbers in the new data, isolated atoms included."""
        return elements_of((*self.reading.frames, *self.atoms))

    @property
    def mean_atoms(self) -> float:
        """Atoms per structure."""
        return mean_atoms(self.reading.frames)

    @property
    def new_elements(self) -> frozenset[int]:
        """Those that the base does not know."""
        return frozenset() if self.base is None else self.elements - set(self.base.config.elements)

    @property
    def from_atoms(self) -> frozenset[int]:
        """Elements whose E0 is that of an isolated atom."""
        return elements_of(a for a in self.atoms if a.energy is not None and a.charge == 0)


def look(request: Request) -> Look:
    """Read the data and the base of a first configuration.

    Raises:
        InputError: either cannot be read, or a run could not train on these data.
    """
    base = None
    if request.base is not None:
        base = checkpoint.load(local_model(request.base, accept_licence=request.accept_licence))
    head = request.head_name([] if base is None else [h.name for h in base.heads])
    lines = comment_lines(request.data, "list" if request.skip_bad else "stop")
    theory = theory_name(request, head, lines, base)
    lines = [line for line in lines if line.info.get("theory", "").strip() in ("", theory)]
    names = label_names(lines)
    found = find_theory(theory, request, lines, names, base)
    reading = read_source(_source(request.data, names, request), found.theory)
    if not reading.frames:
        raise InputError("has isolated atoms only, no frame to train on", file=request.data[0])
    atoms, atom_names = _atoms(request, reading, found)
    parts = divide(reading.frames)
    if base is not None:
        _check_base(base, head, found, reading.frames, atoms)
    _check_energies(base, reading.frames, atoms)
    replayed = {} if base is None else _replayed(base, head, parts)
    new = len(parts.split.train) + len(atoms)
    return Look(
        request=request,
        base=base,
        head=head,
        level=found,
        names=names,
        reading=reading,
        atoms=atoms,
        atom_names=atom_names,
        parts=parts,
        replayed=replayed,
        length=length(mean_atoms(reading.frames), new, sum(replayed.values())),
    )


def _source(files: Sequence[Path], names: LabelNames, request: Request) -> Source:
    bad_frames = "list" if request.skip_bad else "stop"
    return Source(files=tuple(files), keys=Keys.model_validate(names.keys), bad_frames=bad_frames)


def _atoms(
    request: Request, reading: Reading, found: FoundTheory
) -> tuple[tuple[Frame, ...], LabelNames | None]:
    """Isolated atoms: those of their own file, and for other elements those marked in the data."""
    if request.isolated_atoms is None:
        return reading.isolated, None
    files = (request.isolated_atoms,)
    lines: list[Line] = [
        line
        for line in comment_lines(files, "list" if request.skip_bad else "stop")
        if line.info.get("theory", "").strip() in ("", found.theory.name)
    ]
    names = label_names(lines)
    read = read_source(_source(files, names, request), found.theory)
    return isolated_atoms(read, reading), names


def _check_base(
    base: Model, head: str, found: FoundTheory, frames: Sequence[Frame], atoms: Sequence[Frame]
) -> None:
    """Check that the base can read every frame, and that a head that it has already has E0 for them."""
    found.theory.check_declares(base.config.extra_inputs)
    own = next((h for h in base.heads if h.name == head), None)
    for frame in (*frames, *atoms):
        check_inputs(frame, base.config)
        if own is not None and frame.num_atoms > 1:
            check_covered(frame, own)


def _check_energies(base: Model | None, frames: Sequence[Frame], atoms: Sequence[Frame]) -> None:
    """Check that an E0 can be found for every element, whichever head of the base a new one starts from."""
    covered = elements_of(frame for frame in (*frames, *atoms) if frame.energy is not None)
    if base is not None:
        covered |= set.intersection(*(set(head.E0) for head in base.heads))
    for frame in frames:
        if missing := sorted(elements_of([frame]) - covered):
            raise InputError(
                f"no frame with an energy contains {symbols(missing)[0]}, so that it has no E0: "
                "add an isolated atom or frames with energies",
                file=frame.file,
                frame=frame.index,
            )


def _replayed(base: Model, taught: str, parts: Parts) -> dict[str, int]:
    """About how many training structures are replayed of each head of the base, by default."""
    pool, bundled, kept = Pool(base), bundled_structures(), SplitConfig()
    most = ReplaySource().select.count or len(bundled)
    trained = 1 - kept.validation - kept.test
    found = {}
    for head in base.heads:
        if head.name != taught:
            own = len(pool.readable(parts.split.train, head, "new structures"))
            others = min(most, len(pool.readable(bundled, head, "bundled structures")))
            found[head.name] = own + math.ceil(trained * others)
    return found
