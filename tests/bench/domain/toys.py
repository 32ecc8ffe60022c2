"""A benchmark with a known answer, and calculators that fail in the ways that calculators do."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from crossfield.bench.domain import desk
from crossfield.bench.domain.benchmark import (
    Benchmark,
    Findings,
    Inputs,
    Item,
    Metric,
    NotConverged,
    Reference,
    Values,
)
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.results import Entry
from crossfield.bench.domain.sources import Sources

DISTANCES = (0.8, 1.0, 1.2, 1.4, 1.6)


class Spring(Calculator):  # type: ignore[misc]  # ASE has no types
    """Half of stiffness times distance squared, eV; every evaluation leaves a mark in a folder."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, stiffness: float = 2.0, marks: str | None = None, pause: float = 0.0) -> None:
        super().__init__()
        self.stiffness, self.marks, self.pause = stiffness, marks, pause
        if "TOY_GRACE" in os.environ:
            desk.GRACE = float(os.environ["TOY_GRACE"])
        if "TOY_UNMADE" in os.environ:
            raise RuntimeError(os.environ["TOY_UNMADE"])

    @staticmethod
    def hang(heeds: bool) -> None:
        """For ever; or, if the end is not heeded, until the process ends."""
        while True:
            try:
                time.sleep(0.1)
            except BaseException:
                if heeds:
                    raise

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        if self.marks is not None:
            with (Path(self.marks) / "marks").open("a") as file:
                file.write(f"{self.atoms.info['name']}\n")
        sys.stdout.write("a calculator may say anything")
        time.sleep(self.pause)
        if self.atoms.info["name"] == os.environ.get("TOY_DIES"):
            os._exit(9)
        if self.atoms.info["name"] == os.environ.get("TOY_EXITS"):
            sys.exit(3)
        if self.atoms.info["name"] in (os.environ.get("TOY_HANGS"), os.environ.get("TOY_STUCK")):
            self.hang(heeds="TOY_HANGS" in os.environ)
        if self.atoms.info["name"] == os.environ.get("TOY_RAISES"):
            raise ZeroDivisionError("a fault of\nthe calculator")
        if self.atoms.info["name"] == os.environ.get("TOY_NAN"):
            self.results = {"energy": float("nan")}
            return
        r = self.atoms.positions[1] - self.atoms.positions[0]
        energy = 0.5 * self.stiffness * float(r @ r)
        self.results = {"energy": energy, "forces": np.stack([self.stiffness * r, -self.stiffness * r])}


def broken() -> Calculator:
    """Makes nothing."""
    raise KeyError("no such head")


def dimer(distance: float, name: str, symbols: str = "H2") -> Atoms:
    """Two atoms."""
    atoms = Atoms(symbols, [(0, 0, 0), (0, 0, distance)])
    atoms.info["name"] = name
    return atoms


def inputs(sources: Sources) -> Inputs:
    """Five dimers, two of them quick; the reference is a spring of stiffness 2."""
    found = Inputs(context={f"d{d:g}": d * d for d in DISTANCES})
    for d in DISTANCES:
        found.items.append(Item(f"d{d:g}", {"dimer": dimer(d, f"d{d:g}")}, quick=d < 1.1))
    return found


def calculate(item: Item, calculator: Calculator) -> Values:
    """The energy; the longest dimer does not converge if told so."""
    if item.name == os.environ.get("TOY_WANDERS"):
        raise NotConverged("largest force 3 eV/Å after 7 steps")
    return energies(item, calculator)


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Mean absolute error over what there is."""
    entries: Sequence[Entry] = [
        Entry(
            name=name,
            unit="eV",
            reference=reference,
            predicted=values[name]["dimer"] if name in values else None,
            items=(name,),
        )
        for name, reference in inputs.context.items()
    ]
    errors = [
        abs(e.predicted - e.reference) for e in entries if e.predicted is not None and e.reference is not None
    ]
    return Findings({"MAE": float(np.mean(errors)) if errors else None}, entries)


def toy(name: str = "toy", **fields: Any) -> Benchmark:
    """The benchmark."""
    given: dict[str, Any] = {
        "title": "Springs",
        "domain": "materials",
        "description": "Dimers.",
        "reference": Reference("PBE", functional=True),
        "metrics": (Metric("MAE", "eV", 0.0, 1.0),),
        "inputs": inputs,
        "calculate": calculate,
        "analyse": analyse,
    }
    return Benchmark(name=name, **(given | fields))
