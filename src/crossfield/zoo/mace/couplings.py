"""Weights of symmetric couplings, from the basis of a file to ours.

A file holds the coupling tensors U that its weights refer to. mace-torch has written two bases: a redundant
one, whose tensors are not symmetric in their equal inputs, and an independent one. What a model computes only
depends on the symmetric part of sum_k w_k U_k, a polynomial, whose coefficients in our basis are unique.
"""

from __future__ import annotations

from itertools import permutations
from math import factorial

import numpy as np
import torch
from torch import Tensor

from crossfield.algebra import symmetric_basis
from crossfield.algebra.coupling import Array, monomials_of
from crossfield.errors import InputError
from crossfield.zoo.mace.source import tolerance


def projection(U: Tensor, l_max: int, L: int, degree: int, name: str) -> Tensor:
    """Coefficients of our couplings in each coupling of a file.

    Args:
        U: (2L+1, D, ..., D, theirs) with `degree` inputs of D = (l_max+1)^2 components; without the first
            axis where L = 0.
        l_max: highest l of the inputs.
        L: l of the output.
        degree: number of inputs.
        name: name of the tensor, for errors.

    Returns:
        (ours, theirs), float64.

    Raises:
        InputError: the shape is another one, or a coupling is not an equivariant one: outside the span of
            ours by more than 1e-10 (1e-6 where the numbers are rounded to float32).
    """
    check_shape(U, l_max, L, degree, name)
    U = U.detach().to(torch.float64)
    tensor = U.unsqueeze(0) if L == 0 else U
    D = (l_max + 1) ** 2
    theirs = _polynomials(tensor.numpy(), degree)  # (2L+1, P, theirs)

    basis = symmetric_basis(l_max, L, degree)
    monomials, _ = monomials_of(D, degree)
    place = {tuple(row): p for p, row in enumerate(monomials.tolist())}
    ours = np.zeros((2 * L + 1, len(monomials), basis.size))
    used = [place[tuple(row)] for row in basis.monomials.tolist()]
    ours[:, used, :] = basis.coefficients.transpose(1, 2, 0)

    span, target = ours.reshape(-1, basis.size), theirs.reshape(-1, theirs.shape[-1])
    solution, *_ = np.linalg.lstsq(span, target, rcond=None)
    residual = float(np.abs(span @ solution - target).max(initial=0.0))
    if not residual <= tolerance(U) * max(float(np.abs(target).max(initial=0.0)), 1.0):
        raise InputError(
            f"tensor {name!r} holds couplings that are not equivariant: they differ from all that are by "
            f"{residual:.1e}"
        )
    return torch.from_numpy(solution)


def check_shape(U: Tensor, l_max: int, L: int, degree: int, name: str) -> None:
    """Check that a tensor has the shape of couplings; arguments and errors as in `projection`."""
    shape = (1, *U.shape) if L == 0 else tuple(U.shape)
    inputs = ((l_max + 1) ** 2,) * degree
    if len(shape) != degree + 2 or shape[:-1] != (2 * L + 1, *inputs):
        raise InputError(
            f"tensor {name!r} has shape {tuple(U.shape)}, which no coupling of degree {degree} has"
        )


def _polynomials(U: Array, degree: int) -> Array:
    """Coefficients (2L+1, P, theirs) of the monomials, from tensors that need not be symmetric."""
    monomials, multiplicity = monomials_of(U.shape[1], degree)
    total = np.zeros((U.shape[0], len(monomials), U.shape[-1]))
    for order in permutations(range(degree)):
        total += U[(slice(None), *monomials[:, order].T)]
    # every ordering of a monomial was met as often as its equal indices can be exchanged
    return total * (multiplicity / factorial(degree))[:, None]
