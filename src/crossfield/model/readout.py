"""Readouts: from features to one energy per atom, for the head that was asked."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossfield.model.activation import silu

# Random readouts of full size start with errors of several eV per atom, and the first thing learnt is to
# ignore the geometry. Small ones start near E0.
INITIAL_SIZE = 0.1


class LinearReadout(nn.Module):
    """Linear on the scalars, one output per head."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(INITIAL_SIZE * torch.randn(channels, heads))

    def forward(self, scalars: Tensor, head: Tensor) -> Tensor:
        """Scalars (N, C) and head index (N,) to (N,)."""
        energies = scalars @ (self.weight * self.weight.shape[0] ** -0.5)
        return energies.gather(1, head.unsqueeze(1)).squeeze(1)


class NonLinearReadout(nn.Module):
    """Linear to `width` scalars per head, SiLU, only those of the active head, Linear to one per head.

    Blocks of `weight_2` from one head to another never count; they are part of the published model's size.
    """

    def __init__(self, channels: int, width: int, heads: int) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.weight_1 = nn.Parameter(torch.randn(channels, heads * width))
        self.weight_2 = nn.Parameter(INITIAL_SIZE * torch.randn(heads * width, heads))

    def forward(self, scalars: Tensor, head: Tensor) -> Tensor:
        """Scalars (N, C) and head index (N,) to (N,)."""
        hidden = silu(scalars @ (self.weight_1 * self.weight_1.shape[0] ** -0.5))
        hidden = hidden.unflatten(1, (self.heads, self.width))
        active = nn.functional.one_hot(head, self.heads).to(hidden.dtype)  # (N, heads)
        hidden = (hidden * active.unsqueeze(-1)).flatten(1)
        energies = hidden @ (self.weight_2 * self.weight_2.shape[0] ** -0.5)
        return energies.gather(1, head.unsqueeze(1)).squeeze(1)
