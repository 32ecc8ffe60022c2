"""Weights before anything is learnt."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def normal(*shape: int, size: float = 1.0) -> Tensor:
    """Numbers from a normal distribution of width `size`; none in a model without memory (`Model.skeleton`).

    There, torch would first load modules for a second to draw no numbers.
    """
    numbers = torch.empty(shape)
    return numbers if numbers.is_meta else numbers.normal_(std=size)


def normal_couplings(rows: int, sizes: Sequence[int], channels: int) -> Tensor:
    """Weights (rows, sum of sizes, channels) of couplings; in each degree of width 1 / their number."""
    weights = torch.empty(rows, sum(sizes), channels)
    for part, size in zip(weights.split(list(sizes), dim=1), sizes, strict=True):
        if size and not part.is_meta:
            part.copy_(normal(rows, size, channels, size=1 / size))
    return weights
