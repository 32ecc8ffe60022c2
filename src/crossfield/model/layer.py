"""What all interactions of a model have in common: the shape of a layer, and the edges it works on."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from crossfield.algebra import Irreps, Path, coupling_paths
from crossfield.kernels import Connectivity
from crossfield.model.config import ModelConfig


class EdgeGeometry(NamedTuple):
    """What the layers need to know about the edges."""

    connectivity: Connectivity  # who sends to whom
    element_sender: Tensor  # (E,) element index
    element_receiver: Tensor  # (E,) element index
    Y: list[Tensor]  # per l (E, 2l+1) spherical harmonics
    basis: Tensor  # (E, n) radial basis
    cutoff: Tensor | None  # (E, 1) factor on radial weights and density; None: it is in the basis already


class LayerShape(NamedTuple):
    """Irreps of one layer, and the paths of its convolution."""

    hidden_in: Irreps  # features that come in; scalars in the first layer
    hidden_out: Irreps  # features that go out
    edge: Irreps  # what travels along an edge
    product: Irreps  # what enters the product basis
    message: Irreps  # what the convolution puts out, paths side by side
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, config: ModelConfig, layer: int) -> LayerShape:
        """Shape of a layer, counted from 0."""
        L_in = 0 if layer == 0 else config.max_L
        channels = config.edge_channels_of(layer)
        paths = coupling_paths(L_in, config.l_max, config.l_max)
        return cls(
            hidden_in=Irreps.uniform(config.channels, L_in),
            hidden_out=Irreps.uniform(config.channels, config.hidden_L(layer)),
            edge=Irreps.uniform(channels, L_in),
            product=Irreps.uniform(config.channels, config.l_max),
            message=Irreps(tuple(sum(p.l3 == l for p in paths) * channels for l in range(config.l_max + 1))),
            paths=paths,
        )

    @property
    def radial_weights(self) -> int:
        """Numbers per edge that the radial network gives: one per path and channel."""
        return len(self.paths) * self.edge.channels[0]
