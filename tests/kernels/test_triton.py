"""Kernels for GPUs: their results, on one or under the interpreter, and what the compiler makes of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest
import torch
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
)
from crossfield.kernels import backend as backends
from crossfield.kernels.backend import Kernel, choose
from crossfield.kernels.connectivity import Edges, Outgoing
from crossfield.kernels.formulas.contraction import Contraction
from crossfield.kernels.formulas.convolution import Product
from crossfield.kernels.gpu import build
from crossfield.kernels.gpu.launch import OPERATIONS
from tests.gpu import DEVICE
from tests.kernels.test_back_ends import check, noise

pytest.importorskip("triton")
DTYPES = [torch.float64, torch.float32]


def edges(kind: str) -> tuple[int, Tensor, Tensor]:
    """Atoms, senders and ascending receivers."""
    if kind == "none":
        nothing = torch.zeros(0, dtype=torch.int64)
        return 2, nothing, nothing
    if kind == "no atoms":
        nothing = torch.zeros(0, dtype=torch.int64)
        return 0, nothing, nothing
    if kind == "itself":  # one atom, and its own images
        return 1, torch.zeros(3, dtype=torch.int64), torch.zeros(3, dtype=torch.int64)
    # atom 2 receives nothing, atom 3 sends nothing, atom 4 receives far more than the others
    degrees = torch.tensor([3, 2, 0, 1, 19])
    receiver = torch.repeat_interleave(torch.arange(5), degrees)
    generator = torch.Generator().manual_seed(1)
    return 5, torch.tensor([0, 1, 2, 4])[torch.randint(4, (25,), generator=generator)], receiver


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("kind", "sizes", "channels"),
    [
        ("some", (0, 2, 2), 3),
        ("some", (1, 2, 3), 21),  # not whole tiles, of more than one program
        ("some", (2, 1, 1), 1),
        ("none", (1, 1, 1), 4),
        ("no atoms", (0, 1, 1), 4),
        ("itself", (1, 2, 1), 2),
    ],
)
def test_convolution(kind, sizes, channels, dtype, monkeypatch):
    monkeypatch.setattr("crossfield.kernels.gpu.launch.convolution.WIDEST", 16)
    monkeypatch.setattr("crossfield.kernels.gpu.launch.convolution.ROWS", 6)
    atoms, sender, receiver = edges(kind)
    L_in, l_max, L_out = sizes
    paths = coupling_paths(L_in, l_max, L_out)
    h = [noise(torch.empty(atoms, 2 * l + 1, channels), l) for l in range(L_in + 1)]
    Y = [noise(torch.empty(len(sender), 2 * l + 1), 10 + l) for l in range(l_max + 1)]
    w = noise(torch.empty(len(sender), len(paths), channels), 20)

    def call(kernel: Kernel, *inputs: Tensor) -> list[Tensor]:
        connectivity = Connectivity(sender.to(inputs[-1].device), receiver.to(inputs[-1].device), atoms)
        return kernel(list(inputs[: L_in + 1]), list(inputs[L_in + 1 : -1]), inputs[-1], connectivity)

    check(Convolution(paths), call, [*h, *Y, w], dtype, "triton")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("sizes", "channels", "atoms", "groups"),
    [((1, 1, 4), 3, 5, 3), ((2, 1, 3), 37, 3, 1), ((3, 0, 2), 1, 1, 1), ((1, 1, 2), 4, 0, 1)],
)
def test_contraction(sizes, channels, atoms, groups, dtype):
    kernel = SymmetricContraction(*sizes)
    A = noise(torch.empty(atoms, (sizes[0] + 1) ** 2, channels), 1)
    weights = [noise(torch.empty(groups, sum(s), channels), 2 + L) for L, s in enumerate(kernel.sizes)]
    group = torch.arange(atoms) % groups
    check(kernel, lambda kernel, A, *w: kernel(A, w, group.to(A.device)), [A, *weights], dtype, "triton")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("l_max", "count"), [(1, 1), (3, 33), (4, 5)])
def test_harmonics(l_max, count, dtype):
    unit = torch.nn.functional.normalize(noise(torch.empty(count, 3), 3), dim=1)
    check(SphericalHarmonics(l_max), lambda kernel, u: kernel(u)[1:], [unit], dtype, "triton")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("width", "rows"), [(64, 3), (5, 1100), (3, 1)])
def test_normalisation(width, rows, dtype):
    shapes = [(rows, width), (width,), (width,)]
    inputs = [noise(torch.empty(*shape), k) for k, shape in enumerate(shapes)]
    check(NormSiLU(), lambda kernel, *x: [kernel(*x)], inputs, dtype, "triton")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("l_max", "channels", "atoms"), [(0, 1, 1), (3, 19, 5), (1, 200, 2)])
def test_gate(l_max, channels, atoms, dtype):
    others = ((atoms, 2 * l + 1, channels) for l in range(1, l_max + 1))
    shapes = [(atoms, 1, channels * (l_max + 1)), *others]
    x = [noise(torch.empty(*shape), l) for l, shape in enumerate(shapes)]
    check(Gate(channels), lambda kernel, *x: kernel(list(x)), x, dtype, "triton")


def test_operations_stay_on_the_device():
    """Numbers are on a device that has none: reading one, or mixing them with others, would raise."""
    like, paths = torch.zeros(0, device="meta"), coupling_paths(1, 1, 1)
    product, whole = Product(paths, 5), like.new_empty(6, dtype=torch.int64)
    e = Edges(sender=whole, first=whole[:4])
    out = Outgoing(first=whole[:4], order=whole, receiver=whole)
    h, Y, w = like.new_empty(3, 4, 5), like.new_empty(4, 6), like.new_empty(6, len(paths), 5)
    g = like.new_empty(3, product.rows_out, 5)
    c = Contraction(1, 1, 2, 5)
    B, weights = like.new_empty(3, c.rows_out, 5), like.new_empty(2, c.couplings, 5)
    x, scale = like.new_empty(7, 8), like.new_empty(8)
    gated = like.new_empty(3, 5, 5)  # scalars, a gate for l = 1, and its components
    unit = like.new_empty(3, 6)
    with build.look() as seen:
        OPERATIONS.convolve(product, h, Y, w, e, (h, Y, w))
        OPERATIONS.convolve_backward(product, g, h, Y, w, e, out, (h, Y, w))
        OPERATIONS.contract(c, h, weights, whole[:3])
        OPERATIONS.contract_backward(c, B, h, weights, whole[:3], (h, weights))
        OPERATIONS.harmonics(unit, 1)
        OPERATIONS.harmonics_backward(Y, unit, 1, unit)
        OPERATIONS.gate(gated, 1)
        OPERATIONS.gate_backward(h, gated, 1, gated)
        OPERATIONS.norm(x, scale, scale)
        OPERATIONS.norm_backward(x, x, scale, scale, (x, scale, scale))
    assert len(seen) > 10
    for one in seen:
        assert {y.device.type for y in one.arguments if isinstance(y, Tensor)} == {"meta"}, one.name


def test_kernels_are_written_once():
    """However many atoms there are, and whichever equal partial asks for them."""
    kernel, group = SymmetricContraction(1, 0, 2).to(DEVICE), torch.zeros(3, dtype=torch.int64, device=DEVICE)
    backends.use(kernel, "triton")
    weights = [noise(torch.empty(1, sum(s), 2, device=DEVICE), 1) for s in kernel.sizes]
    kernel(noise(torch.empty(3, 4, 2, device=DEVICE), 0), weights, group)
    before = build.function.cache_info().misses
    kernel(noise(torch.empty(2, 4, 2, device=DEVICE), 0), weights, group[:2])
    assert build.function.cache_info().misses == before


def test_choice_of_the_back_end(monkeypatch):
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    monkeypatch.setattr(build, "interpreted", lambda: True)
    assert choose("triton", gpu) == "triton"
    assert choose("auto", gpu) == "reference"  # until it has run on one
    assert choose("triton", cpu) == "triton"  # by the interpreter
    monkeypatch.setattr(build, "interpreted", lambda: False)
    with pytest.raises(InputError, match="computes on a GPU, not on cpu"):
        choose("triton", cpu)
    monkeypatch.undo()
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs the package triton"):
        choose("triton", cpu)


WITHOUT = textwrap.dedent(
    """
    import sys
    sys.modules["triton"] = None  # as where it is not installed
    import torch
    import crossfield
    from ase.build import molecule
    from crossfield.inference import Potential
    from tests.structures import small_model
    atoms = molecule("H2O")
    atoms.calc = crossfield.Calculator(Potential(small_model(), "head0"))
    assert atoms.get_forces().shape == (3, 3)
    try:
        Potential(small_model(), "head0", backend="triton")
    except crossfield.errors.InputError as error:
        print(error)
    """
)


def test_nothing_else_needs_triton():
    run = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "needs the package triton" in run.stdout


COMPILE = textwrap.dedent(
    """
    import json, warnings
    warnings.simplefilter("ignore")  # Triton's remarks on defaults of later versions
    import torch
    from ase.build import bulk
    from crossfield.inference.freeze import Frozen
    from crossfield.inference.gpu.plan import GpuPlan
    from crossfield.inference.gpu.step import Step
    from crossfield.inference.potential import Potential
    from crossfield.inference.tables import POLYNOMIALS, build
    from crossfield.kernels.gpu.build import look
    from crossfield.kernels.gpu.resources import compiled
    from crossfield.model import Model, ModelConfig
    from crossfield.theory import Head, Theory

    sizes = {"channels": 512, "edge_channels": 128, "radial_network": (8,)}
    config = ModelConfig(elements=(14,), cutoff=6.0, **sizes)
    head = Head(name="a", theory=Theory(name="pbe"), E0={14: 0.0})
    model = Model(config, [head]).float()
    frozen = Frozen(model, 0, [0])
    radial = build(frozen, start=0.5, step=5.5 / 8, dtype=torch.float32, form=POLYNOMIALS)
    graph = Potential(model, backend="reference").graph(bulk("Si"))
    with look() as seen:
        plan = GpuPlan(frozen, torch.float32, torch.device("cpu"), radial)
        Step(plan, graph)(graph.positions, graph.cell)
    found, done = [], set()
    for one in seen:
        if id(one.kernel) not in done and "by_features" not in one.name:  # slow to compile
            done.add(id(one.kernel))
            r = compiled(one)
            found.append([one.name, r.registers, r.spilled, r.total])
    print(json.dumps(found))
    """
)


def test_kernels_of_a_step_compile_for_a_gpu():
    """At the size of the largest published model, for an H100, with nothing spilled from registers."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    run = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True, check=False, env=environment
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    names = {name.rpartition(".")[2] for name, *_ in found}
    assert names >= {"messages", "messages_reverse", "products", "forward", "forces"}
    for name, registers, spilled, total in found:
        assert registers <= 255
        assert spilled == 0, name
        assert total > 10
