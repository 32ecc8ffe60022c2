"""The last readout of a frozen model: a few numbers per atom, so numpy does it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossfield.inference.freeze import LastReadout
from crossfield.kernels.formulas.gate import SILU_SCALE
from crossfield.model.activation import ABS_SCALE, TANH_SCALE

Array = NDArray[np.floating[Any]]


class ReadOut(NamedTuple):
    """Energies (N,) of atoms, and their derivatives by the hidden scalars (N, width)."""

    energy: Array
    gradient: Array


def read_out(readout: LastReadout, hidden: Array) -> ReadOut:
    """From the hidden scalars (N, width) of the last readout, before the non-linearity, to energies."""
    x = hidden
    slopes = []
    for w, b in zip(readout.weights, readout.biases, strict=True):
        y, slope = _activated(x, readout.activation)
        slopes.append(slope)
        x = y @ w.numpy().astype(x.dtype) + b.numpy().astype(x.dtype)
    g = np.ones_like(x)
    for w, slope in zip(reversed(readout.weights), reversed(slopes), strict=True):
        g = (g @ w.numpy().astype(x.dtype).T) * slope
    return ReadOut(x[:, 0] if readout.weights else x.sum(axis=1), g)


def _activated(x: Array, name: str) -> tuple[Array, Array]:
    """Values and derivatives."""
    if name == "silu":
        with np.errstate(over="ignore"):  # exp of a large number is infinite, and its inverse zero
            s = 1.0 / (1.0 + np.exp(-x))
        return SILU_SCALE * x * s, SILU_SCALE * s * (1.0 + x * (1.0 - s))
    if name == "tanh":
        y = np.tanh(x)
        return TANH_SCALE * y, TANH_SCALE * (1.0 - y * y)
    if name == "abs":
        return ABS_SCALE * np.abs(x), ABS_SCALE * np.sign(x)
    return x, np.ones_like(x)
