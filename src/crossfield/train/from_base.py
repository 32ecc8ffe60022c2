"""Start from a model: its heads and elements stay, new ones are added, nothing is forgotten unasked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray

from crossfield.data.batch import GraphDataset
from crossfield.data.composition import elements_of
from crossfield.data.frame import Frame
from crossfield.data.reference import BaseEnergies
from crossfield.errors import InputError
from crossfield.heads import add_elements, add_head, only_elements, replace_head
from crossfield.kernels.backend import Backend, choose, use
from crossfield.model.derivatives import evaluate
from crossfield.model.fingerprint import fingerprint
from crossfield.model.model import Model
from crossfield.theory import Head, Theory, dispersion_beside, head_index, symbols
from crossfield.train.config import Config, HeadConfig
from crossfield.train.head_data import (
    Data,
    HeadData,
    check_covered,
    check_inputs,
    find_theory,
    loss_weights,
    named,
    new_head,
    read_data,
)
from crossfield.train.metrics import evaluate_dataset
from crossfield.train.replayed import base_heads
from crossfield.zoo import checkpoint
from crossfield.zoo.fetch import local_model
from crossfield.zoo.origin import origins_of

LOOK = 32  # training frames from which the nearest head of the base is found
AT_ONCE = 32  # structures evaluated together


@dataclass(frozen=True)
class Started:
    """A model before training, with what its heads are taught, in their order."""

    model: Model
    heads: tuple[HeadData, ...]
    base: dict[str, Any] | None = None
    new_elements: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def start_from(config: Config, dtype: torch.dtype, *, relabel: bool = False) -> Started:
    """The base with new heads and elements, and what all its heads are taught.

    Args:
        config: of the run.
        dtype: precision of the run.
        relabel: make the base's labels anew where those in the output folder are of something else.

    Raises:
        InputError: a base that cannot be loaded, or anything wrong with heads or data.
    """
    path = base_file(config)
    base = load_base(path, config, dtype)
    there = {head.name: head for head in base.heads}
    data = {
        name: read_data(name, settings, config, _theory(name, settings, config, base))
        for name, settings in config.heads.items()
    }
    if config.elements == "data":
        present = frozenset().union(*(_elements(d) for d in data.values()))
        base = only_elements(base, sorted(present & set(base.config.elements)))
        there = {head.name: head for head in base.heads}
    # heads of the base keep their E0, and so know no others
    wanted = frozenset().union(*(_elements(d) for name, d in data.items() if name not in there))
    new_elements = tuple(sorted(wanted - set(base.config.elements)))
    notes: list[str] = []
    model, backend = base, choose(config.training.backend, base.device)
    if new_elements:
        model, origin = add_elements(base, new_elements)
        use(model, backend)
        pairs = ", ".join(f"{chemical_symbols[a]} as {chemical_symbols[b]}" for a, b in origin.items())
        notes.append(f"elements that the base does not know start as those most like them: {pairs}")

    taught = [
        _known(there[name], settings, data[name])
        if name in there
        else _beside(_new(name, settings, data[name], model, backend), base)
        for name, settings in config.heads.items()
    ]
    old = {h.head.name: h for h in (*taught, *base_heads(config, base, taught, relabel=relabel))}
    new = [h for h in taught if h.head.name not in there]
    for h in new:
        _check_given(h.head.name, config.heads[h.head.name], model)
        model = add_head(model, h.head, start=h.start)
    facts = {
        "name": config.base,
        "fingerprint": fingerprint(base),
        "heads": list(there),
        "origins": [origin.model_dump() for origin in origins_of(path)],
    }
    return Started(model, (*(old[name] for name in there), *new), facts, new_elements, tuple(notes))


def base_file(config: Config) -> Path:
    """The checkpoint of the base of a run.

    Raises:
        InputError: no such file or published model, or a licence that is not accepted.
    """
    assert config.base is not None
    file = config.root / config.base
    return local_model(file if file.exists() else config.base, accept_licence=config.accept_licence)


def load_base(path: Path, config: Config, dtype: torch.dtype) -> Model:
    """The base of a run, in its precision.

    Raises:
        InputError: not a checkpoint, or damaged.
    """
    gpu = config.training.device != "cpu" and torch.cuda.is_available()
    base = checkpoint.load(path, dtype=dtype, device="cuda" if gpu else "cpu")
    use(base, choose(config.training.backend, base.device))
    return base


def _theory(name: str, settings: HeadConfig, config: Config, base: Model) -> Theory:
    """The theory of a head under `heads:`."""
    there = {head.name: head.theory for head in base.heads}
    if name in there:
        if settings.theory not in (None, there[name].name):
            raise InputError(
                f"heads.{name}.theory: this head of the base is {there[name].name!r}, not "
                f"{settings.theory!r}; give yours another name, or leave the theory out"
            )
        return there[name]
    if settings.theory is None:
        raise InputError(
            f"heads.{name}.theory is missing, and the base has no head {name!r} (it has: {', '.join(there)})"
        )
    of_base = {theory.name: theory for theory in there.values()}.get(settings.theory)
    with named(name):
        if of_base is None:
            return find_theory(settings.theory, config)
        described = config.theories.get(settings.theory)
        if described is not None and Theory(name=of_base.name, **described.model_dump()) != of_base:
            raise InputError(
                f"theories.{of_base.name}: the base has a theory of this name that is described otherwise; "
                "leave this out if it is the same, or give yours another name"
            )
        return of_base


def _elements(data: Data) -> frozenset[int]:
    return elements_of((*data.frames.train, *data.frames.validation, *data.frames.test, *data.isolated))


def _known(head: Head, settings: HeadConfig, data: Data) -> HeadData:
    """A head of the base that is trained on."""
    kept = {"E0": "auto", "scale": "auto", "shift": None, "start": "auto"}
    if set_anew := [key for key, default in kept.items() if getattr(settings, key) != default]:
        raise InputError(
            f"heads.{head.name}.{set_anew[0]}: a head of the base keeps its readout, E0, scale and shift; "
            "for others, remove it first (`crossfield heads remove`), or give yours another name"
        )
    with named(head.name):
        for frame in (*data.frames.train, *data.frames.validation, *data.frames.test):
            check_covered(frame, head)
    isolated = [f for f in data.isolated if settings.train_isolated]
    unknown = [f for f in isolated if int(f.Z[0]) not in head.E0]
    notes = []
    if unknown:
        notes.append(
            f"{len(unknown)} isolated atoms are not trained on, since the base has no E0 for "
            f"{' '.join(symbols(elements_of(unknown)))}"
        )
    return HeadData(
        head=head,
        weights=loss_weights(settings.weight, settings.weights),
        frames=data.frames,
        isolated=tuple(f for f in isolated if int(f.Z[0]) in head.E0),
        rejected=data.rejected,
        files=data.files,
        frozen=settings.freeze,
        notes=tuple(notes),
    )


def _new(name: str, settings: HeadConfig, data: Data, model: Model, backend: Backend) -> HeadData:
    """A head that the base does not have."""
    if settings.start == "zero":
        if settings.E0 == "estimated":
            raise InputError(
                f"heads.{name}: E0=estimated are those of the head that this one starts from, and "
                "start=zero is none; use E0=least_squares, or another start"
            )
        return new_head(name, settings, data)
    with named(name):
        for frame in data.frames.train:
            check_inputs(frame, model.config)
        start = _start(settings, data.frames.train, model)
        base = _predicted(start, data.frames.train, model, backend)
    found = new_head(name, settings, data, start, base)
    warnings = []
    if settings.E0 == "least_squares":
        warnings.append(
            "E0 is fitted to energies alone, while the readout that it starts from brings interactions; "
            "E0=estimated goes with it, or start=zero with least squares"
        )
    notes = (f"starts from the readout of {start.name}",)
    return replace(found, notes=notes, warnings=tuple(warnings))


def _beside(h: HeadData, base: Model) -> HeadData:
    """A new head, with a warning where heads of the base have other dispersion, whichever it starts from."""
    sentence = dispersion_beside(h.head.theory, base.heads)
    return h if sentence is None else replace(h, warnings=(sentence, *h.warnings))


def _check_given(name: str, settings: HeadConfig, model: Model) -> None:
    """Check that E0 are given for elements of the model only."""
    given = settings.E0 if isinstance(settings.E0, dict) else {}
    if unknown := sorted(set(given) - set(model.config.elements)):
        raise InputError(
            f"heads.{name}.E0: neither the data nor the model have {', '.join(symbols(unknown))}; "
            "leave this out"
        )


def _start(settings: HeadConfig, frames: Sequence[Frame], model: Model) -> Head:
    """The head of the base whose readout a new one starts from."""
    if settings.start != "auto":
        return model.heads[head_index(model.heads, settings.start)]
    labelled = [frame for frame in frames if frame.forces is not None][:LOOK]
    if len(model.heads) == 1 or not labelled:
        return model.heads[head_index(model.heads, model.default_head or model.heads[0].name)]
    heads = range(len(model.heads))
    dataset = _dataset(
        [frame for _ in heads for frame in labelled], [i for i in heads for _ in labelled], model
    )
    errors = {h.head: h.forces.mae for h in evaluate_dataset(model, dataset, AT_ONCE).heads if h.forces}
    return model.heads[head_index(model.heads, min(errors, key=lambda name: errors[name]))]


def _predicted(start: Head, frames: Sequence[Frame], model: Model, backend: Backend) -> BaseEnergies:
    """What a head says of the frames; elements that it has no E0 for count as zero in both."""
    E0 = dict.fromkeys(elements_of(frames), 0.0) | start.E0
    model = replace_head(model, start.name, start.model_copy(update={"E0": E0}))
    use(model, backend)
    dataset = _dataset(frames, [head_index(model.heads, start.name)] * len(frames), model)
    energies: list[NDArray[np.float64]] = []
    for first in range(0, len(frames), AT_ONCE):
        batch = dataset.batch(range(first, min(first + AT_ONCE, len(frames)))).to(model.device)
        energies.append(evaluate(model, batch.graph, forces=False, stress=False).energy.cpu().numpy())
    return BaseEnergies(np.concatenate(energies), E0)


def _dataset(frames: Sequence[Frame], heads: Sequence[int], model: Model) -> GraphDataset:
    return GraphDataset(frames, heads, model.config.cutoff, model.config.extra_inputs)
