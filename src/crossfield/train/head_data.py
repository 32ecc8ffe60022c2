"""What one head is taught: its frames, reference energies and scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from crossfield.data.composition import elements_of
from crossfield.data.frame import Frame
from crossfield.data.read import Reading, Rejected, read_source
from crossfield.data.reference import BaseEnergies, ReferenceEnergies, per_atom, reference_energies
from crossfield.data.split import Split, split_frames
from crossfield.data.statistics import rms_force
from crossfield.errors import InputError, nearest
from crossfield.model.config import ModelConfig
from crossfield.theory import Head, Theory, check_elements, get_theory, known_theories
from crossfield.train.config import Config, HeadConfig
from crossfield.train.sections import PropertyWeights, SplitConfig
from crossfield.zoo.download import file_sha256

SPLITS = ("train", "validation", "test")
Role = Literal["taught", "replayed", "kept"]


@dataclass(frozen=True)
class HeadData:
    """One head with its frames."""

    head: Head
    weights: tuple[float, float, float]  # factors on its loss of energy, forces and stress
    frames: Split
    isolated: tuple[Frame, ...] = ()  # isolated atoms that are trained on
    reference: ReferenceEnergies | None = None  # None: a head of the base, which keeps its own
    rejected: tuple[Rejected, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # SHA-256 by file name as configured
    role: Role = "taught"  # under `heads:`; of the base and replayed; of the base and without data
    start: str | None = None  # the head of the base whose readout it starts from
    own_answers: bool = False  # whether labels are answers of the base
    frozen: bool = False  # whether its readout stays as it is
    selections: Mapping[str, Any] = field(default_factory=dict)  # how replayed frames were chosen
    notes: tuple[str, ...] = ()  # what to tell before training
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Data:
    """What a head's sources hold."""

    theory: Theory
    frames: Split
    isolated: tuple[Frame, ...]
    rejected: tuple[Rejected, ...]
    files: Mapping[str, str]


def read_data(name: str, config: HeadConfig, run: Config, theory: Theory) -> Data:
    """Read and split the data of a head; its name is in every error.

    Raises:
        InputError: unreadable data, or no frame to train on.
    """
    with named(name):
        sources = {
            "data": config.data,
            "validation": config.validation_data,
            "test": config.test_data,
            "isolated": config.isolated_atoms,
        }
        read = {k: read_source(s, theory, base=run.root) for k, s in sources.items() if s is not None}
        if not read["data"].frames:
            raise InputError("has isolated atoms only, no frame to train on", file=config.data.files[0])
        return Data(
            theory=theory,
            frames=_split(read, config.split or run.split),
            isolated=isolated_atoms(read.get("isolated"), read["data"]),
            # a file of atoms often serves several theories, the others are no loss
            rejected=tuple(r for k, reading in read.items() if k != "isolated" for r in reading.rejected),
            files={
                str(f): file_sha256(run.root / f) for s in sources.values() if s is not None for f in s.files
            },
        )


def new_head(
    name: str, config: HeadConfig, data: Data, start: Head | None = None, base: BaseEnergies | None = None
) -> HeadData:
    """A head that the model did not have.

    Args:
        name: of the head.
        config: its settings.
        data: its frames.
        start: the head of a base that it starts from.
        base: what that head says of the training frames.

    Raises:
        InputError: elements left without reference energy; see `reference_energies`.
    """
    with named(name):
        method = config.E0 if isinstance(config.E0, str) else "auto"
        given = config.E0 if isinstance(config.E0, dict) else {}
        reference = reference_energies(
            data.frames.train, data.isolated, method=method, given=given, base=base
        )
        for part in SPLITS:
            check_elements(elements_of(getattr(data.frames, part)), sorted(reference.E0), "E0")
    scale, shift = config.scale, config.shift
    if scale == "auto":
        scale = _auto_scale(data.frames.train) if start is None else start.scale
    if shift == "auto":
        shift = _auto_shift(data.frames.train, reference.E0)
    elif shift is None:
        shift = 0.0 if start is None else start.shift
    return HeadData(
        head=Head(name=name, theory=data.theory, E0=reference.E0, scale=scale, shift=shift),
        weights=loss_weights(config.weight, config.weights),
        frames=data.frames,
        isolated=data.isolated if config.train_isolated else (),
        reference=reference,
        rejected=data.rejected,
        files=data.files,
        start=None if start is None else start.name,
        frozen=config.freeze,
    )


