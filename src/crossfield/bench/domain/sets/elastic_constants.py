"""Elastic constants from the stress of strained cells, and their averages over directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray
from scipy.linalg import sqrtm

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))  # xx, yy, zz, yz, xz, xy


class Moduli(NamedTuple):
    """Averages over all directions of a polycrystal, by Voigt, Reuss and Hill."""

    bulk: float  # GPa
    shear: float  # GPa


def elastic_constants(
    crystal: Atoms,
    stress: Callable[[Atoms], NDArray[np.float64]],
    normal: Sequence[float],
    shear: Sequence[float],
) -> NDArray[np.float64]:
    """Slopes of the stress against the Green-Lagrange strain, one component at a time.

    Args:
        crystal: relaxed.
        stress: gives the stress of a strained cell, with its atoms relaxed or not: (6) eV/Å³, ASE's order.
        normal: strains ε_xx, ε_yy, ε_zz.
        shear: strains ε_yz, ε_xz, ε_xy, components of the tensor (half of the engineering strain).

    Returns:
        (6, 6) GPa, symmetrised.
    """
    unstrained = stress(crystal)
    constants = np.zeros((6, 6))
    for row, component in enumerate(VOIGT):
        amounts = normal if row < 3 else shear
        stresses = [stress(strained(crystal, component, amount)) for amount in amounts]
        factor = 1.0 if row < 3 else 2.0  # Voigt's strain of a shear is twice the component
        slopes = np.polyfit([0.0, *(factor * a for a in amounts)], np.array([unstrained, *stresses]), 1)[0]
        constants[row] = slopes / units.GPa
    return (constants + constants.T) / 2


def strained(crystal: Atoms, component: tuple[int, int], amount: float) -> Atoms:
    """A copy with one component of the Green-Lagrange strain, and no rotation.

    With the deformation gradient F, the strain is (FᵀF - 1) / 2; here F is its symmetric root.
    """
    strain = np.zeros((3, 3))
    strain[component] = strain[component[::-1]] = amount
    gradient = np.real(sqrtm(np.eye(3) + 2 * strain))
    copy = crystal.copy()
    copy.set_cell(crystal.cell.array @ gradient, scale_atoms=True)
    return copy


def moduli(constants: NDArray[np.float64]) -> Moduli:
    """Hill's means of Voigt's (uniform strain) and Reuss's (uniform stress) averages.

    Args:
        constants: (6, 6) GPa.

    Raises:
        numpy.linalg.LinAlgError: the constants have no inverse.
    """
    c, s = constants, np.linalg.inv(constants)
    bulk_voigt = c[:3, :3].sum() / 9
    bulk_reuss = 1 / s[:3, :3].sum()
    off_c, off_s = (m[0, 1] + m[0, 2] + m[1, 2] for m in (c, s))
    shear_voigt = (np.trace(c[:3, :3]) - off_c + 3 * np.trace(c[3:, 3:])) / 15
    shear_reuss = 15 / (4 * (np.trace(s[:3, :3]) - off_s) + 3 * np.trace(s[3:, 3:]))
    return Moduli(float(bulk_voigt + bulk_reuss) / 2, float(shear_voigt + shear_reuss) / 2)
