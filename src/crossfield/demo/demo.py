"""The demo: one model, four levels of theory, trained on real quantum-chemistry labels and put to use."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

import ase.io
import numpy as np
from ase.build import bulk, molecule
from rich.console import Console
from rich.table import Table

from crossfield.demo.figures import head_figures
from crossfield.errors import InputError
from crossfield.inference.potential import Potential
from crossfield.report.build import build_report, find_subject
from crossfield.report.page import render
from crossfield.simulate.calculator import Calculator
from crossfield.simulate.md import nve
from crossfield.simulate.relax import relax
from crossfield.train import TrainingResult, load_config, train
from crossfield.train.folder import write_text
from crossfield.zoo import load

CRYSTAL, MOLECULE = "crystals", "molecules"  # heads of the demo's configuration
FORCE_TARGET, ENERGY_TARGET = 0.35, 0.20


@dataclass(frozen=True)
class DemoResult:
    """Where the demo ended."""

    folder: Path
    interrupted: bool


def run_demo(out: Path, minutes: float, console: Console, *, overwrite: bool = False) -> DemoResult:
    """Train, evaluate, relax, run MD, compare heads, plot; everything is written below `out`.

    Args:
        out: folder to write to; made if needed.
        minutes: time for training.
        console: where to report.
        overwrite: replace an earlier demo in `out`.

    Raises:
        InputError: `out` is a file, or holds an earlier demo and `overwrite` is False.
    """
    if out.exists() and not out.is_dir():
        raise InputError("this is a file, the demo needs a folder", file=out)
    out.mkdir(parents=True, exist_ok=True)
    with resources.as_file(resources.files("crossfield.demo")) as home:
        console.rule("1. One model, four theories: training")
        config = load_config(
            home / "demo.yaml", [f"output={(out / 'model').resolve()}", f"training.minutes={minutes}"]
        )
        result = train(config, overwrite=overwrite, console=console)
        if result.interrupted:
            console.print(f"stopped; the weights so far: {result.checkpoint}", soft_wrap=True)
            return DemoResult(out, interrupted=True)
        console.rule("2. Errors on systems it has never seen")
        _figures(result, out, console)
        _page(result, out, console)

    potential = load(result.checkpoint, dtype="float64")
    console.rule("3. Relaxing a crystal")
    _relax_crystal(potential, out, console)
    console.rule("4. Half a picosecond of a molecule")
    _molecular_dynamics(potential, out, console)
    console.rule("5. One molecule, four theories")
    _compare_heads(potential, console)
    console.rule("Written")
    for path, what in _written(out, result):
        console.print(f"{path}  {what}", soft_wrap=True, highlight=False)
    return DemoResult(out, interrupted=False)


def _figures(result: TrainingResult, out: Path, console: Console) -> None:
    """Test errors against what a constant would do, as fractions of the spread of the labels."""
    table = Table(title="Test errors: MAE, and as a fraction of what there is to explain")
    for column in (
        "head",
        "frames",
        "energy, meV/atom",
        "of the spread after E0",
        "forces, meV/Å",
        "of the mean |F|",
    ):
        table.add_column(column, justify="left" if column == "head" else "right")
    figures = head_figures(result)
    for f in figures:
        table.add_row(
            f.head,
            str(f.frames),
            f"{1000 * f.energy_mae:.0f}",
            _judged(f.energy_fraction, ENERGY_TARGET),
            f"{1000 * f.forces_mae:.0f}",
            _judged(f.forces_fraction, FORCE_TARGET),
        )
    console.print(table)
    write_text(out / "figures.json", json.dumps([asdict(f) for f in figures], indent=1) + "\n")


def _judged(fraction: float, target: float) -> str:
    colour = "green" if fraction <= target else "yellow"
    return f"[{colour}]{100 * fraction:.0f}%[/{colour}] (target {100 * target:.0f}%)"


def _page(result: TrainingResult, out: Path, console: Console) -> None:
    """The page of the run, as `crossfield report` writes it."""
    write_text(out / "report.html", render(build_report(find_subject(str(result.folder)))))
    console.print(f"curves, parity plots, all of it: {out / 'report.html'}", soft_wrap=True, highlight=False)


def _relax_crystal(potential: Potential, out: Path, console: Console) -> None:
    crystal = bulk("Cu", a=3.85, cubic=True)
    crystal.rattle(0.1, seed=1)
    crystal.calc = Calculator(potential, head=CRYSTAL)
    before = float(np.linalg.norm(crystal.get_forces(), axis=1).max())
    done = relax(crystal, fmax=0.005, cell=True, steps=200)
    lengths = done.atoms.cell.lengths()
    state = "converged" if done.converged else "NOT converged"
    console.print(
        f"Cu, stretched to a = 3.85 Å and rattled: {state} after {done.steps} steps, "
        f"largest force {before:.2f} -> {done.max_force:.4f} eV/Å, a = {lengths.mean():.3f} Å "
        "(PBE 3.63, experiment 3.60)",
        highlight=False,
    )
    done.atoms.write(out / "relaxed.xyz", format="extxyz")


def _molecular_dynamics(potential: Potential, out: Path, console: Console) -> None:
    ethanol = molecule("CH3CH2OH")
    ethanol.info.update(charge=0, spin=1)
    ethanol.calc = Calculator(potential, head=MOLECULE)
    ethanol = relax(ethanol, fmax=0.05).atoms
    run = nve(ethanol, temperature=300.0, picoseconds=0.5, timestep=0.5, record=5)
    console.print(
        f"ethanol, head {MOLECULE}, NVE from 300 K, {len(run.frames)} records: total energy drifts by "
        f"{1000 * run.drift:+.2f} meV/atom/ps, largest jump {1000 * run.largest_jump:.3f} meV/atom",
        highlight=False,
    )
    ase.io.write(out / "md.xyz", run.frames, format="extxyz")


def _compare_heads(potential: Potential, console: Console) -> None:
    water = molecule("H2O")
    water.info.update(charge=0, spin=1)
    table = Table(title="H2O, same geometry")
    for column in ("head", "method", "energy, eV", "atomisation energy, eV", "largest force, eV/Å"):
        table.add_column(column, justify="right" if "eV" in column else "left")
    for name in potential.heads:
        head = potential.theory_head(name)
        (result,) = potential.predict(water, head=name)
        bound = sum(head.E0[int(z)] for z in water.numbers) - result.energy
        assert result.forces is not None
        table.add_row(
            name,
            head.theory.method,
            f"{result.energy:.2f}",
            f"{bound:.2f}",
            f"{np.linalg.norm(result.forces, axis=1).max():.2f}",
        )
    console.print(table)
    console.print(
        "Each head answers in its own theory and zero of energy; the backbone is the same. "
        "The heads crystals and surfaces have never been shown a molecule."
    )


def _written(out: Path, result: TrainingResult) -> list[tuple[Path, str]]:
    return [
        (result.checkpoint, "the model: crossfield.load(...), crossfield info ..."),
        (out / "figures.json", "test errors of each head"),
        (out / "report.html", "the page to look at: curves, errors, parity plots, model card"),
        (out / "relaxed.xyz", "the relaxed crystal"),
        (out / "md.xyz", "the trajectory"),
        (out / "model", "configuration, log, splits and errors of the run"),
    ]
