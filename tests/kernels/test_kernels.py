"""The kernels against the plainest formulas, and their derivatives against differences."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from crossfield.algebra import clebsch_gordan, coupling_paths, symmetric_basis
from crossfield.kernels import (
    Connectivity,
    Convolution,
    SphericalHarmonics,
    SymmetricContraction,
    segment_sum,
)
from crossfield.kernels.backend import use
from tests.algebra.rotation import Y as harmonics_of
from tests.algebra.rotation import directions, random_rotation, wigner


@pytest.fixture(params=["reference", "numba"])
def backend(request) -> str:
    return request.param


def with_backend(kernel, backend):
    use(kernel, backend)
    return kernel


def randn(*shape: int, seed: int = 0, grad: bool = False) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_(grad)


def turn(l: int, R: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(wigner(l, R))


# -- segment_sum


def test_segment_sum():
    values, index = randn(7, 2, 3), torch.tensor([3, 0, 3, 3, 5, 0, 5])
    summed = segment_sum(values, index, 8)
    assert summed.shape == (8, 2, 3)
    for row in range(8):
        expected = sum((values[e] for e in range(7) if index[e] == row), torch.zeros(2, 3))
        torch.testing.assert_close(summed[row], expected.double())
    assert (summed[[1, 2, 4, 6, 7]] == 0).all()


def test_segment_sum_of_nothing():
    nothing = torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)
    assert torch.equal(segment_sum(*nothing, 2), torch.zeros(2, 3))
    assert segment_sum(*nothing, 0).shape == (0, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_segment_sum_keeps_the_precision(dtype):
    assert segment_sum(torch.ones(3, dtype=dtype), torch.tensor([0, 0, 1]), 2).tolist() == [2.0, 1.0]
    assert segment_sum(torch.ones(3, dtype=dtype), torch.tensor([0, 0, 1]), 2).dtype == dtype


# -- harmonics


def test_spherical_harmonics(backend):
    unit = directions(30)
    values = with_backend(SphericalHarmonics(4).double(), backend)(torch.from_numpy(unit))
    assert len(values) == 5
    for l, Y in enumerate(values):
        np.testing.assert_allclose(Y.numpy(), harmonics_of(l, unit), atol=1e-12)


def test_spherical_harmonics_without_edges(backend):
    kernel = with_backend(SphericalHarmonics(2).float(), backend)
    assert [tuple(Y.shape) for Y in kernel(torch.zeros(0, 3))] == [(0, 1), (0, 3), (0, 5)]


# -- convolution


class Edges:
    """Random input of a convolution; atom 2 receives nothing, atom 3 sends nothing."""

    num_atoms, num_edges, channels = 5, 9, 3
    sender = torch.tensor([1, 2, 4, 0, 0, 2, 1, 4, 2])
    receiver = torch.tensor([0, 0, 0, 1, 1, 3, 4, 4, 4])

    def __init__(self, L_in: int, l_max: int, L_out: int, backend: str, *, grad: bool = False) -> None:
        self.paths = coupling_paths(L_in, l_max, L_out)
        self.h = [randn(5, 2 * l + 1, 3, seed=l, grad=grad) for l in range(L_in + 1)]
        self.Y = [randn(9, 2 * l + 1, seed=10 + l, grad=grad) for l in range(l_max + 1)]
        self.w = randn(9, len(self.paths), 3, seed=20, grad=grad)
        self.kernel = with_backend(Convolution(self.paths).double(), backend)

    def __call__(self, h, Y, w) -> list[torch.Tensor]:
        return self.kernel(h, Y, w, Connectivity(self.sender, self.receiver, self.num_atoms))


@pytest.mark.parametrize(("L_in", "l_max", "L_out"), [(1, 3, 3), (0, 2, 2), (2, 2, 1)])
def test_convolution_edge_by_edge(L_in, l_max, L_out, backend):
    e = Edges(L_in, l_max, L_out, backend)
    messages = e(e.h, e.Y, e.w)
    assert len(messages) == L_out + 1
    for l3, message in enumerate(messages):
        here = [p for p, path in enumerate(e.paths) if path.l3 == l3]
        expected = torch.zeros(5, 2 * l3 + 1, len(here), 3, dtype=torch.float64)
        for slot, p in enumerate(here):
            l1, l2, _ = e.paths[p]
            C = torch.from_numpy(clebsch_gordan(l1, l2, l3))
            for k in range(e.num_edges):
                j, i = e.sender[k], e.receiver[k]
                expected[i, :, slot] += e.w[k, p] * torch.einsum("abm,ac,b->mc", C, e.h[l1][j], e.Y[l2][k])
        torch.testing.assert_close(message, expected.flatten(2), rtol=1e-12, atol=1e-12)
        assert (message[2] == 0).all()


@pytest.mark.parametrize("improper", [False, True])
def test_convolution_is_equivariant(improper, backend):
    e, R = Edges(1, 3, 3, backend), random_rotation(3, improper=improper)
    h = [torch.einsum("mk,nkc->nmc", turn(l, R), x) for l, x in enumerate(e.h)]
    Y = [torch.einsum("mk,ek->em", turn(l, R), x) for l, x in enumerate(e.Y)]
    for l, (before, after) in enumerate(zip(e(e.h, e.Y, e.w), e(h, Y, e.w))):
        torch.testing.assert_close(after, torch.einsum("mk,nkc->nmc", turn(l, R), before), rtol=0, atol=1e-10)


def test_convolution_without_edges(backend):
    e = Edges(1, 2, 1, backend)
    nothing = torch.zeros(0, dtype=torch.int64)
    messages = e.kernel(e.h, [Y[:0] for Y in e.Y], e.w[:0], Connectivity(nothing, nothing, 5))
    assert [m.shape[:2] for m in messages] == [(5, 1), (5, 3)]
    assert all((m == 0).all() for m in messages)


def test_convolution_derivatives(backend):
    e = Edges(1, 1, 1, backend, grad=True)

    def flat(h0, h1, Y0, Y1, w):
        return tuple(e([h0, h1], [Y0, Y1], w))

    assert gradcheck(flat, (*e.h, *e.Y, e.w))
    assert gradgradcheck(flat, (*e.h, *e.Y, e.w))


# -- contraction


def naive_contraction(A, weights, l_max, correlation) -> list[torch.Tensor]:
    """From couplings as dense symmetric tensors."""
    out = []
    for L, w in enumerate(weights):
        total, row = torch.zeros(A.shape[0], 2 * L + 1, A.shape[2], dtype=A.dtype), 0
        for degree in range(1, correlation + 1):
            basis = symmetric_basis(l_max, L, degree)
            U = np.zeros((basis.size, 2 * L + 1, *((l_max + 1) ** 2,) * degree))
            for p, monomial in enumerate(basis.monomials.tolist()):
                orderings = set(permutations(monomial))
                for t in orderings:
                    U[(slice(None), slice(None), *t)] = basis.coefficients[:, :, p] / len(orderings)
            indices = "pqrs"[:degree]
            inputs = ",".join(f"n{i}c" for i in indices)
            wk = w[..., row : row + basis.size, :].expand(A.shape[0], -1, -1)
            total += torch.einsum(f"km{indices},{inputs},nkc->nmc", torch.from_numpy(U), *[A] * degree, wk)
            row += basis.size
        out.append(total)
    return out


@pytest.mark.parametrize(
    ("l_max", "L_max", "correlation"), [(2, 1, 3), (3, 1, 2), (1, 1, 4), (2, 2, 1), (0, 0, 3)]
)
@pytest.mark.parametrize("per_atom", [False, True])
def test_contraction_is_the_dense_one(l_max, L_max, correlation, per_atom, backend):
    kernel = with_backend(SymmetricContraction(l_max, L_max, correlation).double(), backend)
    for L, sizes in enumerate(kernel.sizes):
        assert sizes == [symmetric_basis(l_max, L, d).size for d in range(1, correlation + 1)]
    A = randn(4, (l_max + 1) ** 2, 2)
    groups = 4 if per_atom else 1
    weights = [randn(groups, sum(sizes), 2, seed=L) for L, sizes in enumerate(kernel.sizes)]
    found = kernel(A, weights, torch.arange(4))
    expected = naive_contraction(A, weights, l_max, correlation)
    for x, y in zip(found, expected, strict=True):
        assert float(y.abs().max()) > 0.1
        torch.testing.assert_close(x, y, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("improper", [False, True])
def test_contraction_is_equivariant(improper, backend):
    R = random_rotation(9, improper=improper)
    kernel = with_backend(SymmetricContraction(3, 1, 3).double(), backend)
    A = randn(3, 16, 2)
    turned = torch.cat(
        [torch.einsum("mk,nkc->nmc", turn(l, R), A[:, l * l : (l + 1) ** 2]) for l in range(4)], dim=1
    )
    weights = [randn(1, sum(sizes), 2, seed=L) for L, sizes in enumerate(kernel.sizes)]
    group = torch.zeros(3, dtype=torch.int64)
    pairs = zip(kernel(A, weights, group), kernel(turned, weights, group), strict=True)
    for L, (before, after) in enumerate(pairs):
        torch.testing.assert_close(after, torch.einsum("mk,nkc->nmc", turn(L, R), before), rtol=0, atol=1e-9)


def test_contraction_of_no_atoms(backend):
    kernel = with_backend(SymmetricContraction(1, 1, 2).double(), backend)
    weights = [randn(1, sum(sizes), 2) for sizes in kernel.sizes]
    found = kernel(randn(0, 4, 2), weights, torch.zeros(0, dtype=torch.int64))
    assert [tuple(x.shape) for x in found] == [(0, 1, 2), (0, 3, 2)]


def test_contraction_derivatives(backend):
    kernel = with_backend(SymmetricContraction(1, 1, 3).double(), backend)
    A = randn(2, 4, 2, grad=True)
    weights = [randn(2, sum(sizes), 2, seed=L, grad=True) for L, sizes in enumerate(kernel.sizes)]

    def flat(A, *weights):
        return tuple(kernel(A, weights, torch.tensor([1, 0])))

    assert gradcheck(flat, (A, *weights))
    assert gradgradcheck(flat, (A, *weights))


def test_harmonics_derivatives(backend):
    kernel = with_backend(SphericalHarmonics(3).double(), backend)
    unit = torch.from_numpy(directions(3)).requires_grad_()
    assert gradcheck(lambda u: tuple(kernel(u)[1:]), (unit,))
    assert gradgradcheck(lambda u: tuple(kernel(u)[1:]), (unit,))


@pytest.mark.parametrize(
    "kernel", [SphericalHarmonics(3), Convolution(coupling_paths(1, 3, 3)), SymmetricContraction(3, 1, 3)]
)
def test_tables_are_no_part_of_the_state(kernel):
    """A checkpoint holds weights; tables are made from the group theory each time."""
    assert list(kernel.state_dict()) == []
    assert list(kernel.parameters()) == []
    assert list(kernel.buffers())
