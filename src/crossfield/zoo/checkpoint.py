"""Checkpoints: one safetensors file with JSON metadata. Nothing is ever unpickled.

The layout is described in docs/checkpoint-format.md. A change of it that older versions of Crossfield would
misread, or that newer ones must translate, gets a new version number, an entry in the `upgrades` of `KIND`,
and one small file of the version before in tests/zoo/formats.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from crossfield.errors import InputError
from crossfield.model import Model, ModelConfig
from crossfield.theory import Head
from crossfield.zoo import container


def _from_1(document: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew only the kinds of interaction, basis and readout that are the defaults."""
    return document | {"default_head": None}


def _from_2(document: dict[str, Any]) -> dict[str, Any]:
    """Version 2 knew no other scales of weights than by the heads and elements that there are."""
    return document


KIND = container.Kind("crossfield", "a Crossfield checkpoint", version=3, upgrades={1: _from_1, 2: _from_2})
_LIBRARIES = ("crossfield", "torch", "numpy", "ase", "vesin", "cuequivariance")


def save(path: Path, model: Model, provenance: Mapping[str, object]) -> None:
    """Write a model, atomically.

    Args:
        path: file to write; its folder must exist.
        model: the model.
        provenance: how it was made (configuration, data, seeds); anything that JSON can hold.
    """
    document = {
        "config": model.config.model_dump(mode="json"),
        "heads": [head.model_dump(mode="json") for head in model.heads],
        "default_head": model.default_head,
        "provenance": dict(provenance),
        "versions": {name: version(name) for name in _LIBRARIES} | {"python": platform.python_version()},
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    container.write(path, KIND, model.state_dict(), document)


def load(path: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> Model:
    """Read a model.

    Args:
        path: a file written by `save`.
        device: where to put it.
        dtype: torch.float32 or torch.float64; None: as stored.

    Raises:
        InputError: not such a file, or damaged; the message names the file and the entry.
    """
    document, tensors = container.read(path, KIND)
    try:
        config = ModelConfig.model_validate(document["config"])
        heads = [Head.model_validate(head) for head in document["heads"]]
        default_head = _name_or_none(document["default_head"])
    except (KeyError, TypeError, ValidationError) as error:
        fault = _first_fault(error)
        raise InputError(f"the description of the model is damaged: {fault}", file=path) from error
    try:
        _check(Model.skeleton(config, heads), tensors, path)  # a claim of any size costs nothing so far
        model = Model(config, heads, default_head)
    except InputError as error:
        if error.file is not None:
            raise
        raise InputError(f"the description of the model is damaged: {error.message}", file=path) from error
    stored = next(iter(tensors.values())).dtype
    model.to(stored).load_state_dict(tensors)
    return model.to(device=device, dtype=dtype or stored)


def read_metadata(path: Path) -> dict[str, Any]:
    """The JSON metadata of a checkpoint, without its tensors.

    Raises:
        InputError: not a checkpoint, or the metadata is damaged.
    """
    return container.read_document(path, KIND)


def _check(model: Model, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Check that the tensors are the weights of this model."""
    state = model.state_dict()
    missing, left_over = sorted(set(state) - set(tensors)), sorted(set(tensors) - set(state))
    if missing:
        raise InputError(f"tensor {missing[0]!r} is missing ({len(missing)} in all)", file=path)
    if left_over:
        raise InputError(f"tensor {left_over[0]!r} does not belong to this model", file=path)
    dtype = next(iter(tensors.values())).dtype
    for name, tensor in tensors.items():
        if tensor.shape != state[name].shape:
            raise InputError(
                f"tensor {name!r} has shape {tuple(tensor.shape)}, expected {tuple(state[name].shape)}",
                file=path,
            )
        if tensor.dtype not in (torch.float32, torch.float64):
            raise InputError(f"tensor {name!r} is {tensor.dtype}, expected float32 or float64", file=path)
        if tensor.dtype != dtype:
            raise InputError(f"tensor {name!r} is {tensor.dtype}, others are {dtype}", file=path)
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"tensor {name!r} contains NaN or infinity", file=path)


def _name_or_none(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError("default_head is no name")
    return value


def _first_fault(error: KeyError | TypeError | ValidationError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    fault = error.errors()[0]
    return f"{error.title}.{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
