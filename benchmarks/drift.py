"""Drift of the energy in NVE dynamics of 64 molecules of water, in float32.

    python benchmarks/drift.py MODEL [--head HEAD] [--picoseconds 2] [--timestep 0.5] [--dtype float32]

The box is first relaxed a little and warmed for 0.2 ps. MODEL is any checkpoint that knows H and O; `make
demo` leaves one in crossfield-demo/model/best.safetensors (head molecules).
"""

from __future__ import annotations

import argparse

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin

from crossfield import Calculator, Potential, load
from crossfield.bench.structures import structure
from crossfield.simulate.md import nve
from crossfield.simulate.relax import relax


def main() -> None:
    """Run, and print the drift."""
    parser = argparse.ArgumentParser(description="Drift of the energy in NVE dynamics.")
    parser.add_argument("model")
    parser.add_argument("--head")
    parser.add_argument("--picoseconds", type=float, default=2.0)
    parser.add_argument("--timestep", type=float, default=0.5, help="fs")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--backend", default="auto")
    options = parser.parse_args()
    potential = load(options.model, head=options.head, dtype=options.dtype, backend=options.backend)
    atoms = warmed(potential)
    run = nve(
        atoms,
        temperature=300.0,
        picoseconds=options.picoseconds,
        timestep=options.timestep,
        record=10,
    )
    fluctuation = np.std(run.total) / len(atoms)
    print(f"{atoms.calc!r}")
    print(
        f"{options.picoseconds:g} ps at {options.timestep:g} fs: drift {run.drift:.1e} eV/atom/ps, "
        f"fluctuation {fluctuation:.1e} eV/atom, mean temperature "
        f"{np.mean(run.kinetic) / (1.5 * units.kB * len(atoms)):.0f} K"
    )


def warmed(potential: Potential) -> Atoms:
    """Water after a short relaxation and 0.2 ps at 300 K, with a calculator."""
    atoms = structure("water 192")
    atoms.info |= {"charge": 0, "spin": 1}
    atoms.calc = Calculator(potential)
    atoms = relax(atoms, fmax=0.3, steps=100, optimiser="fire").atoms
    warm = Langevin(
        atoms,
        0.5 * units.fs,
        temperature_K=300.0,
        friction=0.05 / units.fs,
        rng=np.random.default_rng(0),
    )
    warm.run(400)
    return atoms


if __name__ == "__main__":
    main()
