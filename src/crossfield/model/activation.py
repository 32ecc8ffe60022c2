"""Activations scaled to unit second moment under a standard normal."""

from __future__ import annotations

import torch
from torch import Tensor

# 1/sqrt(E[f(z)^2]), z ~ N(0, 1). The model family fixed these by a Monte Carlo average over 10^6 samples, so
# they differ from the exact integrals in the fourth digit; weights were trained with them.
SILU_SCALE = 1.6791767923989418
SIGMOID_SCALE = 1.8467055342154763


def silu(x: Tensor) -> Tensor:
    """SiLU with unit second moment."""
    return torch.nn.functional.silu(x) * SILU_SCALE


def sigmoid(x: Tensor) -> Tensor:
    """Logistic function with unit second moment."""
    return torch.sigmoid(x) * SIGMOID_SCALE


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
