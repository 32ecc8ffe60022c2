"""What the compiler makes of the kernels of one step, for a GPU that need not be there.

    python benchmarks/gpu_kernels.py
    python benchmarks/gpu_kernels.py --channels 128 --edge-channels 128 --capability 80

A model of the size of MH-1 is laid out for a few atoms, and the kernels that a step would run are compiled
instead of being run: registers of a thread, bytes that did not fit into them, shared memory, instructions.
"""

from __future__ import annotations

import argparse
import warnings

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
from crossfield.kernels.gpu.resources import compiled
from crossfield.model import Model, ModelConfig
from crossfield.theory import Head, Theory


def main() -> None:
    """Lay out, compile, and show."""
    parser = argparse.ArgumentParser(description="Kernels of a step, compiled for a GPU.")
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--edge-channels", type=int, default=128)
    parser.add_argument("--precision", default=PRECISION, help="of products of matrices (%(default)s)")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
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
    for first, count in counted(launches(options)):
        r = compiled(first, capability=options.capability)
        fused = sum(n for k, n in r.instructions.items() if k in ("FFMA", "DFMA", "FFMA2"))
        tensor = sum(n for k, n in r.instructions.items() if "MMA" in k)
        numbers = (r.registers, r.spilled, r.shared, r.total, fused, tensor)
        table.add_row(first.name, str(count), "x".join(map(str, first.grid)), *map(str, numbers))
    Console(width=150).print(table)


def launches(options: argparse.Namespace) -> list[Launch]:
    """All kernels of a step."""
    config = ModelConfig(
        elements=(7, 13), cutoff=6.0, channels=options.channels, edge_channels=options.edge_channels
    )
    dtype = getattr(torch, options.dtype)
    model = Model(config, [Head(name="pbe", theory=Theory(name="pbe"), E0={7: 0.0, 13: 0.0})])
    model.to(dtype)
    atoms = bulk("AlN", "wurtzite", a=3.11, c=4.98)
    frozen = Frozen(model, 0, [0, 1])
    step = (config.cutoff - 0.5) / 32  # coarse: nothing of it is evaluated
    radial = build(frozen, start=0.5, step=step, dtype=dtype, form=POLYNOMIALS)
    graph = Potential(model, backend="reference").graph(atoms)
    with look() as seen:
        plan = GpuPlan(frozen, dtype, torch.device("cpu"), radial, precision=options.precision)
        Step(plan, graph)(graph.positions, graph.cell)
    return seen


def counted(seen: list[Launch]) -> list[tuple[Launch, int]]:
    """Kernels that differ, and how often each is run."""
    first: dict[object, Launch] = {}
    times: dict[object, int] = {}
    for one in seen:
        tiles = tuple(sorted((k, str(v)) for k, v in one.tiles.items()))
        key = (id(one.kernel), tiles, one.warps, tuple(getattr(a, "dtype", int) for a in one.arguments))
        first.setdefault(key, one)
        times[key] = times.get(key, 0) + 1
    return [(first[key], n) for key, n in times.items()]


if __name__ == "__main__":
    main()
