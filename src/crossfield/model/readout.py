"""Readouts: from features to one energy per atom, for the head that was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from crossfield.model.activation import ACTIVATIONS
from crossfield.model.config import ModelConfig
from crossfield.model.initial import normal

# Random readouts of full size start with errors of several eV per atom, and the first thing learnt is to
# ignore the geometry. Small ones start near E0.
INITIAL_SIZE = 0.1


class OfHeads(NamedTuple):
    """How a parameter of a readout is divided among the heads."""

    axes: tuple[int, ...]  # these run over heads, and within a head over its width; two: see `_own`
    scaled: bool = False  # the number of heads is in its scale
    last: bool = False  # of the last map: where it is zero, the head reads out nothing


class LinearReadout(nn.Module):
    """Linear on the scalars, one output per head."""

    of_heads: ClassVar[Mapping[str, OfHeads]] = {"weight": OfHeads((1,), last=True)}

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.weight = nn.Parameter(normal(channels, heads, size=INITIAL_SIZE))

    def matrix(self) -> Tensor:
        """(C, heads), scaled."""
        return self.weight * self.weight.shape[0] ** -0.5

    def forward(self, scalars: Tensor, head: Tensor) -> Tensor:
        """Scalars (N, C) and head index (N,) to (N,)."""
        return _times(scalars, self.matrix().chunk(self.heads, dim=1), head).squeeze(1)


class NonLinearReadout(nn.Module):
    """Linear to `width` scalars per head, non-linearity, only those of the active head, Linear to one a head.

    Blocks of `weight_2` from one head to another never count; they are part of the published model's size.

    Args:
        channels: number of scalars.
        width: of the hidden layer, per head.
        heads: number of heads.
        activation: name of the non-linearity.
        scaled_for: the number of heads in the scale of `weight_2`.
    """

    of_heads: ClassVar[Mapping[str, OfHeads]] = {
        "weight_1": OfHeads((1,)),
        "weight_2": OfHeads((0, 1), scaled=True, last=True),
    }

    def __init__(self, channels: int, width: int, heads: int, activation: str, scaled_for: int) -> None:
        super().__init__()
        self.width, self.heads, self.activation = width, heads, ACTIVATIONS[activation]
        self.scaled_for = scaled_for
        self.weight_1 = nn.Parameter(normal(channels, heads * width))
        self.weight_2 = nn.Parameter(normal(heads * width, heads, size=INITIAL_SIZE))

    def matrices(self) -> list[Tensor]:
        """(C, heads * width) and (heads * width, heads), scaled."""
        scale = (self.scaled_for * self.width) ** -0.5
        return [self.weight_1 * self.weight_1.shape[0] ** -0.5, self.weight_2 * scale]

    def forward(self, scalars: Tensor, head: Tensor) -> Tensor:
        """Scalars (N, C) and head index (N,) to (N,)."""
        first, second = self.matrices()
        hidden = self.activation(_times(scalars, first.chunk(self.heads, dim=1), head))
        return _times(hidden, _own(second, self.heads), head).squeeze(1)


class BiasReadout(nn.Module):
    """As `NonLinearReadout`, with a second hidden layer, and with biases in all but the first Linear.

    Args:
        channels: number of scalars.
        width: of each hidden layer, per head.
        heads: number of heads.
        activation: name of the non-linearity.
        scaled_for: the number of heads in the scale of `weight_2` and `weight_3`.
    """

    of_heads: ClassVar[Mapping[str, OfHeads]] = {
        "weight_1": OfHeads((1,)),
        "weight_2": OfHeads((0, 1), scaled=True),
        "bias_2": OfHeads((0,)),
        "weight_3": OfHeads((0, 1), scaled=True, last=True),
        "bias_3": OfHeads((0,), last=True),
    }

    def __init__(self, channels: int, width: int, heads: int, activation: str, scaled_for: int) -> None:
        super().__init__()
        self.width, self.heads, self.activation = width, heads, ACTIVATIONS[activation]
        self.scaled_for = scaled_for
        hidden = heads * width
        self.weight_1 = nn.Parameter(normal(channels, hidden))
        self.weight_2 = nn.Parameter(normal(hidden, hidden))
        self.bias_2 = nn.Parameter(torch.zeros(hidden))
        self.weight_3 = nn.Parameter(normal(hidden, heads, size=INITIAL_SIZE))
        self.bias_3 = nn.Parameter(torch.zeros(heads))

    def matrices(self) -> list[Tensor]:
        """(C, heads * width), (heads * width, heads * width) and (heads * width, heads), scaled."""
        scale = (self.scaled_for * self.width) ** -0.5
        first = self.weight_1 * self.weight_1.shape[0] ** -0.5
        return [first, self.weight_2 * scale, self.weight_3 * scale]

    def forward(self, scalars: Tensor, head: Tensor) -> Tensor:
        """Scalars (N, C) and head index (N,) to (N,)."""
        first, second, third = self.matrices()
        hidden = self.activation(_times(scalars, first.chunk(self.heads, dim=1), head))
        bias = self.bias_2.unflatten(0, (self.heads, -1))[head]
        hidden = self.activation(_times(hidden, _own(second, self.heads), head) + bias)
        return _times(hidden, _own(third, self.heads), head).squeeze(1) + self.bias_3[head]


def _own(weight: Tensor, heads: int) -> list[Tensor]:
    """The blocks on the diagonal of a matrix whose rows and columns run over heads: each head's own."""
    return [rows.chunk(heads, dim=1)[i] for i, rows in enumerate(weight.chunk(heads, dim=0))]


def _times(x: Tensor, matrices: Sequence[Tensor], head: Tensor) -> Tensor:
    """Rows x (N, C) times the matrix (C, K) of their head (N,): (N, K).

    Every head has a product of its own, from a copy of its own: how it is rounded must not depend on which
    other heads there are, nor on where their weights lie.
    """
    products = torch.stack([x @ w.contiguous() for w in matrices])  # (heads, N, K)
    return products.gather(0, head.view(1, -1, 1).expand(1, *products.shape[1:])).squeeze(0)


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
    return kind(
        config.channels,
        config.readout_width,
        heads,
        config.readout_activation,
        config.head_scale(heads),
    )
