"""The kinds of interaction, by name."""

from __future__ import annotations

from torch import nn

from crossfield.model.config import ModelConfig
from crossfield.model.element_interaction import (
    NeighbourDensity,
    NeighbourNumber,
    PlainInteraction,
    ResidualInteraction,
)
from crossfield.model.interaction import NonlinearInteraction


def interaction_of(config: ModelConfig, layer: int) -> nn.Module:
    """The interaction of a layer: features, element indices and edges to (A, skip or None)."""
    kind = config.blocks[layer]
    if kind == "nonlinear":
        return NonlinearInteraction(config, layer)
    divisor: nn.Module
    if kind in ("density", "density_residual"):
        divisor = NeighbourDensity(config.radial_basis)
    else:
        assert config.average_neighbours is not None  # the configuration sees to it
        divisor = NeighbourNumber(config.average_neighbours)
    block = ResidualInteraction if kind in ("residual", "density_residual") else PlainInteraction
    return block(config, layer, divisor)
