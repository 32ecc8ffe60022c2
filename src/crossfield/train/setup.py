"""From a configuration to heads, data sets and a model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crossfield.data.batch import GraphDataset
from crossfield.data.frame import Frame
from crossfield.data.read import Reading, Rejected, read_source
from crossfield.data.reference import ReferenceEnergies, per_atom, reference_energies
from crossfield.data.split import Split, split_frames
from crossfield.data.statistics import rms_force
from crossfield.errors import InputError, nearest
from crossfield.model.config import ModelConfig
from crossfield.model.model import Model
from crossfield.theory import Head, Theory, check_elements, get_theory, known_theories
from crossfield.train.config import Config, HeadConfig, SplitConfig
from crossfield.train.metrics import Score, label_spread

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class HeadData:
    """One head with its frames."""

    head: Head
    weight: float  # factor on its loss
    frames: Split
    isolated: tuple[Frame, ...]  # isolated atoms that are trained on
    reference: ReferenceEnergies
    rejected: tuple[Rejected, ...]
    files: dict[str, str]  # SHA-256 by file name as configured


@dataclass(frozen=True)
class Setup:
    """Everything a run starts from."""

    heads: tuple[HeadData, ...]
    model: Model
    train: GraphDataset
    validation: GraphDataset
    test: GraphDataset
    score: Score

    @property
    def counts(self) -> dict[str, int]:
        """Number of training frames by head, isolated atoms included."""
        return {h.head.name: len(h.frames.train) + len(h.isolated) for h in self.heads}

    def summary(self) -> dict[str, Any]:
        """What the heads were trained on, for checkpoints and to recognise the data when resuming."""
        return {
            h.head.name: {
                "theory": h.head.theory.name,
                "files": h.files,
                "frames": {name: len(getattr(h.frames, name)) for name in SPLITS},
                "isolated_atoms": len(h.isolated),
                "rejected": len(h.rejected),
                "E0": {str(Z): E for Z, E in sorted(h.head.E0.items())},
                "E0_origin": {str(Z): origin for Z, origin in sorted(h.reference.origin.items())},
            }
            for h in self.heads
        }

    def splits(self) -> dict[str, dict[str, dict[str, list[int]]]]:
        """Frame numbers by head, split and file."""
        return {h.head.name: {name: _by_file(getattr(h.frames, name)) for name in SPLITS} for h in self.heads}

    def rejected(self) -> dict[str, dict[str, dict[str, str]]]:
        """Reasons why frames are not used, by head, file and frame number."""
        found: dict[str, dict[str, dict[str, str]]] = {h.head.name: {} for h in self.heads}
        for h in self.heads:
            for file, index, reason in h.rejected:
                found[h.head.name].setdefault(file, {})[str(index)] = reason
        return found


def prepare(config: Config) -> Setup:
    """Read the data, split them, find reference energies and scales, and build the model.

    Raises:
        InputError: unknown theory, unreadable data, a head without training frames or reference energies.
    """
    heads = tuple(_named_head(name, head, config) for name, head in config.heads.items())
    elements = tuple(sorted({Z for h in heads for Z in h.head.E0}))
    model_config = config.model_for(elements)
    _check_inputs(heads, model_config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        model = Model(model_config, [h.head for h in heads])
    model = model.to(torch.float64 if config.training.precision == "64-true" else torch.float32)
    _check_validation(heads, config)
    return Setup(
        heads=heads,
        model=model,
        train=_dataset(heads, "train", model_config.cutoff),
        validation=_dataset(heads, "validation", model_config.cutoff),
        test=_dataset(heads, "test", model_config.cutoff),
        score=_score(heads, config),
    )


def _check_validation(heads: Sequence[HeadData], config: Config) -> None:
    """Check that what follows validation scores has some to follow."""
    if any(h.frames.validation for h in heads):
        return
    if config.training.early_stop is not None:
        raise InputError("training.early_stop needs validation frames, and there are none")
    if config.schedule.kind == "plateau":
        raise InputError("schedule.kind=plateau needs validation frames, and there are none")


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


def _check_inputs(heads: Sequence[HeadData], model: ModelConfig) -> None:
    """Check that the model can read charge and spin of every frame, before the run begins."""
    for h in heads:
        for frame in (*h.frames.train, *h.frames.validation, *h.frames.test, *h.isolated):
            try:
                model.check_inputs(charge=frame.charge, spin=frame.spin)
            except InputError as error:
                raise InputError(
                    f"head {h.head.name!r}: {error.message}; set model.inputs",
                    file=frame.file,
                    frame=frame.index,
                ) from error


def _named_head(name: str, config: HeadConfig, run: Config) -> HeadData:
    """As `_read_head`, with the name of the head in every error."""
    try:
        return _read_head(name, config, run)
    except InputError as error:
        raise InputError(f"head {name!r}: {error.message}", file=error.file, frame=error.frame) from error


def _read_head(name: str, config: HeadConfig, run: Config) -> HeadData:
    theory = find_theory(config.theory, run)
    sources = {
        "data": config.data,
        "validation": config.validation_data,
        "test": config.test_data,
        "isolated": config.isolated_atoms,
    }
    read = {k: read_source(s, theory, base=run.base) for k, s in sources.items() if s is not None}
    if not read["data"].frames:
        raise InputError("has isolated atoms only, no frame to train on", file=config.data.files[0])
    frames = _split(read, config.split or run.split)
    isolated = _isolated(read)
    method = config.E0 if isinstance(config.E0, str) else "auto"
    given = config.E0 if isinstance(config.E0, dict) else {}
    reference = reference_energies(frames.train, isolated, method=method, given=given)
    for part in SPLITS:
        present = {int(Z) for frame in getattr(frames, part) for Z in np.unique(frame.Z)}
        check_elements(present, sorted(reference.E0), "E0")
    scale = _auto_scale(frames.train) if config.scale == "auto" else config.scale
    shift = _auto_shift(frames.train, reference.E0) if config.shift == "auto" else config.shift
    return HeadData(
        head=Head(name=name, theory=theory, E0=reference.E0, scale=scale, shift=shift),
        weight=config.weight,
        frames=frames,
        isolated=isolated if config.train_isolated else (),
        reference=reference,
        # a file of atoms often serves several theories, the others are no loss
        rejected=tuple(r for k, reading in read.items() if k != "isolated" for r in reading.rejected),
        files={str(f): _sha256(run.base / f) for s in sources.values() if s is not None for f in s.files},
    )


def _isolated(read: dict[str, Reading]) -> tuple[Frame, ...]:
    """Isolated atoms: those of their own file, and for other elements those marked in the data."""
    own: tuple[Frame, ...] = ()
    if "isolated" in read:
        own = (*read["isolated"].isolated, *read["isolated"].frames)
        for frame in own:
            if frame.num_atoms != 1 or frame.pbc.any():
                raise InputError("is not an isolated atom", file=frame.file, frame=frame.index)
    covered = {int(frame.Z[0]) for frame in own}
    marked = [frame for frame in read["data"].isolated if int(frame.Z[0]) not in covered]
    return (*own, *marked)


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


def _score(heads: Sequence[HeadData], config: Config) -> Score:
    weights = config.loss.model_dump()
    spread = {}
    for h in heads:
        found = label_spread(h.frames.train, h.head.E0)
        spread[h.head.name] = {name: value for name, value in found.items() if weights[name] > 0}
    return Score(spread)


def _dataset(heads: Sequence[HeadData], split: str, cutoff: float) -> GraphDataset:
    pairs = [(frame, i) for i, h in enumerate(heads) for frame in getattr(h.frames, split)]
    if split == "train":
        pairs += [(frame, i) for i, h in enumerate(heads) for frame in h.isolated]
    return GraphDataset([frame for frame, _ in pairs], [head for _, head in pairs], cutoff)


def _by_file(frames: Sequence[Frame]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for frame in frames:
        found.setdefault(frame.file, []).append(frame.index)
    return {file: sorted(indices) for file, indices in found.items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
