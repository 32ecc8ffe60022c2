"""Everything that is to be known about the Triton back end on a GPU, in one call.

    python benchmarks/gpu.py --out results.json
    python benchmarks/gpu.py --only errors precision inference --minutes 4

Sections, in this order; one that fails says so, and the others go on. With mace-torch 0.3.16 installed beside
Crossfield, it evaluates the same weights and structures on the same device in the same run; without it, those
columns stay empty.

    errors      operations and whole models against plain torch in float64
    precision   largest error of a force for every way to multiply matrices, and what each takes
    ceilings    what the device can: products of matrices, copies
    inference   energy, forces and stress: diamond 1,000, AlN 864, water of growing size, one 138-atom crystal
    batch       structures per second, 32 atoms each
    training    a step on forces, against mace-torch
    largest     the largest diamond that fits, and how long it takes
    nve         drift of the energy over some picoseconds, and whether two runs give the same bits
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet

sys.path.insert(0, str(Path(__file__).parents[1]))  # for what says how mace-torch's models are built

from cases import SIZES
from crossfield import Calculator
from crossfield.bench.structures import structure
from crossfield.files import replacing
from crossfield.graph import collate
from crossfield.inference import Potential
from crossfield.inference.gpu import plan as gpu_plan
from crossfield.inference.gpu.products import Precision
from crossfield.inference.gpu.step import Step
from crossfield.kernels.backend import use
from crossfield.model import Model, ModelConfig, evaluate
from crossfield.theory import Head, Theory

SHARES = {"errors": 0.1, "precision": 0.1, "ceilings": 0.05, "inference": 0.3, "batch": 0.1}
SHARES |= {"training": 0.1, "largest": 0.1, "nve": 0.15}


class Bench:
    """One run of the script."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.device = options, torch.device(options.device)
        self.results: dict[str, Any] = {
            "device": self._name(),
            "torch": torch.__version__,
            "size": options.size,
        }
        self.deadline = math.inf

    def run(self) -> None:
        """All sections that are asked for."""
        for name, share in SHARES.items():
            if name not in (self.options.only or SHARES):
                continue
            self.deadline = time.monotonic() + 60 * self.options.minutes * share
            try:
                self.results[name] = getattr(self, name)()
            except Exception as error:  # noqa: BLE001  the others are worth having
                self.results[name] = {
                    "failed": f"{type(error).__name__}: {error}",
                    "where": traceback.format_exc(),
                }
            print(f"{name}: {json.dumps(self.results[name], indent=1)[:4000]}", flush=True)
            if self.options.out:
                with replacing(Path(self.options.out)) as path:
                    path.write_text(json.dumps(self.results, indent=1))

    # -- sections

    def errors(self) -> dict[str, Any]:
        """Largest deviations from plain torch in float64, relative to the largest number."""
        found = {}
        for dtype in (torch.float64, torch.float32):
            for name in ("water 192", "Si 64") if not self.options.quick else ("Si 2",):
                atoms = structure(name)
                exact = self._potential(torch.float64, "reference").predict(atoms)[0]
                for tables in (None, 1e-6):
                    ours = self._potential(dtype, "triton", tables).predict(atoms)[0]
                    found[f"{name}, {dtype}, tables {tables}"] = {
                        "energy_per_atom_eV": abs(ours.energy - exact.energy) / len(atoms),
                        "force_eV_A": float(np.abs(ours.forces - exact.forces).max()),
                        "stress_eV_A3": float(np.abs(ours.stress - exact.stress).max()),
                    }
        found["gradients of a loss on forces"] = self._loss_gradients()
        return found

    def precision(self) -> dict[str, Any]:
        """Of products of matrices in float32."""
        found, before = {}, gpu_plan.PRECISION
        atoms = structure("AlN 864" if not self.options.quick else "Si 2")
        exact = self._potential(torch.float64, "triton").predict(atoms)[0]
        for name in get_args(Precision):
            gpu_plan.PRECISION = name
            potential = self._potential(torch.float32, "triton")
            error = float(np.abs(potential.predict(atoms)[0].forces - exact.forces).max())
            found[name] = {"force_eV_A": error, **self._step_time(potential, atoms)}
        gpu_plan.PRECISION = before
        return found

    def ceilings(self) -> dict[str, float]:
        """Operations per second of products, bytes per second of copies."""
        n = 8192 if not self.options.quick else 256
        found: dict[str, float] = {}
        for name, dtype, tf32 in (
            ("float64", torch.float64, False),
            ("float32", torch.float32, False),
            ("tf32", torch.float32, True),
            ("bfloat16", torch.bfloat16, False),
        ):
            torch.backends.cuda.matmul.allow_tf32 = tf32
            a = torch.randn(n, n, device=self.device).to(dtype)
            found[f"{name} FLOP/s"] = 2 * n**3 / self._time(lambda a=a: a @ a)
        torch.backends.cuda.matmul.allow_tf32 = False
        x = torch.zeros(n * n * 4, device=self.device)
        found["bytes/s"] = 2 * x.numel() * x.itemsize / self._time(lambda: x.clone())
        return found

    def inference(self) -> dict[str, Any]:
        """Time of a whole step, per atom, and mace-torch's on the same edges."""
        potential, found = self._potential(torch.float32, "triton"), {}
        for name, atoms in self._systems().items():
            if time.monotonic() > self.deadline:
                found[name] = "no time left"
                continue
            line = {"atoms": len(atoms), **self._step_time(potential, atoms)}
            try:
                line["mace_torch_us_per_atom"] = self._mace_time(atoms)
                line["ratio"] = line["mace_torch_us_per_atom"] / line["us_per_atom"]
            except ImportError:
                line["mace_torch_us_per_atom"] = None
            except RuntimeError as error:  # out of memory
                line["mace_torch"] = str(error)[:120]
            found[name] = line
        return found

    def batch(self) -> dict[str, Any]:
        """Crystals of 32 atoms, many at once."""
        potential, found = self._potential(torch.float32, "triton"), {}
        for count in (1, 64, 1024, 4096) if not self.options.quick else (1, 2):
            many = []
            for k in range(count):
                atoms = bulk("AlN", "wurtzite", a=3.11, c=4.98) * (2, 2, 2)
                atoms.rattle(0.05, seed=k)
                many.append(atoms)
            graphs = [potential.graph(a) for a in many[: min(count, 64)]]
            graphs = [graphs[k % len(graphs)] for k in range(count)]
            prepared = potential.prepared
            assert prepared is not None
            whole = collate(graphs).to(self.device)
            plan = prepared.plan(whole)
            assert isinstance(plan, gpu_plan.GpuPlan)
            step = Step(plan, whole)
            seconds = self._time(lambda s=step, g=whole: s(g.positions, g.cell))
            found[str(count)] = {
                "structures_per_s": count / seconds,
                "us_per_atom": 1e6 * seconds / len(whole.Z),
            }
        return found

    def training(self) -> dict[str, Any]:
        """Gradients of a loss on forces by all weights."""
        found = {}
        for name in ("water 192", "Si 64") if not self.options.quick else ("Si 2",):
            atoms, line = structure(name), {}
            model = self._model(torch.float32)
            graph = Potential(self._model(torch.float32), backend="reference").graph(atoms).to(self.device)
            for backend in ("triton", "reference"):
                model.requires_grad_(True)
                use(model, backend)

                def run(model: Model = model, graph: Any = graph) -> None:
                    model.zero_grad(set_to_none=True)
                    forces = evaluate(model, graph, stress=False, training=True).forces
                    assert forces is not None
                    forces.square().mean().backward()

                line[f"{backend}_ms"] = 1e3 * self._time(run)
            try:
                line["mace_torch_ms"] = 1e3 * self._mace_training(atoms)
                line["ratio"] = line["mace_torch_ms"] / line["triton_ms"]
            except ImportError:
                line["mace_torch_ms"] = None
            found[name] = line
        return found

    def largest(self) -> dict[str, Any]:
        """Diamond, twice as large each time, until it does not fit or time is up."""
        potential, found, repeat = (
            self._potential(torch.float32, "triton"),
            {},
            10 if not self.options.quick else 1,
        )
        while time.monotonic() < self.deadline:
            atoms = bulk("C", a=3.567, cubic=True) * (repeat, repeat, repeat)
            try:
                torch.cuda.reset_peak_memory_stats() if self.device.type == "cuda" else None
                found[str(len(atoms))] = {**self._step_time(potential, atoms, calls=3), **self._memory()}
            except RuntimeError as error:
                found[str(len(atoms))] = str(error)[:120]
                break
            repeat = math.ceil(repeat * 2 ** (1 / 3))
        return found

    def nve(self) -> dict[str, Any]:
        """Of water by random weights; twice, for the bits."""
        ends = []
        for _ in range(2):
            atoms = structure("water 192" if not self.options.quick else "Si 2")
            atoms.calc = Calculator(self._potential(torch.float32, "triton"))
            MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(0))
            md, energies = VelocityVerlet(atoms, 0.5 * units.fs), []
            md.attach(lambda a=atoms, e=energies: e.append(a.get_total_energy()), interval=20)
            steps = 0
            limit = 20_000 if not self.options.quick else 4
            while steps < limit and (len(ends) or time.monotonic() < self.deadline):
                md.run(min(500, limit))
                steps += min(500, limit)
                if ends and steps >= ends[0][0]:
                    break
            ends.append((steps, atoms.positions.copy(), energies))
        steps, positions, energies = ends[0]
        t = np.arange(len(energies)) * 20 * 0.5e-3  # ps
        return {
            "picoseconds": steps * 0.5e-3,
            "drift_eV_atom_ps": float(np.polyfit(t, energies, 1)[0] / len(positions)) if len(t) > 1 else None,
            "same_bits": bool(np.array_equal(positions, ends[1][1])),
        }

    # -- inside

    def _name(self) -> str:
        return torch.cuda.get_device_name() if self.device.type == "cuda" else "CPU (interpreter)"

    def _model(self, dtype: torch.dtype, device: torch.device | None = None) -> Model:
        config = ModelConfig(**SIZES[self.options.size])
        head = Head(name="head0", theory=Theory(name="none"), E0=dict.fromkeys(config.elements, 0.0))
        torch.manual_seed(0)
        return Model(config, [head]).to(device or self.device, dtype)

    def _potential(self, dtype: torch.dtype, backend: str, tables: float | None = 1e-6) -> Potential:
        return Potential(self._model(dtype), "head0", backend=backend, table_accuracy=tables)

    def _systems(self) -> dict[str, Atoms]:
        if self.options.quick:
            return {"Si 2": structure("Si 2")}
        diamond = bulk("C", a=3.567, cubic=True) * (5, 5, 5)
        small = bulk("AlN", "wurtzite", a=3.11, c=4.98) * (4, 3, 3)
        found = {"diamond 1000": diamond, "AlN 864": structure("AlN 864"), "AlN 144": small}
        for atoms in found.values():
            atoms.rattle(0.02, seed=0)
        water = structure("water 192")
        for repeat in (1, 2, 4, 8, 10):
            found[f"water {192 * repeat**3}"] = water * (repeat, repeat, repeat)
        return found

    def _step_time(self, potential: Potential, atoms: Atoms, calls: int = 20) -> dict[str, float]:
        """Of a whole step, and of one with ASE around it."""
        prepared, graph = potential.prepared, potential.graph(atoms)
        assert prepared is not None
        plan = prepared.plan(graph.to(self.device))
        assert isinstance(plan, gpu_plan.GpuPlan)
        step = Step(plan, graph)
        x, cell = graph.positions.to(self.device), graph.cell.to(self.device)
        seconds = self._time(lambda: step(x, cell), calls)
        return {
            "ms": 1e3 * seconds,
            "us_per_atom": 1e6 * seconds / len(atoms),
            "edges_per_atom": graph.num_edges / len(atoms),
        }

    def _mace(self, dtype: torch.dtype) -> torch.nn.Module:
        import parity.oracle  # noqa: F401  # before mace, for e3nn 0.4.4 to read its constants

        # isort: split
        from parity.cases import ModelCase
        from parity.oracle.models import build_model

        torch.set_default_dtype(dtype)
        try:
            model = build_model(ModelCase("benchmark", SIZES[self.options.size], heads=1, independent=True))
        finally:
            torch.set_default_dtype(torch.float32)
        return model.to(self.device, dtype)

    def _mace_batch(self, model: torch.nn.Module, atoms: Atoms) -> dict[str, torch.Tensor]:
        from worker_mace import one_batch

        batch = one_batch(model.cpu(), atoms)
        model.to(self.device)
        return {k: v.to(self.device) for k, v in batch.items()}

    def _mace_time(self, atoms: Atoms) -> float:
        model = self._mace(torch.float32).requires_grad_(False)
        batch = self._mace_batch(model, atoms)
        run = lambda: model(dict(batch), compute_force=True, compute_stress=True)  # noqa: E731
        return 1e6 * self._time(run, calls=5) / len(atoms)

    def _mace_training(self, atoms: Atoms) -> float:
        model = self._mace(torch.float32)
        batch = self._mace_batch(model, atoms)

        def run() -> None:
            model.zero_grad(set_to_none=True)
            model(dict(batch), training=True, compute_force=True)["forces"].square().mean().backward()

        return self._time(run, calls=5)

    def _loss_gradients(self) -> float:
        """Largest deviation of gradients by weights, relative to each one's largest."""
        graph = Potential(self._model(torch.float64), backend="reference").graph(structure("Si 2"))
        found = []
        for backend in ("reference", "triton"):
            model = self._model(torch.float64).requires_grad_(True)
            use(model, backend)
            forces = evaluate(model, graph.to(self.device), stress=False, training=True).forces
            assert forces is not None
            weights = list(model.parameters())
            found.append(torch.autograd.grad(forces.square().sum(), weights, allow_unused=True))
        pairs = [(a, b) for a, b in zip(*found, strict=True) if a is not None and b is not None]
        return max(float((a - b).abs().max() / a.abs().max().clamp(min=1e-30)) for a, b in pairs)

    def _memory(self) -> dict[str, float]:
        if self.device.type != "cuda":
            return {}
        return {"peak_GiB": torch.cuda.max_memory_allocated() / 2**30}

    def _time(self, run: Callable[[], Any], calls: int = 20) -> float:
        """Median of some calls, s."""
        calls = calls if not self.options.quick else 1
        for _ in range(3 if not self.options.quick else 1):
            run()
        times = []
        for _ in range(calls):
            self._wait()
            start = time.perf_counter()
            run()
            self._wait()
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def main() -> None:
    """Run the sections."""
    parser = argparse.ArgumentParser(description="The Triton back end on a GPU, in one call.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", default="MH-1", choices=list(SIZES))
    parser.add_argument("--only", nargs="+", choices=list(SHARES), metavar="SECTION")
    parser.add_argument("--minutes", type=float, default=9.0, help="about as long as it takes")
    parser.add_argument("--out", help="file for the results, written after each section")
    parser.add_argument("--quick", action="store_true", help="tiny structures, to see whether it runs")
    Bench(parser.parse_args()).run()


if __name__ == "__main__":
    main()
