"""A model made ready for evaluation: weights for one head, merged where maps are linear and adjacent.

With B_t the product of layer t, LB its linear map and h_t the features, the family has

    h_t = LB B_t + skip_t(h_(t-1))

and all that reads h_t is linear: `up` and `skip` of the next layer, the readout, and the first map of the
last readout. So h_t is never formed. A layer hands on

    u      = up h_t                          what travels along the edges of the next layer
    carry  = [ skip h_t | energy so far ]    what goes past the next layer

(behind the last skip comes the first map of the last readout),

each a matrix times B_t plus a matrix times the carry of the layer before. What the first layer starts with is
a constant of the kind of atom.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from crossfield.algebra import Path
from crossfield.graph import Graph
from crossfield.kernels.backend import use
from crossfield.model import Model
from crossfield.model.element_interaction import (
    Messages,
    NeighbourDensity,
    NeighbourNumber,
    PlainInteraction,
    ResidualInteraction,
)
from crossfield.model.interaction import NonlinearInteraction
from crossfield.model.layer import EdgeGeometry, LayerShape
from crossfield.model.product import ProductBasis
from crossfield.model.readout import BiasReadout, LinearReadout, NonLinearReadout

Matrices = list[Tensor]  # per l (1 or elements, inputs, outputs), float64


@dataclass(frozen=True)
class FrozenLayer:
    """One layer; numbers are float64."""

    paths: tuple[Path, ...]
    edge_channels: int
    L_out: int
    correlation: int
    radial: Callable[[EdgeGeometry], tuple[Tensor, Tensor | None]]  # weights and density of edges
    divisor: tuple[float, float] | None  # (alpha, beta): messages are divided by alpha + beta rho
    mix: Matrices  # messages to what enters the gate, or the product where there is no gate
    res: Matrices  # features that travel, to what enters the gate
    second: Matrices  # behind the gate; empty: there is none
    product: Tensor  # (1 or elements, couplings, channels)
    up: Matrices  # B to the next layer's u
    carry: Matrices  # B to what is handed on
    carry_up: Matrices  # what was handed on, to the next layer's u
    carry_on: Matrices  # and to what is handed on again


class Kinds(NamedTuple):
    """What atoms start with, by kind: an element, or an element of a structure whose inputs count."""

    u: Tensor  # (kinds, edge channels) what travels along the edges of the first layer
    res: Tensor | None  # (kinds, columns) joins the scalars of the first layer's gate
    u_next: Tensor | None  # (kinds, edge channels) joins the scalars of the second layer's u
    carry: Tensor  # (kinds, columns) handed past the first layer
    offset: Tensor  # (kinds,) eV; energy outside the scale

    def to(self, device: torch.device) -> Kinds:
        """The same on a device."""
        res, u_next = (None if x is None else x.to(device) for x in (self.res, self.u_next))
        return Kinds(self.u.to(device), res, u_next, self.carry.to(device), self.offset.to(device))


@dataclass(frozen=True)
class LastReadout:
    """From the hidden scalars of the last readout to an energy."""

    activation: str  # "none" for a linear readout
    weights: list[Tensor]  # (inputs, outputs) each
    biases: list[Tensor]  # (outputs,) each


class Frozen:
    """A model for one head and some of its elements.

    Args:
        model: the model; it is not changed.
        head: index of the head.
        elements: indices of the elements, among those of the model.
    """

    def __init__(self, model: Model, head: int, elements: Sequence[int]) -> None:
        self.config = model.config
        self.model = copy.deepcopy(model).double().cpu().requires_grad_(False)
        use(self.model, "reference")  # which has forward derivatives
        self.head = head
        self.elements = torch.tensor(elements, dtype=torch.int64)
        self.scale = float(model.scale[head])
        self.first_map, self.readout = _last_readout(self.model, head)
        self.layers = [self._layer(t) for t in range(model.config.layers)]

    @property
    def kinds_vary(self) -> bool:
        """Whether atoms of one element differ between structures from the start."""
        return self.model.inputs is not None

    def kinds(self, graph: Graph) -> Kinds:
        """What atoms start with, element by element, and where `kinds_vary` structure by structure."""
        model, z = self.model, self.elements
        h = model.embedding.table().index_select(0, z)
        if model.inputs is not None:
            added = model.inputs(model.inputs_of(graph))  # (S, C)
            h, z = (added.unsqueeze(1) + h).flatten(0, 1), z.repeat(len(added))
        head = torch.full((len(h),), self.head)
        offset = (
            model.embedding_readout(h, head) if model.embedding_readout is not None else h.new_zeros(len(h))
        )
        interaction = model.interactions[0]
        u = _up(interaction)[0]
        skip = _skip(interaction)
        s = h.new_zeros(h.shape) if skip is None else _apply(skip[0], h, z)
        res = (
            h @ u @ interaction.linear_res.matrices()[0]
            if isinstance(interaction, NonlinearInteraction)
            else None
        )
        if self.config.layers == 1:
            return Kinds(h @ u, res, None, _joined(s @ self.first_map, h.new_zeros(len(h), 1)), offset)
        u_next = s @ _up(model.interactions[1])[0]
        local = torch.arange(len(self.elements)).repeat(len(h) // len(self.elements))
        carry = _joined(_apply(self._skip_of(1)[0], s, local), s @ self._readout(0))
        return Kinds(h @ u, res, u_next, carry, offset)

    def _layer(self, t: int) -> FrozenLayer:
        config, interaction, product = self.config, self.model.interactions[t], self.model.products[t]
        assert isinstance(product, ProductBasis)
        shape = LayerShape.of(config, t)
        linear = product.linear.matrices()
        up, carry, carry_up, carry_on = self._handed_on(t, linear)
        mix, divisor = _mix(interaction, self.elements)
        res, second = [], []
        if isinstance(interaction, NonlinearInteraction):
            res = [w[None] for w in interaction.linear_res.matrices()]
            second = [w[None] for w in interaction.linear_2.matrices()]
        couplings = torch.cat(list(product.weights), dim=1)
        return FrozenLayer(
            paths=shape.paths,
            edge_channels=shape.edge.channels[0],
            L_out=config.hidden_L(t),
            correlation=config.correlations[t],
            radial=_radial(interaction),
            divisor=divisor,
            mix=mix,
            res=res,
            second=second,
            product=couplings[self.elements] if config.product_per_element else couplings,
            up=up,
            carry=carry,
            carry_up=carry_up,
            carry_on=carry_on,
        )

    def _handed_on(self, t: int, linear: list[Tensor]) -> tuple[Matrices, Matrices, Matrices, Matrices]:
        """Matrices to u and carry, from the product of layer t and from the carry before it."""
        if t == self.config.layers - 1:
            y = _joined(self.first_map, self.first_map.new_zeros(len(self.first_map), 1))
            return [], [(linear[0] @ y)[None]], [], [torch.eye(y.shape[1], dtype=y.dtype)[None]]
        up = _up(self.model.interactions[t + 1])
        skip, energy = self._skip_of(t + 1), self._readout(t)
        on = [torch.cat([skip[0], energy.expand(len(skip[0]), -1, -1)], dim=2), *skip[1:]]
        past = torch.zeros(len(on[0]), 1, on[0].shape[2], dtype=energy.dtype)
        past[:, :, -1] = 1.0  # the energy so far
        return (
            [(a @ b)[None] for a, b in zip(linear, up, strict=True)],
            [a @ b for a, b in zip(linear, on, strict=False)],
            [torch.cat([up[0], up[0].new_zeros(1, up[0].shape[1])])[None], *(b[None] for b in up[1:])],
            [torch.cat([on[0], past], dim=1), *on[1:]],
        )

    def _skip_of(self, t: int) -> Matrices:
        """The map past layer t, and on to the hidden scalars of the last readout behind the last layer."""
        skip = _skip(self.model.interactions[t])
        last = t == self.config.layers - 1
        if skip is None:
            C = self.config.channels
            out = [self.first_map.shape[1]] if last else [C] * (self.config.hidden_L(t) + 1)
            return [torch.zeros(1, C, n, dtype=torch.float64) for n in out]
        chosen = [w[self.elements] if len(w) > 1 else w for w in skip]
        return [chosen[0] @ self.first_map] if last else chosen[: self.config.hidden_L(t) + 1]

    def _readout(self, t: int) -> Tensor:
        """(channels, 1) the map to the energy that is read out behind layer t, which is not the last one."""
        if str(t) not in self.model.readouts:
            return torch.zeros(self.config.channels, 1, dtype=torch.float64)
        return _linear_readout(self.model.readouts[str(t)], self.head)


def _up(interaction: nn.Module) -> list[Tensor]:
    """Per l (channels, edge channels)."""
    if isinstance(interaction, NonlinearInteraction):
        return interaction.linear_up.matrices()
    return _messages(interaction).linear_up.matrices()


def _messages(interaction: nn.Module) -> Messages:
    assert isinstance(interaction, PlainInteraction | ResidualInteraction)
    return interaction.messages


def _skip(interaction: nn.Module) -> Matrices | None:
    """Per l (1 or elements of the model, channels, channels)."""
    if isinstance(interaction, NonlinearInteraction):
        return [w[None] for w in interaction.linear_skip.matrices()]
    return interaction.skip.matrices() if isinstance(interaction, ResidualInteraction) else None


def _mix(interaction: nn.Module, elements: Tensor) -> tuple[Matrices, tuple[float, float] | None]:
    """From messages to the gate or the product, and (alpha, beta) of the divisor if it is not a constant."""
    if isinstance(interaction, NonlinearInteraction):
        mix = [w[None] for w in interaction.linear_1.matrices()]
        return mix, (float(interaction.alpha), float(interaction.beta))
    messages = _messages(interaction)
    mix = [w[None] for w in messages.linear.matrices()]
    if isinstance(interaction, PlainInteraction):
        mix = [a @ b[elements] for a, b in zip(mix, interaction.mix.matrices(), strict=True)]
    if isinstance(messages.divisor, NeighbourDensity):
        return mix, (1.0, 1.0)
    assert isinstance(messages.divisor, NeighbourNumber)
    return [w / messages.divisor.average for w in mix], None


def _radial(interaction: nn.Module) -> Callable[[EdgeGeometry], tuple[Tensor, Tensor | None]]:
    if isinstance(interaction, NonlinearInteraction):
        return interaction.radial_functions
    messages = _messages(interaction)
    divisor = messages.divisor
    if isinstance(divisor, NeighbourDensity):
        return lambda edges: (messages.weights(edges), divisor.density(edges))
    return lambda edges: (messages.weights(edges), None)


def _last_readout(model: Model, head: int) -> tuple[Tensor, LastReadout]:
    """Its first map (channels, width), for one head, and what follows."""
    readout = model.readouts[str(model.config.layers - 1)]
    if isinstance(readout, LinearReadout):
        return _linear_readout(readout, head), LastReadout("none", [], [])
    assert isinstance(readout, NonLinearReadout | BiasReadout)
    width = readout.width
    mine = slice(head * width, (head + 1) * width)
    first, *middle, last = readout.matrices()
    chosen = [w[mine, mine] for w in middle] + [last[mine, head : head + 1]]
    if isinstance(readout, BiasReadout):
        biases = [readout.bias_2[mine], readout.bias_3[head : head + 1]]
    else:
        biases = [torch.zeros(1, dtype=torch.float64)]
    return first[:, mine], LastReadout(model.config.readout_activation, chosen, biases)


def _linear_readout(readout: nn.Module, head: int) -> Tensor:
    assert isinstance(readout, LinearReadout)
    return readout.matrix()[:, head : head + 1]


def _apply(w: Tensor, x: Tensor, z: Tensor) -> Tensor:
    """Rows x (kinds, inputs) times w (1 or elements, inputs, outputs); z are indices into w."""
    return x @ w[0] if len(w) == 1 else torch.einsum("ki,kio->ko", x, w[z])


def _joined(*columns: Tensor) -> Tensor:
    return torch.cat(columns, dim=1)