def loss_weights(weight: float, properties: PropertyWeights) -> tuple[float, float, float]:
    """Factors on the loss of a head: energy, forces, stress."""
    return weight * properties.energy, weight * properties.forces, weight * properties.stress


@contextmanager
def named(head: str) -> Iterator[None]:
    """Errors inside have the name of the head."""
    try:
        yield
    except InputError as error:
        raise InputError(f"head {head!r}: {error.message}", file=error.file, frame=error.frame) from error


def check_covered(frame: Frame, head: Head) -> None:
    """Check that a head of the base has reference energies for a frame.

    Raises:
        InputError: it has not; naming file and frame.
    """
    try:
        check_elements(frame.Z.tolist(), sorted(head.E0), f"head {head.name!r} of the base")
    except InputError as error:
        raise InputError(error.message, file=frame.file, frame=frame.index) from error


def check_inputs(frame: Frame, model: ModelConfig) -> None:
    """Check that a model can read the numbers of a frame.

    Raises:
        InputError: it cannot; naming file and frame.
    """
    try:
        model.check_inputs(charge=frame.charge, spin=frame.spin, extra=frame.inputs)
    except InputError as error:
        raise InputError(error.message, file=frame.file, frame=frame.index) from error


def isolated_atoms(own: Reading | None, data: Reading) -> tuple[Frame, ...]:
    """Isolated atoms: those of their own file, and for other elements those marked in the data.

    Raises:
        InputError: a frame in the file of isolated atoms is none; naming file and frame.
    """
    atoms = () if own is None else (*own.isolated, *own.frames)
    for frame in atoms:
        if frame.num_atoms != 1 or frame.pbc.any():
            raise InputError("is not an isolated atom", file=frame.file, frame=frame.index)
    covered = elements_of(atoms)
    return (*atoms, *(frame for frame in data.isolated if int(frame.Z[0]) not in covered))


def find_theory(name: str, config: Config) -> Theory:
    """The theory of this name: described in the configuration, or known.

    Raises:
        InputError: there is none (the message lists those there are), or a known one is described anew.
    """
    known = sorted(set(config.theories) & set(known_theories()))
    if known:
        raise InputError(f"theories.{known[0]}: this is a known theory; give yours another name")
    if name in config.theories:
        return Theory(name=name, **config.theories[name].model_dump())
    own = list(config.theories)
    if close := nearest(name, own):
        raise InputError(f"unknown theory {name!r}{close}")
    try:
        return get_theory(name)
    except InputError as error:
        described = f"; described under `theories:` are {', '.join(own)}" if own else ""
        raise InputError(error.message + described) from error


def _split(read: dict[str, Reading], config: SplitConfig) -> Split:
    """Training, validation and test frames; a split that has a source of its own takes none of the data."""
    frames = read["data"].frames
    validation = 0.0 if "validation" in read else config.validation
    test = 0.0 if "test" in read else config.test
    parts = split_frames(frames, validation=validation, test=test, seed=config.seed, by=config.by)
    return Split(
        train=parts.train,
        validation=read["validation"].frames if "validation" in read else parts.validation,
        test=read["test"].frames if "test" in read else parts.test,
    )


def _auto_scale(frames: Sequence[Frame]) -> float:
    """RMS force, eV/Å; 1 where there are no forces other than zero."""
    if not any(frame.forces is not None and np.any(frame.forces) for frame in frames):
        return 1.0
    return rms_force(frames)


def _auto_shift(frames: Sequence[Frame], E0: Mapping[int, float]) -> float:
    """Mean energy per atom after E0, eV; 0 where there are no energies."""
    energies = [per_atom(frame, E0) for frame in frames if frame.energy is not None]
    return float(np.mean(energies)) if energies else 0.0
