"""Checkpoints: one safetensors file with JSON metadata. Nothing is ever unpickled.

Layout, format version 1: the tensors are the parameters of `Model` under their own names; the metadata has
two entries. "crossfield" is a JSON object with `format_version`, `config`, `heads` (theory, E0, scale,
shift), `provenance`, `versions`, `written` and `sha256`, the SHA-256 of the tensors (names, types, shapes and
bytes, in the order of the names). "sha256" is the SHA-256 of that JSON text. Both are verified on reading:
one wrong bit in a weight or a reference energy would give other energies without a word.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from crossfield.errors import InputError
from crossfield.model import Model, ModelConfig
from crossfield.theory import Head

FORMAT_VERSION = 1
_LIBRARIES = ("crossfield", "torch", "numpy", "ase", "vesin", "cuequivariance")


def save(path: Path, model: Model, provenance: Mapping[str, object]) -> None:
    """Write a model, atomically.

    Args:
        path: file to write; its folder must exist.
        model: the model.
        provenance: how it was made (configuration, data, seeds); anything that JSON can hold.
    """
    document = {
        "format_version": FORMAT_VERSION,
        "config": model.config.model_dump(mode="json"),
        "heads": [head.model_dump(mode="json") for head in model.heads],
        "provenance": dict(provenance),
        "versions": {name: version(name) for name in _LIBRARIES} | {"python": platform.python_version()},
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    write_tensors(path, tensors, document)


def load(path: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> Model:
    """Read a model.

    Args:
        path: a file written by `save`.
        device: where to put it.
        dtype: torch.float32 or torch.float64; None: as stored.

    Raises:
        InputError: not such a file, or damaged; the message names the file and the entry.
    """
    document, tensors = read_tensors(path)
    try:
        config = ModelConfig.model_validate(document["config"])
        heads = [Head.model_validate(head) for head in document["heads"]]
    except (KeyError, TypeError, ValidationError) as error:
        fault = _first_fault(error)
        raise InputError(f"the description of the model is damaged: {fault}", file=path) from error
    try:
        model = Model(config, heads)
    except InputError as error:
        raise InputError(f"the description of the model is damaged: {error.message}", file=path) from error
    _fill(model, tensors, path)
    return model.to(device=device, dtype=dtype or next(iter(tensors.values())).dtype)


def read_metadata(path: Path) -> dict[str, Any]:
    """The JSON metadata of a checkpoint, without its tensors.

    Raises:
        InputError: not a checkpoint, or the metadata is damaged.
    """
    return _read(path, tensors=False)[0]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, object]) -> None:
    """Write tensors and a JSON document as one safetensors file, atomically."""
    text = json.dumps({**document, "sha256": _digest(tensors)})
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file(dict(tensors), temporary, metadata={"crossfield": text, "sha256": _sha256(text.encode())})
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what `write_tensors` wrote.

    Raises:
        InputError: not such a file, or damaged.
    """
    document, tensors = _read(path, tensors=True)
    if document.get("sha256") != _digest(tensors):
        raise InputError("the file is damaged (checksum)", file=path)
    return document, tensors


def _read(path: Path, *, tensors: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.exists():
        raise InputError("no such file", file=path)
    if not path.is_file():
        raise InputError("this is not a file", file=path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            found = {name: file.get_tensor(name) for name in (file.keys() if tensors else ())}
    except (SafetensorError, OSError) as error:
        raise InputError(f"not a Crossfield checkpoint ({_first_line(error)})", file=path) from error
    return _document(metadata, path), found


def _document(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    foreign = "a safetensors file, but without the metadata of a Crossfield checkpoint"
    text = metadata.get("crossfield")
    if text is None:
        raise InputError(foreign, file=path)
    if metadata.get("sha256") != _sha256(text.encode()):
        raise InputError("the file is damaged (checksum)", file=path)
    try:
        document = json.loads(text)
        version_found = document["format_version"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(foreign, file=path) from error
    if version_found != FORMAT_VERSION:
        raise InputError(
            f"format version {version_found} is not known here (this version reads {FORMAT_VERSION}); "
            "install a newer crossfield",
            file=path,
        )
    return document


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _fill(model: Model, tensors: Mapping[str, Tensor], path: Path) -> None:
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
    model.to(dtype)
    model.load_state_dict(dict(tensors))


def _first_fault(error: KeyError | TypeError | ValidationError) -> str:
    if not isinstance(error, ValidationError):
        return _first_line(error)
    fault = error.errors()[0]
    return f"{error.title}.{'.'.join(map(str, fault['loc']))}: {fault['msg']}"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
