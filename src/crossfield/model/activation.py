"""Activations scaled to unit second moment under a standard normal."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from crossfield.kernels.formulas.gate import SILU_SCALE

# As those of the gate: 1/sqrt(E[f(z)^2]), z ~ N(0, 1), by the same average over samples.
TANH_SCALE = 1.5937334472592695
ABS_SCALE = 1.001110600838467


def silu(x: Tensor) -> Tensor:
    """SiLU with unit second moment."""
    return torch.nn.functional.silu(x) * SILU_SCALE


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent with unit second moment."""
    return torch.tanh(x) * TANH_SCALE


def absolute(x: Tensor) -> Tensor:
    """Absolute value with unit second moment."""
    return torch.abs(x) * ABS_SCALE


def identity(x: Tensor) -> Tensor:
    """The argument itself."""
    return x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": silu,
    "tanh": tanh,
    "abs": absolute,
    "none": identity,
}
