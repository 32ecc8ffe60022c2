"""What the files of the oracle need."""

from __future__ import annotations

from pathlib import Path

from e3nn import o3
from torch import Tensor, nn

Tensors = dict[str, Tensor]
RESULTS = Path(__file__).parents[1] / ".oracle"


def state_of(module: nn.Module) -> Tensors:
    """All parameters and buffers."""
    return {f"state/{name}": value for name, value in module.state_dict().items()}


def count(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in module.parameters())


def irreps(channels: int, l_max: int) -> o3.Irreps:
    """The same number of channels for every l, natural parity."""
    return o3.Irreps([(channels, (l, (-1) ** l)) for l in range(l_max + 1)])
