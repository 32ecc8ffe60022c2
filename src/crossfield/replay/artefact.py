"""The file of pseudo-labels: structures, labels, weights, and the fingerprint of what they were made from.

It is a file of `crossfield.zoo.container`: a document with `fingerprint`, `theory` (of the head), `texts` and
`inputs` (names), and tensors of S structures with N atoms in all:

    atoms (S,)           number of atoms              energy (S,)       eV
    Z (N,)               atomic numbers               forces (N, 3)     eV/Å
    positions (N, 3)     Å                            stress (S, 3, 3)  eV/Å^3, NaN where it is not defined
    cell (S, 3, 3)       Å                            weights (S, 4)    structure, energy, forces, stress
    pbc (S, 3)           0 or 1                       inputs (S, K)     NaN where one is not stated
    charge, spin (S,)                                 group, domain, file (S,)  which of `texts`
                                                      index (S,)        frame in that file

It holds no date and no name of a machine: the same labels are the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from crossfield.data.frame import Frame, Weights
from crossfield.errors import InputError
from crossfield.files import replacing
from crossfield.replay.fingerprint import Fingerprint
from crossfield.theory import Theory
from crossfield.zoo import container
from crossfield.zoo.container import Kind

KIND = Kind("crossfield_labels", "a file of pseudo-labels", version=1)
_SHAPES: Mapping[str, tuple[object, ...]] = {  # of every tensor, in the letters above
    "atoms": ("S",),
    "Z": ("N",),
    "positions": ("N", 3),
    "cell": ("S", 3, 3),
    "pbc": ("S", 3),
    "charge": ("S",),
    "spin": ("S",),
    "inputs": ("S", "K"),
    "group": ("S",),
    "domain": ("S",),
    "file": ("S",),
    "index": ("S",),
    "energy": ("S",),
    "forces": ("N", 3),
    "stress": ("S", 3, 3),
    "weights": ("S", 4),
}
_REAL = ("positions", "cell", "inputs", "energy", "forces", "stress", "weights")

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Labelled:
    """What a file of pseudo-labels holds."""

    frames: tuple[Frame, ...]  # their file is the one of the labels, their index the place in it
    sources: tuple[tuple[str, int], ...]  # file and frame number from which each structure came
    theory: Theory  # of the labels
    fingerprint: Fingerprint


def write(path: Path, kind: Kind, tensors: Mapping[str, Tensor], document: Mapping[str, object]) -> None:
    """Write a file whose bytes follow from its content alone, atomically."""
    with replacing(path) as temporary:
        container.write(temporary, kind, tensors, document)
        _order_metadata(temporary)


def _order_metadata(path: Path) -> None:
    """Put the metadata of a safetensors file into the order of their names; written, they have none."""
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        assert len(text) <= size  # another order is not longer; the rest are blanks
        file.seek(8)
        file.write(text.ljust(size))


def save(path: Path, frames: Sequence[Frame], theory: Theory, fingerprint: Fingerprint) -> None:
    """Write labelled frames with their fingerprint, atomically.

    Args:
        path: file to write; its folder must exist.
        frames: with energies and forces, all of this theory.
        theory: the theory of the head that gave the labels.
        fingerprint: what they were made from.
    """
    texts = sorted({text for f in frames for text in (f.group, f.domain, f.file)})
    inputs = sorted({name for f in frames for name in f.inputs})
    arrays = _encode(frames, {text: k for k, text in enumerate(texts)}, inputs)
    document = {
        "fingerprint": fingerprint.model_dump(mode="json"),
        "theory": theory.model_dump(mode="json"),
        "texts": texts,
        "inputs": inputs,
    }
    write(path, KIND, {name: torch.from_numpy(array) for name, array in arrays.items()}, document)


def _encode(frames: Sequence[Frame], place: Mapping[str, int], inputs: Sequence[str]) -> Arrays:
    nothing = np.full((3, 3), np.nan)
    whole: dict[str, list[int]] = {
        "atoms": [f.num_atoms for f in frames],
        "charge": [f.charge for f in frames],
        "spin": [f.spin for f in frames],
        "group": [place[f.group] for f in frames],
        "domain": [place[f.domain] for f in frames],
        "file": [place[f.file] for f in frames],
        "index": [f.index for f in frames],
    }
    real = {
        "positions": np.concatenate([f.positions for f in frames]),
        "cell": np.stack([f.cell for f in frames]),
        "inputs": [[f.inputs.get(name, np.nan) for name in inputs] for f in frames],
        "energy": [f.energy for f in frames],
        "forces": np.concatenate([f.forces for f in frames if f.forces is not None]),
        "stress": np.stack([nothing if f.stress is None else f.stress for f in frames]),
        "weights": [astuple(f.weights) for f in frames],
    }
    return {
        **{name: np.array(values, dtype=np.int64) for name, values in whole.items()},
        **{name: np.array(values, dtype=np.float64) for name, values in real.items()},
        "Z": np.concatenate([f.Z for f in frames]).astype(np.int64),
        "pbc": np.stack([f.pbc for f in frames]).astype(np.uint8),
    }


def load(path: Path) -> Labelled:
    """Read a file of pseudo-labels, and check all that is in it.

    Raises:
        InputError: no such file, of another kind, damaged, or with values that cannot be.
    """
    document, tensors = container.read(path, KIND)
    try:
        fingerprint = Fingerprint.model_validate(document["fingerprint"])
        theory = Theory.model_validate(document["theory"])
        texts, inputs = _names(document["texts"]), _names(document["inputs"])
        arrays = _checked(tensors, len(inputs), len(texts))
        if fingerprint.theory != theory.name or fingerprint.structures != len(arrays["atoms"]):
            raise InputError("the fingerprint is that of other labels")
    except (KeyError, TypeError, ValidationError, InputError) as error:
        fault = str(error).splitlines()[0]
        raise InputError(f"the labels are damaged ({fault}); delete the file", file=path) from error
    frames = _decode(arrays, theory.name, texts, inputs, str(path))
    sources = [(texts[k], int(i)) for k, i in zip(arrays["file"], arrays["index"], strict=True)]
    return Labelled(frames, tuple(sources), theory, fingerprint)


def _names(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise TypeError("a list of names is none")
    return value


def _checked(tensors: Mapping[str, Tensor], inputs: int, texts: int) -> Arrays:
    """Arrays of the right types and shapes, with values that can be.

    Raises:
        InputError: naming the tensor that is not so.
    """
    if set(tensors) != set(_SHAPES):
        raise InputError(
            f"tensors are missing or left over: {', '.join(sorted(set(tensors) ^ set(_SHAPES)))}"
        )
    sizes = {"S": len(tensors["atoms"].reshape(-1)), "N": len(tensors["Z"].reshape(-1)), "K": inputs}
    for name, letters in _SHAPES.items():
        shape = tuple(sizes.get(str(letter), letter) for letter in letters)
        kind = torch.float64 if name in _REAL else torch.uint8 if name == "pbc" else torch.int64
        if tensors[name].shape != shape or tensors[name].dtype != kind:
            found = f"{tensors[name].dtype} {tuple(tensors[name].shape)}"
            raise InputError(f"{name} is {found}, expected {kind} {shape}")
    arrays: Arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    periodic = arrays["pbc"].astype(bool).all(axis=1)
    sound = {
        "atoms": ((arrays["atoms"] > 0) & (arrays["atoms"] <= sizes["N"])).all()
        and arrays["atoms"].sum() == sizes["N"] > 0,
        "Z": ((arrays["Z"] >= 1) & (arrays["Z"] <= 118)).all(),
        "pbc": (arrays["pbc"] <= 1).all(),
        "spin": (arrays["spin"] >= 1).all(),
        "index": (arrays["index"] >= 0).all(),
        "weights": (arrays["weights"] >= 0).all(),
        "stress": (np.isfinite(arrays["stress"]).all(axis=(1, 2)) == periodic).all(),
        "inputs": not np.isinf(arrays["inputs"]).any(),
        **{k: ((arrays[k] >= 0) & (arrays[k] < texts)).all() for k in ("group", "domain", "file")},
    }
    for name in ("positions", "cell", "energy", "forces", "weights"):
        sound[name] = sound.get(name, True) and np.isfinite(arrays[name]).all()
    for name, is_sound in sound.items():
        if not is_sound:
            raise InputError(f"{name} has values that cannot be")
    return arrays


def _decode(
    arrays: Arrays, theory: str, texts: Sequence[str], inputs: Sequence[str], file: str
) -> tuple[Frame, ...]:
    ends = np.cumsum(arrays["atoms"])
    frames = []
    for k, end in enumerate(ends):
        atoms = slice(int(end - arrays["atoms"][k]), int(end))
        pbc = arrays["pbc"][k].astype(bool)
        stated = zip(inputs, arrays["inputs"][k].tolist(), strict=True)
        frames.append(
            Frame(
                Z=arrays["Z"][atoms],
                positions=arrays["positions"][atoms],
                cell=arrays["cell"][k],
                pbc=pbc,
                theory=theory,
                charge=int(arrays["charge"][k]),
                spin=int(arrays["spin"][k]),
                energy=float(arrays["energy"][k]),
                forces=arrays["forces"][atoms],
                stress=arrays["stress"][k] if pbc.all() else None,
                group=texts[arrays["group"][k]],
                domain=texts[arrays["domain"][k]],
                weights=Weights(*arrays["weights"][k].tolist()),
                file=file,
                index=k,
                inputs={name: value for name, value in stated if not np.isnan(value)},
            )
        )
    return tuple(frames)
