"""From a configuration to heads, data sets and a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from crossfield.data.batch import GraphDataset
from crossfield.data.frame import Frame
from crossfield.errors import InputError
from crossfield.model.config import ModelConfig
from crossfield.model.model import Model
from crossfield.replay.fingerprint import structures_digest
from crossfield.train.config import Config
from crossfield.train.from_base import Started, start_from
from crossfield.train.head_data import (
    SPLITS,
    HeadData,
    check_inputs,
    find_theory,
    named,
    new_head,
    read_data,
)
from crossfield.train.metrics import PROPERTIES, Score, label_spread


@dataclass(frozen=True)
class Setup:
    """Everything a run starts from."""

    heads: tuple[HeadData, ...]  # in the order of the model
    model: Model
    train: GraphDataset
    validation: GraphDataset
    test: GraphDataset
    score: Score
    base: dict[str, Any] | None  # which model it starts from
    new_elements: tuple[int, ...]  # that the base did not have
    notes: tuple[str, ...]  # what to tell before training

    @property
    def counts(self) -> dict[str, int]:
        """Number of training frames by head, isolated atoms included."""
        return {h.head.name: len(h.frames.train) + len(h.isolated) for h in self.heads}

    @property
    def taught(self) -> tuple[str, ...]:
        """Heads whose readouts are trained: they have data, and are not frozen."""
        return tuple(h.head.name for h in self.heads if self.counts[h.head.name] and not h.frozen)

    @property
    def replayed(self) -> tuple[str, ...]:
        """Heads of the base that are replayed."""
        return tuple(h.head.name for h in self.heads if h.role == "replayed")

    def summary(self) -> dict[str, Any]:
        """What the heads were trained on, for checkpoints and to recognise the data when resuming."""
        return {h.head.name: _summary(h) for h in self.heads}

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


def prepare(config: Config, *, relabel: bool = False) -> Setup:
    """Read the data, split them, find reference energies and scales, and build the model or load its base.

    Args:
        config: of the run.
        relabel: make the base's labels anew where those in the output folder are of something else.

    Raises:
        InputError: unknown theory, unreadable data, a head without training frames or reference energies, a
            base that cannot be loaded, or labels of another one.
    """
    dtype = torch.float64 if config.training.precision == "64-true" else torch.float32
    started = _from_nothing(config) if config.base is None else start_from(config, dtype, relabel=relabel)
    model, heads = started.model.to(dtype), started.heads
    _check_inputs(heads, model.config, hint="; set model.inputs" if config.base is None else "")
    _check_validation(heads, config)
    return Setup(
        heads=heads,
        model=model,
        train=_dataset(heads, "train", model.config),
        validation=_dataset(heads, "validation", model.config),
        test=_dataset(heads, "test", model.config),
        score=score_of(heads, config),
        base=started.base,
        new_elements=started.new_elements,
        notes=started.notes,
    )


def _from_nothing(config: Config) -> Started:
    """Random weights; the elements are those of the reference energies."""
    heads = []
    for name, settings in config.heads.items():
        assert settings.theory is not None  # checked by the configuration
        with named(name):
            theory = find_theory(settings.theory, config)
        heads.append(new_head(name, settings, read_data(name, settings, config, theory)))
    model_config = config.model_for(tuple(sorted({Z for h in heads for Z in h.head.E0})))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        model = Model(model_config, [h.head for h in heads])
    return Started(model, tuple(heads))


def _check_validation(heads: Sequence[HeadData], config: Config) -> None:
    """Check that what follows validation scores has some to follow."""
    if any(h.frames.validation for h in heads):
        return
    if config.training.early_stop is not None:
        raise InputError("training.early_stop needs validation frames, and there are none")
    if config.schedule.kind == "plateau":
        raise InputError("schedule.kind=plateau needs validation frames, and there are none")


def _check_inputs(heads: Sequence[HeadData], model: ModelConfig, hint: str) -> None:
    """Check that the model can read the numbers of every frame, before the run begins."""
    for h in heads:
        if h.frames.train:
            h.head.theory.check_declares(model.extra_inputs)
        for frame in (*h.frames.train, *h.frames.validation, *h.frames.test, *h.isolated):
            try:
                check_inputs(frame, model)
            except InputError as error:
                raise InputError(
                    f"head {h.head.name!r}: {error.message}{hint}", file=error.file, frame=error.frame
                ) from error


def score_of(heads: Sequence[HeadData], config: Config) -> Score:
    """The score; a property counts for a head where it is in the loss of that head at any time."""
    early, late = config.loss.at(0.0), config.loss.at(1.0)
    spread = {}
    for h in heads:
        found = label_spread(h.frames.train, h.head.E0) if h.frames.train else {}
        own = dict(zip(PROPERTIES, h.weights, strict=True))
        spread[h.head.name] = {
            name: value
            for name, value in found.items()
            if own[name] * max(getattr(early, name), getattr(late, name)) > 0
        }
    return Score(spread)


def _dataset(heads: Sequence[HeadData], split: str, model: ModelConfig) -> GraphDataset:
    pairs = [(frame, i) for i, h in enumerate(heads) for frame in getattr(h.frames, split)]
    if split == "train":
        pairs += [(frame, i) for i, h in enumerate(heads) for frame in h.isolated]
    frames, of_head = [frame for frame, _ in pairs], [head for _, head in pairs]
    return GraphDataset(frames, of_head, model.cutoff, model.extra_inputs)


def _summary(h: HeadData) -> dict[str, Any]:
    found: dict[str, Any] = {
        "theory": h.head.theory.name,
        "role": h.role,
        "start": h.start,
        "own_answers": h.own_answers,
        "files": dict(h.files),
        "frames": {name: len(getattr(h.frames, name)) for name in SPLITS},
        "structures": {name: structures_digest(getattr(h.frames, name)) for name in SPLITS},
        "isolated_atoms": len(h.isolated),
        "selections": dict(h.selections),
        "rejected": len(h.rejected),
        "E0": {str(Z): E for Z, E in sorted(h.head.E0.items())},
    }
    if h.reference is not None:
        found["E0_origin"] = {str(Z): origin for Z, origin in sorted(h.reference.origin.items())}
        found["reference"] = h.reference.as_dict()
    return found


def _by_file(frames: Sequence[Frame]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for frame in frames:
        found.setdefault(frame.file, []).append(frame.index)
    return {file: sorted(indices) for file, indices in found.items()}
