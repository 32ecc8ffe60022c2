"""The file of predictions that a run leaves beside its weights.

It is a file of `crossfield.zoo.container`: a document with `heads`, `texts`, `frames` (how many there were,
by split and head) and `seed`, and tensors of F frames with N atoms in all:

    split, head (F,)     which of train, validation, test; of `heads`    E0 (F,)             eV
    group, file (F,)     which of `texts`                                energy (F, 2)       eV
    index (F,)           frame number in that file                       forces (N, 3, 2)    eV/Å
    own_answers (F,)     0 or 1                                          stress (F, 3, 3, 2) eV/Å^3
    atoms (F,), Z (N,)   number of atoms, and their elements

The last axis is label, prediction; both are NaN where there is no label. Forces are in float32, which has
more digits than any label. The same predictions are the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossfield.errors import InputError
from crossfield.replay import artefact
from crossfield.train.head_data import SPLITS
from crossfield.train.predictions import Compared, Predictions
from crossfield.zoo import container
from crossfield.zoo.container import Kind

KIND = Kind("crossfield_predictions", "a file of predictions", version=1)
_LAYOUT: Mapping[str, tuple[tuple[object, ...], torch.dtype]] = {  # shape in the letters above, and type
    **dict.fromkeys(("split", "head", "group", "file", "index", "atoms"), (("F",), torch.int64)),
    "own_answers": (("F",), torch.uint8),
    "Z": (("N",), torch.int64),
    "E0": (("F",), torch.float64),
    "energy": (("F", 2), torch.float64),
    "forces": (("N", 3, 2), torch.float32),
    "stress": (("F", 3, 3, 2), torch.float64),
}
Arrays = dict[str, NDArray[Any]]


def save_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions, atomically.

    Args:
        path: file to write; its folder must exist.
        predictions: of a model.
    """
    p = predictions
    texts = sorted({*p.group, *p.file})
    place = {text: k for k, text in enumerate(texts)}
    arrays: Arrays = {
        "split": p.split,
        "head": p.head,
        "group": np.array([place[text] for text in p.group], dtype=np.int64),
        "file": np.array([place[text] for text in p.file], dtype=np.int64),
        "index": p.index,
        "own_answers": p.own_answers.astype(np.uint8),
        "atoms": p.atoms,
        "Z": p.Z,
        "E0": p.E0,
        "energy": np.stack(p.energy, axis=-1),
        "forces": np.stack(p.forces, axis=-1).astype(np.float32),
        "stress": np.stack(p.stress, axis=-1),
    }
    document = {"heads": p.heads, "texts": texts, "frames": p.frames, "seed": p.seed}
    artefact.write(path, KIND, {name: torch.from_numpy(array) for name, array in arrays.items()}, document)


def load_predictions(path: Path) -> Predictions:
    """Read predictions, and check all that is in the file.

    Raises:
        InputError: no such file, of another kind, damaged, or with values that cannot be.
    """
    document, tensors = container.read(path, KIND)
    try:
        heads, texts = _names(document["heads"]), _names(document["texts"])
        arrays = _checked(tensors, len(heads), len(texts))
        found = Predictions(
            heads=heads,
            split=arrays["split"],
            head=arrays["head"],
            group=tuple(texts[k] for k in arrays["group"]),
            file=tuple(texts[k] for k in arrays["file"]),
            index=arrays["index"],
            own_answers=arrays["own_answers"].astype(bool),
            atoms=arrays["atoms"],
            Z=arrays["Z"],
            E0=arrays["E0"],
            **{name: _pair(name, arrays[name]) for name in ("energy", "forces", "stress")},
            frames=_counts(document["frames"], heads),
            seed=int(document["seed"]),
        )
        if any(found.left_out(split, head) < 0 for split in SPLITS for head in heads):
            raise InputError("there are more frames than there were")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the predictions are damaged ({error}); delete the file", file=path) from error
    return found


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise TypeError("a list of names is none")
    if len(set(value)) != len(value):
        raise ValueError("a name is there twice")
    return tuple(value)


def _counts(value: object, heads: tuple[str, ...]) -> Mapping[str, Mapping[str, int]]:
    if not isinstance(value, dict) or not set(value) <= set(SPLITS):
        raise TypeError("frames are not those of splits")
    for counts in value.values():
        if not isinstance(counts, dict) or not set(counts) <= set(heads):
            raise TypeError("frames are not those of heads")
        if not all(type(count) is int and count >= 0 for count in counts.values()):
            raise TypeError("a number of frames is none")
    return value


def _checked(tensors: Mapping[str, Tensor], heads: int, texts: int) -> Arrays:
    """Arrays of the right types and shapes, with values that can be.

    Raises:
        InputError: naming the tensor that is not so.
    """
    if apart := set(tensors) ^ set(_LAYOUT):
        raise InputError(f"tensors are missing or left over: {', '.join(sorted(apart))}")
    sizes = {"F": tensors["atoms"].numel(), "N": tensors["Z"].numel()}
    for name, (letters, kind) in _LAYOUT.items():
        shape = tuple(sizes.get(str(letter), letter) for letter in letters)
        if tensors[name].shape != shape or tensors[name].dtype != kind:
            found = f"{tensors[name].dtype} {tuple(tensors[name].shape)}"
            raise InputError(f"{name} is {found}, expected {kind} {shape}")
    arrays: Arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    ranges = {
        "split": (0, len(SPLITS)),
        "head": (0, heads),
        "group": (0, texts),
        "file": (0, texts),
        "index": (0, np.iinfo(np.int64).max),
        "own_answers": (0, 2),
        "atoms": (1, sizes["N"] + 1),
        "Z": (1, 119),
    }
    for name, (low, high) in ranges.items():
        if not ((arrays[name] >= low) & (arrays[name] < high)).all():
            raise InputError(f"{name} has values that cannot be")
    if arrays["atoms"].sum() != sizes["N"]:
        raise InputError("atoms do not add up to all atoms")
    if not np.isfinite(arrays["E0"]).all():
        raise InputError("E0 has values that are not finite")
    return arrays


def _pair(name: str, array: NDArray[Any]) -> Compared:
    reference, predicted = (array[..., k].astype(np.float64) for k in (0, 1))
    if np.isinf(reference).any():
        raise InputError(f"{name} has labels that are not finite")
    if (np.isnan(reference) & ~np.isnan(predicted)).any():
        raise InputError(f"{name} has predictions without a label")
    return Compared(reference, predicted)
