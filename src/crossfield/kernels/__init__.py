"""The heavy operations, each behind a small interface: of plain torch, or of compiled code (`native`)."""

from crossfield.kernels.connectivity import Connectivity
from crossfield.kernels.contraction import SymmetricContraction
from crossfield.kernels.convolution import Convolution
from crossfield.kernels.gate import Gate
from crossfield.kernels.grouped import grouped_product
from crossfield.kernels.harmonics import SphericalHarmonics
from crossfield.kernels.norm import NormSiLU
from crossfield.kernels.product import Multiplying, product
from crossfield.kernels.segment import segment_sum

__all__ = [
    "Connectivity",
    "Convolution",
    "Gate",
    "Multiplying",
    "NormSiLU",
    "SphericalHarmonics",
    "SymmetricContraction",
    "grouped_product",
    "product",
    "segment_sum",
]
