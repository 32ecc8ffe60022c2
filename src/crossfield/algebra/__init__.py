"""Group theory: irreps, Clebsch-Gordan coefficients, symmetric couplings, harmonics. No torch."""

from crossfield.algebra.coupling import (
    Path,
    SymmetricBasis,
    clebsch_gordan,
    coupling_paths,
    symmetric_basis,
)
from crossfield.algebra.harmonics import Harmonics, harmonics
from crossfield.algebra.irreps import Irreps

__all__ = [
    "Harmonics",
    "Irreps",
    "Path",
    "SymmetricBasis",
    "clebsch_gordan",
    "coupling_paths",
    "harmonics",
    "symmetric_basis",
]
