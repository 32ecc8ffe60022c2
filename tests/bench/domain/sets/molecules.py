"""What the tests of molecular sets share: a model whose energies are known, and a benchmark run by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Values

KCAL = units.kcal / units.mol


class Counting(Calculator):  # type: ignore[misc]  # ASE has no types
    """A molecule's energy is its extent along x in Å, times 1 kcal/mol, and 100 eV for each proton."""

    implemented_properties: ClassVar[list[str]] = ["energy"]

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        x = self.atoms.positions[:, 0]
        self.results = {"energy": float(np.ptp(x)) * KCAL - 100.0 * float(self.atoms.numbers.sum())}


def calculated(benchmark: Benchmark, inputs: Inputs, names: Sequence[str] | None = None) -> dict[str, Values]:
    """Values of all items, or of some."""
    return {
        item.name: benchmark.calculate(item, Counting())
        for item in inputs.items
        if names is None or item.name in names
    }


def analysed(benchmark: Benchmark, inputs: Inputs, values: Mapping[str, Values] | None = None) -> Findings:
    """Findings from all items, or from some."""
    return benchmark.analyse(inputs, calculated(benchmark, inputs) if values is None else values)


def reasons(inputs: Inputs) -> dict[str, str]:
    """Why parts of a set were not read."""
    return {problem.name: problem.reason for problem in inputs.problems}


def xyz(symbols: str, extent: float, comment: str = "") -> str:
    """A molecule along x, its end `extent` Å from its beginning, as an XYZ file."""
    numbers = Atoms(symbols).get_chemical_symbols()
    places = np.linspace(0.0, extent, len(numbers))
    lines = [f"{s} {x:.6f} 0.0 0.0" for s, x in zip(numbers, places)]
    return "\n".join([str(len(numbers)), comment, *lines]) + "\n"
