"""Activations scaled to unit second moment under a standard normal."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# 1/sqrt(E[f(z)^2]), z ~ N(0, 1). The model family fixed these by a Monte Carlo average over 10^6 samples, so
# they differ from the exact integrals in the fourth digit; weights were trained with them.
SILU_SCALE = 1.6791767923989418
SIGMOID_SCALE = 1.8467055342154763
TANH_SCALE = 1.5937334472592695
ABS_SCALE = 1.001110600838467


def silu(x: Tensor) -> Tensor:
    """SiLU with unit second moment."""
    return torch.nn.functional.silu(x) * SILU_SCALE


def sigmoid(x: Tensor) -> Tensor:
    """Logistic function with unit second moment."""
    return torch.sigmoid(x) * SIGMOID_SCALE


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


def gate(x: list[Tensor], channels: int) -> list[Tensor]:
    """Scalars pass SiLU, every other l is multiplied by a sigmoid of its own scalars.

    Args:
        x: per l (N, 2l+1, C); the first holds `channels` scalars and then C gates for each l > 0.
        channels: C.

    Returns:
        Per l (N, 2l+1, C).
    """
    scalars, *gates = x[0].split(channels, dim=-1)  # (N, 1, C) each
    return [silu(scalars)] + [x_l * sigmoid(g) for x_l, g in zip(x[1:], gates, strict=True)]
