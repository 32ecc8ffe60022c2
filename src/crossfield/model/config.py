"""What a model is made of: every size and choice of the MACE-MH-1 family."""

from __future__ import annotations

from collections.abc import Mapping
from math import comb, isfinite
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from crossfield.errors import InputError

Positive = Annotated[int, Field(gt=0)]
Block = Literal["nonlinear", "residual", "density_residual", "plain", "density"]
InputName = Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_]*$")]
MAX_MONOMIALS = 25_000  # of one degree; l_max 4 has 20,475 of degree 4, and l_max 3 has 816 of degree 3
MAX_ELEMENT = 118
KNOWN_INPUTS = ("charge", "spin")  # every structure has these; others are named by the model


class InputConfig(BaseModel):
    """A number per structure that the model reads besides the atoms (total charge, spin, ...).

    Attributes:
        kind: "class" looks up one vector per whole number, "real" passes the number through a small network.
        classes: number of classes (kind "class").
        offset: added to the number to give its class (kind "class").
        width: length of the embedding.
        bias: whether the small network has biases (kind "real").
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["class", "real"] = "class"
    classes: Positive = 1
    offset: int = 0
    width: Positive = 32
    bias: bool = True

    def check(self, name: str, value: float) -> None:
        """Check that a number can be read.

        Raises:
            InputError: it is not finite, or has no class.
        """
        if not isfinite(value) or (self.kind == "class" and value != round(value)):
            raise InputError(f"{name} must be a {'whole' if self.kind == 'class' else 'finite'} number")
        low, high = -self.offset, self.classes - 1 - self.offset
        low = max(low, 1) if name == "spin" else low
        if self.kind == "class" and not low <= value <= high:
            raise InputError(f"{name} must be between {low} and {high} for this model, not {value:g}")


class ModelConfig(BaseModel):
    """Configuration of a model, stored in every checkpoint.

    Attributes:
        elements: atomic numbers that the model knows, ascending.
        cutoff: longest edge, Å.
        channels: channels of the node features for every l.
        edge_channels: channels of the features that travel along edges; None: as many as `channels`.
        edge_channels_first: whether the first layer uses `edge_channels` too (else `channels`).
        max_L: highest l of the node features between layers.
        l_max: highest l of the spherical harmonics and of the messages.
        correlation: degree of the symmetric product (body order minus one), for all layers or per layer.
        layers: number of interactions.
        interaction: how an atom learns from its neighbours. "nonlinear" is that of MACE-MH-1, without
            weights that depend on the element. Of the older ones, "residual" and "density_residual" carry
            the features of an atom past the message by weights of its element, "plain" and "density" do
            not; the sum over neighbours is divided by their average number or by a learnt density.
        first_interaction: that of the first layer; None: the same.
        average_neighbours: average number of neighbours, by which "plain" and "residual" divide.
        radial_functions: kind of the radial basis.
        radial_basis: number of its functions.
        radial_network: hidden widths of the radial network.
        density_width: hidden width of the density network of "nonlinear".
        cutoff_power: p of the polynomial cutoff.
        cutoff_on: what the cutoff multiplies: the radial "weights", or the radial "basis". With "basis"
            the biases of the network survive at the cutoff and the energy is not continuous there; it is
            for models that were trained so.
        transform: distance transform in front of the radial functions.
        pair: short-range pair repulsion.
        product_per_element: whether the product has weights of its own for each element.
        readout: the last readout: one hidden layer ("nonlinear"), or two of them with biases ("bias").
        readout_activation: its non-linearity.
        readout_width: hidden width of the last readout, per head.
        last_readout_only: whether only the last layer is read out.
        inputs: numbers per structure that the model reads, by name: "charge", "spin", or any other, which
            is then read from `info` of the structure.
        embedding_readout: whether the embedding, inputs included, contributes an energy per head.
        scaled_for_heads: the number of heads by which weights of readouts are scaled; None: that which there
            is. It stays when heads are added or removed, so that stored weights mean the same as before.
        scaled_for_elements: likewise the number of elements by which weights of elements are scaled.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    elements: tuple[Positive, ...]
    cutoff: float = Field(6.0, gt=0, allow_inf_nan=False)
    channels: Positive = 128
    edge_channels: Positive | None = None
    edge_channels_first: bool = True
    max_L: int = Field(1, ge=0, le=4)
    l_max: int = Field(3, ge=0, le=6)
    correlation: Annotated[int, Field(ge=1, le=4)] | tuple[Annotated[int, Field(ge=1, le=4)], ...] = 3
    layers: int = Field(2, ge=1, le=100)
    interaction: Block = "nonlinear"
    first_interaction: Block | None = None
    average_neighbours: float | None = Field(None, gt=0, allow_inf_nan=False)
    radial_functions: Literal["bessel", "gaussian", "chebyshev"] = "bessel"
    radial_basis: Positive = 10
    radial_network: tuple[Positive, ...] = (64, 64, 64)
    density_width: Positive = 64
    cutoff_power: Positive = 5
    cutoff_on: Literal["weights", "basis"] = "weights"
    transform: Literal["agnesi", "soft", "none"] = "agnesi"
    pair: Literal["zbl", "none"] = "zbl"
    product_per_element: bool = False
    readout: Literal["nonlinear", "bias"] = "nonlinear"
    readout_activation: Literal["silu", "tanh", "abs", "none"] = "silu"
    readout_width: Positive = 16
    last_readout_only: bool = False
    inputs: dict[InputName, InputConfig] = Field(default_factory=dict)
    embedding_readout: bool = False
    scaled_for_heads: int | None = Field(None, gt=0, le=1_000_000)
    scaled_for_elements: int | None = Field(None, gt=0, le=MAX_ELEMENT)

    @model_validator(mode="after")
    def _consistent(self) -> ModelConfig:
        if list(self.elements) != sorted(set(self.elements)) or not self.elements:
            raise ValueError("elements must be distinct and ascending")
        if self.elements[-1] > MAX_ELEMENT:
            raise ValueError(f"there is no element {self.elements[-1]}")
        if self.max_L > self.l_max:
            raise ValueError(f"max_L ({self.max_L}) cannot exceed l_max ({self.l_max})")
        if isinstance(self.correlation, tuple) and len(self.correlation) != self.layers:
            raise ValueError(f"correlation needs one value, or one for each of {self.layers} layers")
        if self.embedding_readout and not self.inputs:
            raise ValueError("embedding_readout needs at least one entry in inputs")
        if self.radial_functions == "gaussian" and self.radial_basis == 1:
            raise ValueError("one Gaussian has no width; radial_basis must be at least 2")
        if comb((self.l_max + 1) ** 2 + max(self.correlations) - 1, max(self.correlations)) > MAX_MONOMIALS:
            raise ValueError(
                f"products of degree {max(self.correlations)} are too many for l_max {self.l_max}"
            )
        if self.average_neighbours is None and {"plain", "residual"} & set(self.blocks):
            raise ValueError('interactions "plain" and "residual" need average_neighbours')
        return self

    @property
    def correlations(self) -> tuple[int, ...]:
        """Degree of the product, layer by layer."""
        if isinstance(self.correlation, tuple):
            return self.correlation
        return (self.correlation,) * self.layers

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Kind of the interaction, layer by layer."""
        return (self.first_interaction or self.interaction, *(self.interaction,) * (self.layers - 1))

    @property
    def element_scale(self) -> int:
        """The number of elements by which weights are scaled."""
        return self.scaled_for_elements or len(self.elements)

    def head_scale(self, heads: int) -> int:
        """The number of heads by which weights are scaled, in a model with `heads` of them."""
        return self.scaled_for_heads or heads

    @property
    def extra_inputs(self) -> tuple[str, ...]:
        """Names of the inputs besides charge and spin."""
        return tuple(name for name in self.inputs if name not in KNOWN_INPUTS)

    def check_inputs(self, *, charge: float, spin: float, extra: Mapping[str, float] | None = None) -> None:
        """Check that the model can read the numbers of a structure.

        Args:
            charge: total charge, e.
            spin: multiplicity 2S+1.
            extra: further inputs by name.

        Raises:
            InputError: an input that is missing, is not finite, or has no class.
        """
        values = {"charge": charge, "spin": spin} | dict(extra or {})
        for name, config in self.inputs.items():
            if name not in values:
                raise InputError(f"this model reads {name!r} of every structure, which is missing")
            config.check(name, values[name])

    def edge_channels_of(self, layer: int) -> int:
        """Channels that travel along the edges of a layer (from 0)."""
        if self.edge_channels is None or (layer == 0 and not self.edge_channels_first):
            return self.channels
        return self.edge_channels

    def hidden_L(self, layer: int) -> int:
        """Highest l of the node features that a layer puts out; the last one only puts out scalars."""
        return 0 if layer == self.layers - 1 else self.max_L
