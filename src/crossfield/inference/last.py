"""The last readout of a frozen model: a few numbers per atom, in arrays of numpy or tensors of torch."""

from __future__ import annotations

from types import ModuleType
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossfield.inference.freeze import LastReadout
from crossfield.kernels.formulas.gate import SILU_SCALE
from crossfield.model.activation import ABS_SCALE, TANH_SCALE

Array = TypeVar("Array", NDArray[np.floating], Tensor)


class ReadOut(NamedTuple, Generic[Array]):
    """Energies (N,) of atoms, and their derivatives by the hidden scalars (N, width)."""

    energy: Array
    gradient: Array


class Readout(Generic[Array]):
    """From the hidden scalars of the last readout, before the non-linearity, to energies.

    Args:
        frozen: the readout.
        arrays: numpy or torch.
        weights, biases: its own, as arrays of the kind and precision of the hidden scalars.
    """

    def __init__(
        self, frozen: LastReadout, arrays: ModuleType, weights: list[Array], biases: list[Array]
    ) -> None:
        self.activation, self.xp = frozen.activation, arrays
        self.weights: list[Array] = weights
        self.biases: list[Array] = biases

    @classmethod
    def of_numpy(cls, frozen: LastReadout, dtype: torch.dtype) -> Readout[NDArray[np.floating]]:
        """For arrays of numpy."""
        weights = [w.to(dtype).numpy() for w in frozen.weights]
        return Readout(frozen, np, weights, [b.to(dtype).numpy() for b in frozen.biases])

    @classmethod
    def of_torch(cls, frozen: LastReadout, dtype: torch.dtype, device: torch.device) -> Readout[Tensor]:
        """For tensors."""
        weights = [w.to(device, dtype) for w in frozen.weights]
        return Readout(frozen, torch, weights, [b.to(device, dtype) for b in frozen.biases])

    def __call__(self, hidden: Array) -> ReadOut[Array]:
        """Of hidden scalars (N, width)."""
        x, slopes = hidden, []
        for w, b in zip(self.weights, self.biases, strict=True):
            y, slope = self._activated(x)
            slopes.append(slope)
            x = y @ w + b
        g = self.xp.ones_like(x)
        for w, slope in zip(reversed(self.weights), reversed(slopes), strict=True):
            g = (g @ w.T) * slope
        return ReadOut(x[:, 0] if self.weights else x.sum(1), g)

    def _activated(self, x: Array) -> tuple[Array, Array]:
        """Values and derivatives."""
        xp = self.xp
        if self.activation == "silu":
            s = 0.5 * (xp.tanh(0.5 * x) + 1.0)
            return SILU_SCALE * x * s, SILU_SCALE * s * (1.0 + x * (1.0 - s))
        if self.activation == "tanh":
            y = xp.tanh(x)
            return TANH_SCALE * y, TANH_SCALE * (1.0 - y * y)
        if self.activation == "abs":
            return ABS_SCALE * xp.abs(x), ABS_SCALE * xp.sign(x)
        return x, xp.ones_like(x)
