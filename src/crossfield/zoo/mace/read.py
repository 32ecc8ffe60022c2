"""From a file of mace-torch to a model, without running anything that is in the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from crossfield.errors import InputError
from crossfield.model import Model, ModelConfig
from crossfield.theory import Head, Theory, known_theories
from crossfield.zoo import torchfile
from crossfield.zoo.mace.constants import check_constants, check_irreps, drop_empty
from crossfield.zoo.mace.describe import describe
from crossfield.zoo.mace.facts import Facts, given, stated
from crossfield.zoo.mace.source import Source, source_of
from crossfield.zoo.mace.weights import check_couplings, weights_of


class Imported(NamedTuple):
    """A model from a file of mace-torch."""

    model: Model  # in the precision of the file
    facts: Facts  # what the file states beside its tensors, or was given
    kind: str  # "module" or "state dict"


def read(path: Path, facts: Mapping[str, object] | None = None) -> Imported:
    """Read a `.model` file of mace-torch, a state dict, or a training checkpoint.

    A head takes the known theory of its own name; of others no more is known than what the model reads.

    Args:
        path: the file.
        facts: what a state dict does not say, see `Facts`; nothing for a `.model`, which says it.

    Raises:
        InputError: not such a file, damaged, of a model that is not known here, or with tensors missing or
            left over; the message names the file and the tensor or module.
    """
    content = torchfile.read(path)
    try:
        return model_of(source_of(content.root), facts or {})
    except InputError as error:
        raise InputError(error.message, file=path) from error


def model_of(source: Source, values: Mapping[str, object]) -> Imported:
    """The model in a source, which is used up; arguments and errors as in `read`."""
    kind = "state dict" if source.is_state_dict else "module"
    facts = given(source, values) if source.is_state_dict else stated(source, values)
    _check_precision(source)
    config = describe(source, facts)
    drop_empty(source)
    check_irreps(source, config)
    check_constants(source, config)
    check_couplings(source, config)
    heads = _heads(source, config, facts)
    state = weights_of(source, Model.skeleton(config, heads))
    if source.tensors:
        left = sorted(source.tensors)
        raise InputError(f"tensor {left[0]!r} is left over, its meaning is not known ({len(left)} in all)")
    for name, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"weights contain NaN or infinity (those of {name!r} here)")
    found = {tensor.dtype for tensor in state.values()}
    if len(found) > 1:
        raise InputError(f"weights are {_listed(found)}, expected one precision throughout")
    model = Model(config, heads).to(found.pop())
    model.load_state_dict(state)
    return Imported(model, facts, kind)


def _check_precision(source: Source) -> None:
    found = {t.dtype for t in source.tensors.values() if t.is_floating_point()}
    if not found <= {torch.float32, torch.float64}:
        raise InputError(f"tensors are {_listed(found)}, expected float32 or float64")


def _listed(dtypes: set[torch.dtype]) -> str:
    return " and ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))


def _heads(source: Source, config: ModelConfig, facts: Facts) -> list[Head]:
    """The heads, with reference energies, scale and shift from the file."""
    names, n = facts.heads, len(facts.heads)
    E0 = _table(source, "atomic_energies_fn.atomic_energies", (n, len(config.elements)))
    if source.kind("") != "MACE" and source.has("scale_shift"):
        scale = _table(source, "scale_shift.scale", (n,))
        shift = _table(source, "scale_shift.shift", (n,))
    elif source.kind("") == "ScaleShiftMACE":
        raise InputError("tensor 'scale_shift.scale' is missing")
    else:
        scale, shift = torch.ones(n), torch.zeros(n)
    return [
        Head(
            name=name,
            theory=_theory(name, config),
            E0=dict(zip(config.elements, E0[i].tolist(), strict=True)),
            scale=float(scale[i]),
            shift=float(shift[i]),
        )
        for i, name in enumerate(names)
    ]


def _table(source: Source, name: str, shape: tuple[int, ...]) -> Tensor:
    """Numbers for every head; files of one head may leave that axis out."""
    table = source.take(name).to(torch.float64)
    if shape[0] == 1 and table.shape == shape[1:]:
        table = table.unsqueeze(0)
    if table.shape != shape:
        raise InputError(f"tensor {name!r} has shape {tuple(table.shape)}, expected {shape}")
    if not bool(torch.isfinite(table).all()):
        raise InputError(f"tensor {name!r} contains NaN or infinity")
    return table


def _theory(name: str, config: ModelConfig) -> Theory:
    """The known theory of this name, or one of which nothing is known but what the model reads."""
    known = known_theories().get(name)
    if known is not None:
        return known
    reads_charge, reads_spin = "charge" in config.inputs, "spin" in config.inputs
    return Theory(
        name=name,
        charge="total charge, e" if reads_charge else "ignored",
        spin="multiplicity 2S+1" if reads_spin else "ignored",
        default_charge=None if reads_charge else 0,
        default_spin=None if reads_spin else 1,
        notes="imported; the file does not say which theory this is",
    )
