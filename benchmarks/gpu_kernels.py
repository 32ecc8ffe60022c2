"""What the compiler makes of the kernels of one step, for a GPU that need not be there.

    python benchmarks/gpu_kernels.py
    python benchmarks/gpu_kernels.py --channels 128 --edge-channels 128 --capability 80
    python benchmarks/gpu_kernels.py --training --structure diamond

A model of the size of MH-1 is laid out for a few atoms, and the kernels that a step would run are compiled
instead of being run: registers of a thread, bytes that did not fit into them, shared memory, instructions.

From these follows what a step takes at least, per atom: every instruction that a kernel has, times its warps,
over the rate at which the device starts them; what kernels of the convolution load, 16 bytes a thread, over
the rate of the second cache; and for products of matrices their operations, over that of the tensor cores.

With --training, it is a step of training on energies, forces and stress, whose products of matrices and
elementwise operations are torch's: `counting.py` counts them.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from ase import Atoms
from ase.build import bulk
from rich.console import Console
from rich.table import Table

from counting import Call, Counting, cells, host, per_atom, table
from crossfield.graph import collate
from crossfield.inference.freeze import Frozen
from crossfield.inference.gpu.plan import PRECISION, GpuPlan
from crossfield.inference.gpu.step import Step
from crossfield.inference.potential import Potential
from crossfield.inference.tables import POLYNOMIALS, build
from crossfield.kernels.backend import use
from crossfield.kernels.gpu.build import Launch, look
from crossfield.kernels.gpu.resources import Resources, compiled
from crossfield.model import Model, ModelConfig, evaluate
from crossfield.theory import Head, Theory


class Device(NamedTuple):
    """Rates of a device, per second."""

    instructions: float  # that warps start, on all multiprocessors
    second_cache: float  # bytes
    tensor: float  # operations of products in TF32, of which 60 % are reached


H200 = Device(132 * 4 * 1.755e9, 5.5e12, 0.6 * 495e12)
ATOMS = 4  # of the structure that is laid out
PARTS = {"ieee": 8, "tf32": 1, "tf32x3": 3, "bf16x3": 1.5, "bf16x6": 3}  # products, as many times one in TF32


def main() -> None:
    """Lay out, compile, and show."""
    parser = argparse.ArgumentParser(description="Kernels of a step, compiled for a GPU.")
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--edge-channels", type=int, default=128)
    parser.add_argument("--precision", default=PRECISION, help="of products of matrices (%(default)s)")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument(
        "--edges-per-atom", type=float, default=90.5, help="for the estimate (%(default)s: AlN)"
    )
    parser.add_argument("--capability", type=int, default=90, help="90: H100 and H200; 80: A100; 100: B200")
    parser.add_argument("--training", action="store_true", help="a step of training instead")
    parser.add_argument("--structure", default="AlN", choices=cells(), help="of it (%(default)s)")
    parser.add_argument("--no-compile", action="store_true", help="count only: no registers, no instructions")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # Triton's remarks on the defaults of later versions
    if options.training:
        training(options)
        return
    resources(options, launches(options))


def resources(options: argparse.Namespace, seen: list[Launch]) -> dict[int, float]:
    """Show what the compiler makes of kernels, and what they take: seconds per atom of each launch, by id."""
    title = f"{options.channels}/{options.edge_channels} channels, {options.dtype}, sm_{options.capability}"
    table = Table(title=title)
    for name in (
        "kernel",
        "launches",
        "grid",
        "registers",
        "spilled",
        "shared",
        "instructions",
        "FMA",
        "MMA",
    ):
        table.add_column(name, justify="left" if name == "kernel" else "right")
    estimate: dict[str, float] = {}
    found: dict[int, float] = {}
    for alike in counted(seen):
        first, count = alike[0], len(alike)
        r = compiled(first, capability=options.capability)
        taken = {id(one): seconds(one, r, options) for one in alike}
        found |= taken
        estimate[first.name] = estimate.get(first.name, 0.0) + sum(taken.values())
        fused = sum(n for k, n in r.instructions.items() if k in ("FFMA", "DFMA", "FFMA2"))
        tensor = sum(n for k, n in r.instructions.items() if "MMA" in k)
        numbers = (r.registers, r.spilled, r.shared, r.total, fused, tensor)
        table.add_row(first.name, str(count), "x".join(map(str, first.grid)), *map(str, numbers))
    console = Console(width=150, highlight=False)
    console.print(table)
    console.print(f"\nH200, {options.edges_per_atom:g} edges/atom, at least, estimated: ns per atom")
    for name, value in sorted(estimate.items(), key=lambda item: -item[1]):
        console.print(f"  {name:30} {1e9 * value:8.1f}")
    console.print(f"  {'sum':30} {1e9 * sum(estimate.values()):8.1f}")
    return found


def training(options: argparse.Namespace) -> None:
    """Show what a step of training calls and moves, and what it takes at least."""
    cell = cells()[options.structure]
    model = model_of(options, tuple(sorted(set(cell.numbers.tolist()))))
    graph = Potential(model, backend="reference").graph(cell)
    use(model, "triton")
    options.edges_per_atom = graph.num_edges / len(cell)

    def step(atoms: Sequence[Atoms]) -> list[Call]:
        batch = collate([graph] * len(atoms))
        model.requires_grad_(True).zero_grad(set_to_none=True)
        with look() as seen, Counting(seen) as counting:
            found = evaluate(model, batch, training=True)
            assert found.forces is not None
            assert found.stress is not None
            loss = found.energy.sum() + found.forces.square().mean() + found.stress.square().mean()
            loss.backward()
        return counting.calls

    calls = per_atom(step, cell)
    inner = [one for call in calls for one in call.inner]
    taken = {} if options.no_compile else resources(options, inner)
    title = f"{options.channels}/{options.edge_channels} channels, {options.structure}, {options.dtype}, H200"

    def slowest(call: Call) -> float:
        return sum(taken.get(id(one), 0.0) for one in call.inner)

    console = Console(width=150, highlight=False)
    console.print(table(title, calls, slowest))
    console.print(host(calls, slowest))


def seconds(one: Launch, r: Resources, options: argparse.Namespace) -> float:
    """What a kernel takes at least, per atom, on an H200."""
    kind, _, name = one.name.partition(".")
    if name == "products":
        jobs, precision = one.arguments[3].tolist(), one.tiles["PRECISION"]
        operations = sum(2 * job[0] * job[1] * job[2] for job in jobs)
        return operations * PARTS[precision] / H200.tensor
    if kind == "tensor_product":  # a warp goes through the edges of an atom
        units = options.edges_per_atom * one.grid[1]
        return max(units * r.total / H200.instructions, units * r.loaded / H200.second_cache)
    if "EDGES" in one.tiles:
        programs = options.edges_per_atom / one.tiles["EDGES"]
    elif name in ("divisor", "forces", "totals"):  # a thread goes through the edges of an atom
        programs = options.edges_per_atom / one.tiles["ROWS"]
    else:
        programs = math.prod(one.grid) / max(ATOMS, one.tiles["ROWS"])
    return programs * one.warps * r.total / H200.instructions


def launches(options: argparse.Namespace) -> list[Launch]:
    """All kernels of a step."""
    model, dtype = model_of(options, (7, 13)), getattr(torch, options.dtype)
    config = model.config
    atoms = bulk("AlN", "wurtzite", a=3.11, c=4.98)
    assert len(atoms) == ATOMS
    frozen = Frozen(model, 0, [0, 1])
    step = (config.cutoff - 0.5) / 32  # coarse: nothing of it is evaluated
    radial = build(frozen, start=0.5, step=step, dtype=dtype, form=POLYNOMIALS)
    graph = Potential(model, backend="reference").graph(atoms)
    with look() as seen:
        plan = GpuPlan(frozen, dtype, torch.device("cpu"), radial, precision=options.precision)
        Step(plan, graph)(graph.positions, graph.cell)
    return seen


def model_of(options: argparse.Namespace, elements: tuple[int, ...]) -> Model:
    """A model with random weights."""
    config = ModelConfig(
        elements=elements, cutoff=6.0, channels=options.channels, edge_channels=options.edge_channels
    )
    head = Head(name="pbe", theory=Theory(name="pbe"), E0=dict.fromkeys(elements, 0.0))
    return Model(config, [head]).to(getattr(torch, options.dtype))


def counted(seen: list[Launch]) -> list[list[Launch]]:
    """Launches of the same compiled code."""
    found: dict[object, list[Launch]] = {}
    for one in seen:
        tiles = tuple(sorted((k, str(v)) for k, v in one.tiles.items()))
        key = (id(one.kernel), tiles, one.warps, tuple(getattr(a, "dtype", int) for a in one.arguments))
        found.setdefault(key, []).append(one)
    return list(found.values())


if __name__ == "__main__":
    main()
