"""Tensors and a JSON document in one safetensors file, with checksums of both.

The metadata of the file has two entries. The first is named by the kind of file and holds the JSON text of
the document, with `format_version` and `sha256`, the SHA-256 of the tensors (names, types, shapes and bytes,
in the order of the names). The second, "sha256", is the SHA-256 of that text. One wrong bit in a weight or a
reference energy would give other energies without a word.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from crossfield.errors import InputError
from crossfield.files import replacing


class Kind(NamedTuple):
    """What a file is for."""

    key: str  # name of the metadata entry
    name: str  # in error messages, with its article
    version: int  # the one written here
    upgrades: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}  # from a version to the next


def write(path: Path, kind: Kind, tensors: Mapping[str, Tensor], document: Mapping[str, object]) -> None:
    """Write a file, atomically."""
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({"format_version": kind.version, **document, "sha256": _digest(stored)})
    with replacing(path) as temporary:
        try:
            save_file(stored, temporary, metadata={kind.key: text, "sha256": sha256(text.encode())})
        except SafetensorError as error:
            raise OSError(f"{path} cannot be written ({error})") from error


def read(path: Path, kind: Kind) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Document and tensors of a file.

    Raises:
        InputError: not such a file, of another version, or damaged.
    """
    while True:
        before = _identity(path)
        document, tensors = _read(path, kind, tensors=True)
        if _identity(path) == before:
            break  # else a run replaced it meanwhile: the header is of the one, tensors are of the other
    if document.get("sha256") != _digest(tensors):
        raise InputError("the file is damaged (checksum)", file=path)
    return document, tensors


def read_document(path: Path, kind: Kind) -> dict[str, Any]:
    """The document alone, without reading the tensors; errors as in `read`."""
    return _read(path, kind, tensors=False)[0]


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is that has this name now."""
    try:
        status = path.stat()
    except OSError:
        return None  # `_read` says what is wrong
    return status.st_ino, status.st_mtime_ns


def _read(path: Path, kind: Kind, *, tensors: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.exists():
        raise InputError("no such file", file=path)
    if not path.is_file():
        raise InputError("this is not a file", file=path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            found = {name: file.get_tensor(name) for name in (file.keys() if tensors else ())}
    except (SafetensorError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"not {kind.name} ({reason})", file=path) from error
    return _document(metadata, kind, path), found


def _document(metadata: Mapping[str, str], kind: Kind, path: Path) -> dict[str, Any]:
    foreign = f"a safetensors file, but without the metadata of {kind.name}"
    text = metadata.get(kind.key)
    if text is None:
        raise InputError(foreign, file=path)
    if metadata.get("sha256") != sha256(text.encode()):
        raise InputError("the file is damaged (checksum)", file=path)
    try:
        document: dict[str, Any] = json.loads(text)
        version = document["format_version"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(foreign, file=path) from error
    if type(version) is not int or version not in (*kind.upgrades, kind.version):
        raise InputError(
            f"{kind.name} of format version {version} is not known here (this version reads up to "
            f"{kind.version}); install a newer crossfield",
            file=path,
        )
    for older in range(version, kind.version):
        document = kind.upgrades[older](document)
    return document


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
