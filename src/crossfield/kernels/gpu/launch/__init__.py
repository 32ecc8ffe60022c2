"""The operations on Triton's code: sizes of tiles and grids are chosen, and kernels launched."""

from crossfield.kernels.gpu.launch.contraction import contract, contract_backward
from crossfield.kernels.gpu.launch.convolution import convolve, convolve_backward
from crossfield.kernels.gpu.launch.pointwise import (
    gate,
    gate_backward,
    harmonics,
    harmonics_backward,
    norm,
    norm_backward,
)
from crossfield.kernels.operations.interface import Operations

OPERATIONS = Operations(
    convolve=convolve,
    convolve_backward=convolve_backward,
    contract=contract,
    contract_backward=contract_backward,
    harmonics=harmonics,
    harmonics_backward=harmonics_backward,
    gate=gate,
    gate_backward=gate_backward,
    norm=norm,
    norm_backward=norm_backward,
    by_sender=True,
)
