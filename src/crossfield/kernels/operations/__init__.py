"""The contract as torch operations that run the code of a back end, any derivative included.

Of each operation there are three: its value, its gradient, and the `tangent` of both, their change along a
direction in which all inputs move. Gradients of the gradient are exactly such tangents, so that forces,
training on forces and Hessians run on compiled code. Beyond that, the derivatives of a convolution's tangent
are convolutions and their gradients again, since it is linear in each of its inputs; those of the others are
found by the plain formulas of torch.
"""

from crossfield.kernels.operations.contraction import contract, contract_backward, contract_tangent
from crossfield.kernels.operations.convolution import (
    convolution,
    convolution_backward,
    convolution_tangent,
)
from crossfield.kernels.operations.gate import gate, gate_backward, gate_tangent
from crossfield.kernels.operations.harmonics import spherical, spherical_backward, spherical_tangent
from crossfield.kernels.operations.norm import norm_silu, norm_silu_backward, norm_silu_tangent

__all__ = [
    "contract",
    "contract_backward",
    "contract_tangent",
    "convolution",
    "convolution_backward",
    "convolution_tangent",
    "gate",
    "gate_backward",
    "gate_tangent",
    "norm_silu",
    "norm_silu_backward",
    "norm_silu_tangent",
    "spherical",
    "spherical_backward",
    "spherical_tangent",
]
