"""Digests of what labels follow from: they change when it does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from crossfield.data.frame import Frame, Weights

SHORT = 12  # digits of a digest in a message


def structure_digest(frame: Frame) -> str:
    """SHA-256 of a structure as a model sees it: atoms, cell, charge, spin and further inputs, no labels."""
    stated = [frame.num_atoms, int(frame.charge), int(frame.spin), sorted(frame.inputs.items())]
    digest = hashlib.sha256(json.dumps(stated).encode())
    arrays = ((frame.Z, "<i8"), (frame.positions, "<f8"), (frame.cell, "<f8"), (frame.pbc, "u1"))
    for array, dtype in arrays:
        digest.update(np.ascontiguousarray(array, dtype=dtype).data)
    return digest.hexdigest()


def structures_digest(frames: Sequence[Frame]) -> str:
    """SHA-256 of structures in their order, with the groups and domains that travel with them."""
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(json.dumps([structure_digest(frame), frame.group, frame.domain]).encode())
    return digest.hexdigest()


def weights_digest(weights: Sequence[Weights]) -> str:
    """SHA-256 of the weights of frames in their order."""
    return hashlib.sha256(json.dumps([astuple(w) for w in weights]).encode()).hexdigest()


class Fingerprint(BaseModel):
    """What a file of pseudo-labels was made from; two that are equal stand for the same labels.

    Attributes:
        model: `crossfield.model.fingerprint` of the model that gave the labels.
        head: name of the head that gave them.
        theory: name of its level of theory.
        structures: number of structures.
        data: `structures_digest` of the structures.
        weights: `weights_digest` of the weights that travel with the labels.
        dtype: "float32" or "float64", in which the labels were computed.
        radial: "exact": radial functions were evaluated, not taken from tables.
        version: of Crossfield.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    head: str
    theory: str
    structures: int = Field(gt=0)
    data: str
    weights: str
    dtype: str
    radial: str = "exact"
    version: str

    def changes(self, now: Fingerprint) -> list[str]:
        """What is different now, in words; empty: nothing."""
        found = []
        for name in type(self).model_fields:
            before, after = getattr(self, name), getattr(now, name)
            if before == after or (name in ("data", "weights") and self.structures != now.structures):
                continue  # another number of structures says it already
            found.append(f"{_WORDS[name]} ({_short(name, before)} then, {_short(name, after)} now)")
        return found


_DIGESTS = ("model", "data", "weights")
_WORDS = {
    "model": "the model",
    "head": "the head",
    "theory": "the theory of the head",
    "structures": "the number of structures",
    "data": "the structures",
    "weights": "the weights",
    "dtype": "the precision",
    "radial": "the radial functions",
    "version": "the version of crossfield",
}


def _short(name: str, value: object) -> str:
    return str(value)[:SHORT] if name in _DIGESTS else str(value)
