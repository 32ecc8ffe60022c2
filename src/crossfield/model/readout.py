"""Readouts: from features to one energy per atom, for the head that was asked."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossfield.model.activation import ACTIVATIONS
from crossfield.model.config import ModelConfig
from crossfield.model.initial import normal

# Random readouts of full size start with errors of several eV per atom, and the first thing learnt is to
# ignore the geometry. Small ones start near E0.
INITIAL_SIZE = 0.1


class LinearReadout(nn.Module):
    """Linear on the scalars, one output per head."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal(channels, heads, size=INITIAL_SIZE))

    def forward(self, scalars: Tensor, head: Tensor) -> Tensor:
        """Scalars (N, C) and head index (N,) to (N,)."""
        energies = scalars @ (self.weight * self.weight.shape[0] ** -0.5)
        return energies.gather(1, head.unsqueeze(1)).squeeze(1)


class NonLinearReadout(nn.Module):
    """Linear to `width` scalars per head, non-linearity, only those of the active head, Linear to one a head.

    Blocks of `weight_2` from one head to another never count; they are part of the published model's size.
    """

    def __init__(self, channels: int, width: int, heads: int, activation: str) -> None:
        super().__init__()
        self.width, self.heads, self.activation = width, heads, ACTIVATIONS[activation]
        self.weight_1 = nn.Parameter(normal(channels, heads * width))
        self.weight_2 = nn.Parameter(normal(heads * width, heads, size=INITIAL_SIZE))

    def forward(self, scalars: Tensor, head: Tensor) -> Tensor:
        """Scalars (N, C) and head index (N,) to (N,)."""
        hidden = self.activation(scalars @ (self.weight_1 * self.weight_1.shape[0] ** -0.5))
        hidden = _only(head, hidden, self.heads)
        energies = hidden @ (self.weight_2 * self.weight_2.shape[0] ** -0.5)
        return energies.gather(1, head.unsqueeze(1)).squeeze(1)


class BiasReadout(nn.Module):
    """As `NonLinearReadout`, with a second hidden layer, and with biases in all but the first Linear."""

    def __init__(self, channels: int, width: int, heads: int, activation: str) -> None:
        super().__init__()
        self.width, self.heads, self.activation = width, heads, ACTIVATIONS[activation]
        hidden = heads * width
        self.weight_1 = nn.Parameter(normal(channels, hidden))
        self.weight_2 = nn.Parameter(normal(hidden, hidden))
        self.bias_2 = nn.Parameter(torch.zeros(hidden))
        self.weight_3 = nn.Parameter(normal(hidden, heads, size=INITIAL_SIZE))
        self.bias_3 = nn.Parameter(torch.zeros(heads))

    def forward(self, scalars: Tensor, head: Tensor) -> Tensor:
        """Scalars (N, C) and head index (N,) to (N,)."""
        hidden = self.activation(scalars @ (self.weight_1 * self.weight_1.shape[0] ** -0.5))
        hidden = _only(head, hidden, self.heads)
        hidden = self.activation(hidden @ (self.weight_2 * self.weight_2.shape[0] ** -0.5) + self.bias_2)
        hidden = _only(head, hidden, self.heads)
        energies = hidden @ (self.weight_3 * self.weight_3.shape[0] ** -0.5) + self.bias_3
        return energies.gather(1, head.unsqueeze(1)).squeeze(1)


def _only(head: Tensor, hidden: Tensor, heads: int) -> Tensor:
    """Hidden scalars (N, heads * width), those of other heads than the atom's (N,) set to zero."""
    active = nn.functional.one_hot(head, heads).to(hidden.dtype)  # (N, heads)
    return (hidden.unflatten(1, (heads, -1)) * active.unsqueeze(-1)).flatten(1)


def readouts_of(config: ModelConfig, heads: int) -> nn.ModuleDict:
    """The readouts of a model by layer."""
    last = config.layers - 1
    return nn.ModuleDict(
        {
            str(i): _last_readout(config, heads) if i == last else LinearReadout(config.channels, heads)
            for i in range(config.layers)
            if i == last or not config.last_readout_only
        }
    )


def _last_readout(config: ModelConfig, heads: int) -> nn.Module:
    """Non-linear, unless there is only one layer."""
    if config.layers == 1:
        return LinearReadout(config.channels, heads)
    kind = BiasReadout if config.readout == "bias" else NonLinearReadout
    return kind(config.channels, config.readout_width, heads, config.readout_activation)
