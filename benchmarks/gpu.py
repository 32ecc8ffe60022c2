"""Everything that is to be known about the Triton back end on a GPU, in one call of some minutes.

    python benchmarks/gpu.py --out results.json
    python benchmarks/gpu.py --only errors nve --minutes 4

Sections, in this order; one that fails says so, and the others go on. Results are written after each.

    errors      operations and whole models against plain torch in float64
    precision   largest error of a force for every way to multiply matrices, and what each takes
    speed       what `speed.py --device cuda` measures, against mace-torch 0.3.16 with the same weights
    nve         drift of the energy over some picoseconds, and whether two runs give the same bits

mace-torch is taken from the environment of this interpreter, or from that of the oracle; where it is in
neither, or `speed.py` fails with it early on, Crossfield is timed alone. `benchmarks/carry.sh` collects the
wheels that a machine without a network needs. Triton's interpreter stands in for a GPU, to see whether all of
it runs, in five minutes:

    TRITON_INTERPRET=1 python benchmarks/gpu.py --device cpu --quick --size tiny
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from ase import units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet

from cases import SIZES
from crossfield import Calculator, load
from crossfield.bench.device import check, facts, wait
from crossfield.bench.structures import structure
from crossfield.bench.timing import Job, times
from crossfield.files import replacing
from crossfield.inference import Potential
from crossfield.inference.gpu.plan import GpuPlan
from crossfield.inference.gpu.products import Precision
from crossfield.inference.gpu.step import Step
from crossfield.kernels.backend import use
from crossfield.model import Model, ModelConfig, evaluate
from crossfield.theory import Head, Theory
from drift import warmed
from speed_tables import LIBRARIES
from turns import HERE

SHARES = {"errors": 0.12, "precision": 0.08, "speed": 0.6, "nve": 0.2}  # of the minutes
TIMESTEP = 0.5  # fs
PICOSECONDS = 10.0
EVERY = 20  # steps between energies that are kept
LAST = 0.85  # of the time for speed, after which it begins no other case
ALONE = 0.3  # of it must be left to begin anew without mace-torch


class Bench:
    """One run of the script."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.device = options, torch.device(options.device)
        self.quick = options.quick
        self.results: dict[str, Any] = {
            "device": facts(self.device)._asdict(),
            "torch": torch.__version__,
            "size": options.size,
        }
        self.seconds = 60.0 * options.minutes
        self.end = time.monotonic() + self.seconds

    def run(self) -> None:
        """All sections that are asked for."""
        for name in SHARES:
            if name not in (self.options.only or SHARES):
                continue
            try:
                self.results[name] = getattr(self, name)()
            except (Exception, SystemExit) as error:  # noqa: BLE001  the others are worth having
                self.results[name] = {
                    "failed": f"{type(error).__name__}: {error}",
                    "where": traceback.format_exc(),
                }
            shown = {k: v for k, v in self.results[name].items() if k != "tables"}  # printed as they came
            print(f"{name}: {json.dumps(shown, indent=1)[:4000]}", flush=True)
            if self.options.out:
                with replacing(Path(self.options.out)) as path:
                    path.write_text(json.dumps(self.results, indent=1))

    # -- sections

    def errors(self) -> dict[str, Any]:
        """Largest deviations from plain torch in float64."""
        found: dict[str, Any] = {}
        for dtype in (torch.float64, torch.float32):
            for name in ("water 192", "Si 64") if not self.quick else ("Si 2",):
                atoms = structure(name)
                exact = self._potential(torch.float64, "reference").predict(atoms)[0]
                found[f"{name}, largest force, eV/Å"] = float(np.abs(exact.forces).max())
                for tables in (None, 1e-6):
                    potential = self._potential(dtype, "triton", tables)
                    ours = potential.predict(atoms)[0]
                    found[f"{name}, {dtype}, tables {tables}"] = {
                        "energy_per_atom_eV": abs(ours.energy - exact.energy) / len(atoms),
                        "force_eV_A": float(np.abs(ours.forces - exact.forces).max()),
                        "stress_eV_A3": float(np.abs(ours.stress - exact.stress).max()),
                    }
                calculator = Calculator(potential)
                for step in ("allocated", "recorded", "replayed"):
                    calculator.calculate(atoms, ["energy", "forces"], ["positions"])
                    off = float(np.abs(calculator.results["forces"] - exact.forces).max())
                    found[f"{name}, {dtype}, a step {step}, force_eV_A"] = off
        found["gradients of a loss on forces, relative"] = self._loss_gradients()
        return found

    def precision(self) -> dict[str, Any]:
        """Of products of matrices in float32, and the time of a whole step with them."""
        atoms, found = structure("AlN 864" if not self.quick else "Si 2"), {}
        exact = self._potential(torch.float64, "triton").predict(atoms)[0]
        potential = self._potential(torch.float32, "triton")
        graph = potential.graph(atoms).to(self.device)
        assert potential.prepared is not None
        usual = potential.prepared.plan(graph)
        assert isinstance(usual, GpuPlan)
        for name in get_args(Precision):
            plan = GpuPlan(usual.frozen, usual.dtype, usual.device, usual.radial, precision=name)
            try:
                step = Step(plan, graph)
                forces = step(graph.positions, graph.cell).forces.cpu().numpy()
            except Exception as error:  # noqa: BLE001  this Triton does not know the way
                found[name] = {"failed": f"{type(error).__name__}: {error}"[:200]}
                continue

            def run(step: Step = step) -> None:
                step(graph.positions, graph.cell)
                wait(self.device)

            found[name] = {
                "force_eV_A": float(np.abs(forces - exact.forces).max()),
                "us_per_atom": 1e6 * statistics.median(times(Job(run), self._turn(0.3))) / len(atoms),
            }
        return found

    def speed(self) -> dict[str, Any]:
        """Against mace-torch, or alone."""
        found, left = {}, self.end - time.monotonic()
        if "nve" in (self.options.only or SHARES):
            left -= SHARES["nve"] * self.seconds
        until = time.monotonic() + max(left, 0.0)
        if (oracle := self._oracle()) is not None:
            found = self._speed(["--oracle", oracle, "--mace", self.options.mace], until)
        if found.get("code") != 0 and until - time.monotonic() > ALONE * left:
            found = {"with mace-torch": found or "it is not installed"} | self._speed(["--alone"], until)
        return found

    def nve(self) -> dict[str, Any]:
        """Of water, by a trained model or by random weights; twice, for the bits."""
        half = 0.5 * (self.end - time.monotonic())
        first, energies, steps = self._nve(time.monotonic() + half, round(1e3 * PICOSECONDS / TIMESTEP))
        again, _, _ = self._nve(np.inf, steps)
        t = np.arange(len(energies)) * EVERY * TIMESTEP * 1e-3  # ps
        return {
            "model": self.options.model or "random weights",
            "picoseconds": steps * TIMESTEP * 1e-3,
            "drift_eV_atom_ps": float(np.polyfit(t, energies, 1)[0] / len(first)) if len(t) > 1 else None,
            "drift_goal": "1e-5 over 10 ps",
            "same_bits": bool(np.array_equal(first, again)),
        }

    # -- inside

    def _speed(self, more: list[str], until: float) -> dict[str, Any]:
        """One run of speed.py, which is ended when time is up; what it measured until then is kept."""
        with tempfile.TemporaryDirectory() as folder:
            record = Path(self.options.out or Path(folder) / "speed.json").with_suffix(".speed.jsonl")
            minutes = LAST * (until - time.monotonic()) / 60
            command = [sys.executable, str(HERE / "speed.py"), "--device", self.options.device]
            command += ["--backend", "triton", "--sizes", self.options.size, "--record", str(record)]
            command += ["--minutes", f"{minutes:.2f}", *more]
            if self.quick:
                command += ["--quick", "--rounds", "1", "--seconds", "0.01"]
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
            )
            timer = threading.Timer(until - time.monotonic(), os.killpg, (process.pid, signal.SIGKILL))
            timer.start()
            assert process.stdout is not None
            shown = []
            for line in process.stdout:
                print(line, end="", flush=True)
                shown.append(line)
            code = process.wait()
            timer.cancel()
            lines = list(map(json.loads, record.read_text().splitlines())) if record.exists() else []
        return {
            "code": code,
            "lines": [line for line in lines if "case" in line],
            "about": lines[:1],
            "tables": "".join(shown),
        }

    def _oracle(self) -> str | None:
        """An interpreter that has mace-torch."""
        if importlib.util.find_spec("mace") is not None:
            return sys.executable
        other = HERE.parent / ".venv-oracle/bin/python"
        return str(other) if other.exists() else None

    def _nve(self, until: float, most: int) -> tuple[np.ndarray, list[float], int]:
        """Positions at the end, energies on the way, and the number of steps, which time may cut short."""
        if self.options.model:
            options = {"dtype": "float32", "device": self.options.device, "backend": "triton"}
            atoms = warmed(load(self.options.model, head=self.options.head, **options))
        else:
            atoms = structure("water 192" if not self.quick else "Si 2")
            atoms.calc = Calculator(self._potential(torch.float32, "triton"))
        MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(0))
        md, energies = VelocityVerlet(atoms, TIMESTEP * units.fs), list[float]()
        md.attach(lambda: energies.append(atoms.get_total_energy()), interval=EVERY)
        most, at_once = (4, 2) if self.quick else (most, 500)
        steps = 0
        while steps < most and time.monotonic() < until:
            md.run(at_once)
            steps += at_once
        return atoms.positions.copy(), energies, steps

    def _model(self, dtype: torch.dtype) -> Model:
        config = ModelConfig.model_validate(SIZES[self.options.size])
        head = Head(name="head0", theory=Theory(name="none"), E0=dict.fromkeys(config.elements, 0.0))
        torch.manual_seed(0)
        return Model(config, [head]).to(self.device, dtype)

    def _potential(self, dtype: torch.dtype, backend: str, tables: float | None = 1e-6) -> Potential:
        return Potential(self._model(dtype), "head0", backend=backend, table_accuracy=tables)

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

    def _turn(self, seconds: float) -> float:
        return 0.0 if self.quick else seconds


def main() -> None:
    """Run the sections."""
    parser = argparse.ArgumentParser(description="The Triton back end on a GPU, in one call.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", default="MH-1", choices=list(SIZES))
    parser.add_argument("--mace", default="e3nn", choices=list(LIBRARIES), help="what mace-torch uses")
    parser.add_argument("--model", help="a trained one for nve, which knows water; random weights prove less")
    parser.add_argument("--head", help="of that model")
    parser.add_argument("--only", nargs="+", choices=list(SHARES), metavar="SECTION")
    parser.add_argument("--minutes", type=float, default=9.0, help="about as long as it takes")
    parser.add_argument("--out", help="file for the results, written after each section")
    parser.add_argument("--quick", action="store_true", help="tiny structures, to see whether it runs")
    options = parser.parse_args()
    check(options.device, "triton")
    bench = Bench(options)
    bench.run()
    if failed := [name for name, found in bench.results.items() if "failed" in found]:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
