"""What a model is made of: every size and choice of the MACE-MH-1 family."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from crossfield.errors import InputError

Positive = Annotated[int, Field(gt=0)]
Input = Literal["charge", "spin"]  # numbers of a structure that a model can read


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
            InputError: it has no class.
        """
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
        radial_basis: number of Bessel functions.
        radial_network: hidden widths of the radial network.
        density_width: hidden width of the density network.
        cutoff_power: p of the polynomial cutoff.
        cutoff_on: what the cutoff multiplies: the radial "weights", or the radial "basis". With "basis"
            the biases of the network survive at the cutoff and the energy is not continuous there; it is
            for models that were trained so.
        transform: distance transform in front of the Bessel functions.
        pair: short-range pair repulsion.
        product_per_element: whether the product has weights of its own for each element.
        readout_width: hidden width of the last readout, per head.
        last_readout_only: whether only the last layer is read out.
        inputs: numbers per structure that the model reads, by name: "charge", "spin".
        embedding_readout: whether the embedding, inputs included, contributes an energy per head.
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
    layers: Positive = 2
    radial_basis: Positive = 10
    radial_network: tuple[Positive, ...] = (64, 64, 64)
    density_width: Positive = 64
    cutoff_power: Positive = 5
    cutoff_on: Literal["weights", "basis"] = "weights"
    transform: Literal["agnesi", "none"] = "agnesi"
    pair: Literal["zbl", "none"] = "zbl"
    product_per_element: bool = False
    readout_width: Positive = 16
    last_readout_only: bool = False
    inputs: dict[Input, InputConfig] = Field(default_factory=dict)
    embedding_readout: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> ModelConfig:
        if list(self.elements) != sorted(set(self.elements)) or not self.elements:
            raise ValueError("elements must be distinct and ascending")
        if self.elements[-1] > 118:
            raise ValueError(f"there is no element {self.elements[-1]}")
        if self.max_L > self.l_max:
            raise ValueError(f"max_L ({self.max_L}) cannot exceed l_max ({self.l_max})")
        if isinstance(self.correlation, tuple) and len(self.correlation) != self.layers:
            raise ValueError(f"correlation needs one value, or one for each of {self.layers} layers")
        if self.embedding_readout and not self.inputs:
            raise ValueError("embedding_readout needs at least one entry in inputs")
        return self

    @property
    def correlations(self) -> tuple[int, ...]:
        """Degree of the product, layer by layer."""
        if isinstance(self.correlation, tuple):
            return self.correlation
        return (self.correlation,) * self.layers

    def check_inputs(self, *, charge: float, spin: float) -> None:
        """Check that the model can read the total charge (e) and the multiplicity of a structure.

        Raises:
            InputError: a number without a class.
        """
        values = {"charge": charge, "spin": spin}
        for name, config in self.inputs.items():
            config.check(name, values[name])

    def edge_channels_of(self, layer: int) -> int:
        """Channels that travel along the edges of a layer (from 0)."""
        if self.edge_channels is None or (layer == 0 and not self.edge_channels_first):
            return self.channels
        return self.edge_channels

    def hidden_L(self, layer: int) -> int:
        """Highest l of the node features that a layer puts out; the last one only puts out scalars."""
        return 0 if layer == self.layers - 1 else self.max_L
