"""Every back end against plain torch: values, gradients, and gradients of gradients, on random input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crossfield.algebra import coupling_paths
from crossfield.errors import InputError
from crossfield.kernels import (
    Connectivity,
    Convolution,
    Gate,
    NormSiLU,
    SphericalHarmonics,
    SymmetricContraction,
    operations,
)
from crossfield.kernels.backend import Kernel, choose, use
from crossfield.kernels.formulas.convolution import Product
from tests.gpu import DEVICE

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}
Function = Callable[..., Sequence[Tensor]]
few = settings(max_examples=25, deadline=None)  # each example may compile kernels


def check(
    kernel: Kernel, call: Function, inputs: Sequence[Tensor], dtype: torch.dtype, backend: str = "numba"
) -> None:
    """A compiled kernel against the reference, which is evaluated in float64 on the CPU."""
    use(kernel, "reference")
    expected = derivatives(kernel.double(), call, [x.double() for x in inputs])
    use(kernel, backend)
    device = DEVICE if backend == "triton" else torch.device("cpu")
    found = derivatives(kernel.to(device, dtype), call, [x.to(device, dtype) for x in inputs])
    for name, values in expected.items():
        for a, b in zip((x.cpu() for x in found[name]), values, strict=True):
            assert a.dtype == dtype
            size = float(b.abs().max()) if b.numel() else 0.0
            torch.testing.assert_close(a.double(), b, rtol=0, atol=TOLERANCE[dtype] * max(size, 1e-30))


def derivatives(kernel: Kernel, call: Function, inputs: Sequence[Tensor]) -> dict[str, Sequence[Tensor]]:
    """Of random weighted sums: values, first and second derivatives."""
    inputs = [x.detach().requires_grad_() for x in inputs]
    values = call(kernel, *inputs)
    g = [noise(v, 7).requires_grad_() for v in values]
    first = torch.autograd.grad(values, inputs, g, create_graph=True, materialize_grads=True)
    v = [noise(x, 8) for x in first]
    second = torch.autograd.grad(first, [*inputs, *g], v, materialize_grads=True, allow_unused=True)
    found = {"values": values, "first": first, "second": second}
    return {name: [x.detach() for x in tensors] for name, tensors in found.items()}


def noise(like: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape, dtype=torch.float64, generator=generator).to(like)


@st.composite
def edge_lists(draw: st.DrawFn) -> tuple[int, Tensor, Tensor]:
    """Atoms, senders and ascending receivers; atoms may have no neighbours, or many."""
    atoms = draw(st.integers(1, 5))
    degrees = draw(st.lists(st.sampled_from([0, 1, 3, 16, 33, 70]), min_size=atoms, max_size=atoms))
    receiver = torch.repeat_interleave(torch.arange(atoms), torch.tensor(degrees))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    return atoms, torch.randint(atoms, (len(receiver),), generator=generator), receiver


@few
@given(
    edges=edge_lists(),
    sizes=st.sampled_from([(0, 0, 0), (0, 3, 3), (1, 1, 1), (1, 2, 3), (1, 3, 3), (2, 2, 2), (2, 1, 3)]),
    channels=st.sampled_from([1, 3, 8, 16, 21]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    threads=st.sampled_from([1, 2, 3]),
)
def test_convolution(edges, sizes, channels, dtype, threads):
    atoms, sender, receiver = edges
    L_in, l_max, L_out = sizes
    paths = coupling_paths(L_in, l_max, L_out)
    E = len(sender)
    h = [noise(torch.empty(atoms, 2 * l + 1, channels), l) for l in range(L_in + 1)]
    Y = [noise(torch.empty(E, 2 * l + 1), 10 + l) for l in range(l_max + 1)]
    w = noise(torch.empty(E, len(paths), channels), 20)

    def call(kernel: Kernel, *inputs: Tensor) -> Sequence[Tensor]:
        connectivity = Connectivity(sender, receiver, atoms)
        return kernel(list(inputs[: L_in + 1]), list(inputs[L_in + 1 : -1]), inputs[-1], connectivity)

    with torch_threads(threads):
        check(Convolution(paths), call, [*h, *Y, w], dtype)


@few
@given(
    sizes=st.sampled_from([(0, 0, 3), (1, 1, 4), (2, 0, 3), (2, 2, 2), (3, 1, 3), (3, 0, 1)]),
    channels=st.sampled_from([1, 5, 16, 19]),
    atoms=st.sampled_from([0, 1, 6]),
    groups=st.sampled_from([1, 3]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    threads=st.sampled_from([1, 2]),
)
def test_contraction(sizes, channels, atoms, groups, dtype, threads):
    kernel = SymmetricContraction(*sizes)
    A = noise(torch.empty(atoms, (sizes[0] + 1) ** 2, channels), 1)
    weights = [noise(torch.empty(groups, sum(s), channels), 2 + L) for L, s in enumerate(kernel.sizes)]
    group = torch.arange(atoms) % groups
    with torch_threads(threads):
        check(kernel, lambda kernel, A, *w: kernel(A, w, group), [A, *weights], dtype)


@few
@given(
    l_max=st.integers(1, 4),
    edges=st.sampled_from([1, 15, 33]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_harmonics(l_max, edges, dtype):
    unit = torch.nn.functional.normalize(noise(torch.empty(edges, 3), 3), dim=1)
    check(SphericalHarmonics(l_max), lambda kernel, u: kernel(u)[1:], [unit], dtype)


@few
@given(
    width=st.sampled_from([4, 5, 16, 64, 70]),
    rows=st.sampled_from([1, 9]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    threads=st.sampled_from([1, 2]),
)
def test_normalisation(width, rows, dtype, threads):
    given_ = [noise(torch.empty(*shape), k) for k, shape in enumerate([(rows, width), (width,), (width,)])]
    with torch_threads(threads):
        check(NormSiLU(), lambda kernel, *x: [kernel(*x)], given_, dtype)


@few
@given(
    l_max=st.integers(0, 4),
    channels=st.sampled_from([1, 8, 19]),
    atoms=st.sampled_from([1, 5]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_gate(l_max, channels, atoms, dtype):
    shapes = [
        (atoms, 1, channels * (l_max + 1)),
        *((atoms, 2 * l + 1, channels) for l in range(1, l_max + 1)),
    ]
    x = [noise(torch.empty(*shape), l) for l, shape in enumerate(shapes)]
    check(Gate(channels), lambda kernel, *x: kernel(list(x)), x, dtype)


class torch_threads:
    """A number of threads for a while."""

    def __init__(self, threads: int) -> None:
        self.wanted, self.before = threads, torch.get_num_threads()

    def __enter__(self) -> None:
        torch.set_num_threads(self.wanted)

    def __exit__(self, *error: object) -> None:
        torch.set_num_threads(self.before)


def test_third_derivatives():
    """Beyond the second, too: of each operation the derivatives of its tangent."""
    paths = coupling_paths(1, 1, 1)
    flat = [l for path in paths for l in path]
    sender, first = torch.tensor([1, 0, 1]), torch.tensor([0, 2, 3])
    h, Y = noise(torch.empty(2, 4, 1), 0).double(), noise(torch.empty(4, 3), 1).double()
    w, g = noise(torch.empty(3, len(paths), 1), 2).double(), noise(torch.empty(2, 10, 1), 3).double()
    g = g[:, : Product(paths, 1).rows_out]
    given_ = [x.requires_grad_() for x in (noise(h, 4), noise(Y, 5), noise(w, 6), g, h, Y, w)]
    assert torch.autograd.gradcheck(
        lambda *x: operations.convolution_tangent(*x, sender, first, [], flat, "numba"), given_
    )
    A, w = noise(torch.empty(2, 4, 1), 0).double(), noise(torch.empty(1, 6, 1), 1).double()
    kernel = SymmetricContraction(1, 0, 3)
    w = w[:, : sum(kernel.sizes[0])]
    group = torch.zeros(2, dtype=torch.int64)
    given_ = [
        x.requires_grad_() for x in (noise(A, 4), noise(w, 5), noise(torch.empty(2, 1, 1), 6).double(), A, w)
    ]
    assert torch.autograd.gradcheck(
        lambda *x: operations.contract_tangent(*x, group, [1, 0, 3], "numba"), given_
    )
    x = [
        noise(torch.empty(*shape), k).double().requires_grad_()
        for k, shape in enumerate([(2, 3), (3,), (3,)] * 2)
    ]
    assert torch.autograd.gradcheck(
        lambda *x: operations.norm_silu_tangent(*x, "numba"), [*x[:3], noise(x[0], 9), *x[3:]]
    )
    x = noise(torch.empty(2, 5, 2), 0).double().requires_grad_()
    v, g = noise(x, 1).requires_grad_(), noise(torch.empty(2, 4, 2), 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda *x: operations.gate_tangent(*x, 1, "numba"), (v, g, x))
    unit = noise(torch.empty(3, 2), 0).double()
    given_ = [x.requires_grad_() for x in (noise(unit, 1), noise(torch.empty(9, 2), 2).double(), unit)]
    assert torch.autograd.gradcheck(lambda *x: operations.spherical_tangent(*x, 2, "numba"), given_)
    assert torch.autograd.gradgradcheck(lambda *x: operations.spherical_tangent(*x, 2, "numba"), given_)


@pytest.mark.parametrize("wrong", ["cuda", "Numba", ""])
def test_unknown_back_ends_are_refused(wrong):
    with pytest.raises(InputError, match="back end"):
        choose(wrong, torch.device("cpu"))


def test_back_end_of_another_device():
    with pytest.raises(InputError, match="computes on the CPU"):
        choose("numba", torch.device("cuda"))
    assert choose("auto", torch.device("cpu")) == "numba"


def test_wrong_shapes_are_refused():
    """Before anything is read that is not there."""
    paths = coupling_paths(1, 1, 1)
    flat = [l for path in paths for l in path]
    sender, first = torch.tensor([1, 0, 1]), torch.tensor([0, 2, 3])
    h, Y, w = torch.zeros(2, 4, 5), torch.zeros(4, 3), torch.zeros(3, len(paths), 5)
    operations.convolution(h, Y, w, sender, first, [], flat, "numba")
    for wrong in (
        (h[:, :1], Y, w, sender, first),
        (h, Y[:1], w, sender, first),
        (h, Y, w[:2], sender, first),
        (h, Y, w, sender + 1, first),
        (h, Y, w, sender.int(), first),
        (h, Y, w, sender, torch.tensor([0, 2, 4])),
        (h, Y, w, sender, torch.tensor([2, 0, 3])),
    ):
        with pytest.raises(ValueError, match=r"shapes|indices|edges"):
            operations.convolution(*wrong, [], flat, "numba")
    A, weights, group = torch.zeros(2, 1, 3), torch.zeros(1, 1, 3), torch.tensor([0, 0])
    operations.contract(A, weights, group, [0, 0, 1], "numba")
    for wrong in ((A, weights[:, :0], group), (A, weights, group + 1), (A, weights, group[:1])):
        with pytest.raises(ValueError, match="weights"):
            operations.contract(*wrong, [0, 0, 1], "numba")
    kernel = Convolution(paths)
    use(kernel, "numba")
    connectivity = Connectivity(sender, torch.tensor([1, 0, 1]), 2)
    with pytest.raises(ValueError, match="ascend"):
        kernel([h[:, :1], h[:, 1:]], [Y[:1].T, Y[1:].T], w, connectivity)


def test_mixed_precisions_are_refused():
    with pytest.raises(TypeError, match="the same for all"):
        operations.contract(
            torch.zeros(1, 1, 2),
            torch.zeros(1, 1, 2).double(),
            torch.zeros(1, dtype=torch.int64),
            [0, 0, 1],
            "numba",
        )
