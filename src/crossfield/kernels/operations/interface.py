"""What a back end gives for the operations: functions that run its code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from crossfield.errors import InputError
from crossfield.kernels.connectivity import Edges, Outgoing
from crossfield.kernels.formulas.contraction import Contraction
from crossfield.kernels.formulas.convolution import Product

Two = tuple[Tensor, Tensor]
Three = tuple[Tensor, Tensor, Tensor]
Four = tuple[Tensor, Tensor, Tensor, Tensor]


class Convolve(Protocol):
    """Messages (N, rows, C), or their change as h, Y and w move along `moving`."""

    def __call__(
        self, product: Product, h: Tensor, Y: Tensor, w: Tensor, edges: Edges, moving: Sequence[Tensor] = ()
    ) -> Tensor: ...


class ConvolveBackward(Protocol):
    """Gradients by h, Y and w from that by the messages, g, or the change of these gradients.

    `out` is there for a back end that is `by_sender`.
    """

    def __call__(
        self,
        product: Product,
        g: Tensor,
        h: Tensor,
        Y: Tensor,
        w: Tensor,
        edges: Edges,
        out: Outgoing | None,
        moving: Sequence[Tensor] = (),
    ) -> Three: ...


class Contract(Protocol):
    """The contraction (N, components, C) of A with weights w of each atom's group."""

    def __call__(self, c: Contraction, A: Tensor, w: Tensor, group: Tensor) -> Tensor: ...


class ContractBackward(Protocol):
    """Gradients by A and w, and nothing; or the change of these as A and w move, and that of the result."""

    def __call__(
        self, c: Contraction, g: Tensor, A: Tensor, w: Tensor, group: Tensor, moving: Sequence[Tensor] = ()
    ) -> Three: ...


class Pointwise(Protocol):
    """A function of x that has one more whole number, l_max."""

    def __call__(self, x: Tensor, l_max: int) -> Tensor: ...


class PointwiseBackward(Protocol):
    """Its gradient by x, and nothing; or the change of this as x moves along v, and that of the result."""

    def __call__(self, g: Tensor, x: Tensor, l_max: int, v: Tensor | None = None) -> Two: ...


class Norm(Protocol):
    """SiLU of normalised rows."""

    def __call__(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor: ...


class NormBackward(Protocol):
    """Gradients by x, scale and shift, and nothing; or the change of these, and that of the result."""

    def __call__(
        self, g: Tensor, x: Tensor, scale: Tensor, shift: Tensor, moving: Sequence[Tensor] = ()
    ) -> Four: ...


class Operations(NamedTuple):
    """All of them. Tensors are contiguous and of one precision; shapes have been checked."""

    convolve: Convolve
    convolve_backward: ConvolveBackward
    contract: Contract
    contract_backward: ContractBackward
    harmonics: Pointwise
    harmonics_backward: PointwiseBackward
    gate: Pointwise
    gate_backward: PointwiseBackward
    norm: Norm
    norm_backward: NormBackward
    by_sender: bool  # whether gradients of the convolution are found in the order of senders


def of(backend: str) -> Operations:
    """Those of a back end."""
    if backend == "numba":
        from crossfield.kernels.native.launch import OPERATIONS as native

        return native
    if backend == "triton":
        from crossfield.kernels.gpu.launch import OPERATIONS as gpu

        return gpu
    raise InputError(f"back end {backend!r} has no operations of its own")
