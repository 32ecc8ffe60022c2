"""What the compiler makes of the kernels of one step, for a GPU that need not be there.

    python benchmarks/gpu_kernels.py
    python benchmarks/gpu_kernels.py --channels 128 --edge-channels 128 --capability 80

A model of the size of MH-1 is laid out for a few atoms, and the kernels that a step would run are compiled
instead of being run: registers of a thread, bytes that did not fit into them, shared memory, instructions.

From these follows what a step takes at least, per atom: every instruction that a kernel has, times its warps,
over the rate at which the device starts them; what kernels of the convolution load, 16 bytes a thread, over
the rate of the second cache; and for products of matrices their operations, over that of the tensor cores.
"""

from __future__ import annotations

import argparse
import math
import warnings
from typing import NamedTuple

import torch
from ase.build import bulk
from rich.console import Console
from rich.table import Table

from crossfield.inference.freeze import Frozen
from crossfield.inference.gpu.plan import PRECISION, GpuPlan
from crossfield.inference.gpu.step import Step
from crossfield.inference.potential import Potential
from crossfield.inference.tables import POLYNOMIALS, build
from crossfield.kernels.gpu.build import Launch, look
from crossfield.kernels.gpu.resources import Resources, compiled
from crossfield.model import Model, ModelConfig
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
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # Triton's remarks on the defaults of later versions
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
    for alike in counted(launches(options)):
        first, count = alike[0], len(alike)
        r = compiled(first, capability=options.capability)
        taken = sum(seconds(one, r, options) for one in alike)
        estimate[first.name] = estimate.get(first.name, 0.0) + taken
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
    config = ModelConfig(
        elements=(7, 13), cutoff=6.0, channels=options.channels, edge_channels=options.edge_channels
    )
    dtype = getattr(torch, options.dtype)
    model = Model(config, [Head(name="pbe", theory=Theory(name="pbe"), E0={7: 0.0, 13: 0.0})])
    model.to(dtype)
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
