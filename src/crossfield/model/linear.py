"""Equivariant linear maps: channels mix within one l."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from crossfield.algebra import Irreps
from crossfield.kernels import Multiplying, grouped_product, product
from crossfield.model.initial import normal


class Linear(Multiplying):
    """Mix the channels of every l separately, without bias, scaled by 1/sqrt(fan-in).

    An l of the output that the input lacks is zero.
    """

    kind = "linears"

    def __init__(self, irreps_in: Irreps, irreps_out: Irreps) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = irreps_in, irreps_out
        self.weights = nn.ParameterList(
            nn.Parameter(normal(n_in, n_out))
            for n_in, n_out in zip(irreps_in.channels, irreps_out.channels, strict=False)
        )

    def matrices(self) -> list[Tensor]:
        """Per l (C_in, C_out), scaled."""
        return [w * w.shape[0] ** -0.5 for w in self.weights]

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Per l (N, 2l+1, C_in) to per l (N, 2l+1, C_out)."""
        out = [product(x_l, w, in_tf32=self.in_tf32) for x_l, w in zip(x, self.matrices(), strict=False)]
        return out + _zeros(x[0], self.irreps_out, len(out))


class ElementLinear(Multiplying):
    """As `Linear`, with weights of its own for every element; scaled by 1/sqrt(fan-in * elements).

    An l of the output that the input lacks is zero.

    Args:
        elements: number of elements.
        irreps_in, irreps_out: what comes in and goes out.
        scaled_for: the number of elements in the scale.
    """

    kind = "linears"
    of_elements: ClassVar[tuple[str, ...]] = ("weights",)  # parameters whose first axis runs over elements

    def __init__(self, elements: int, irreps_in: Irreps, irreps_out: Irreps, scaled_for: int) -> None:
        super().__init__()
        self.irreps_out, self.scaled_for = irreps_out, scaled_for
        self.weights = nn.ParameterList(
            nn.Parameter(normal(elements, n_in, n_out))
            for n_in, n_out in zip(irreps_in.channels, irreps_out.channels, strict=False)
        )

    def matrices(self) -> list[Tensor]:
        """Per l (elements, C_in, C_out), scaled."""
        return [w * (self.scaled_for * w.shape[1]) ** -0.5 for w in self.weights]

    def forward(self, x: list[Tensor], element: Tensor) -> list[Tensor]:
        """Per l (N, 2l+1, C_in) and element index (N,) to per l (N, 2l+1, C_out)."""
        pairs = zip(x, self.matrices(), strict=False)
        out = [grouped_product(x_l, w, element, in_tf32=self.in_tf32) for x_l, w in pairs]
        return out + _zeros(x[0], self.irreps_out, len(out))


def _zeros(like: Tensor, irreps: Irreps, first: int) -> list[Tensor]:
    """What nothing leads to: zeros for every l from `first` on."""
    return [
        like.new_zeros(like.shape[0], 2 * l + 1, irreps.channels[l])
        for l in range(first, len(irreps.channels))
    ]
