"""A calculator with a known answer."""

from __future__ import annotations

from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes


class Squares(Calculator):  # type: ignore[misc]  # ASE has no types
    """The square of the number of atoms, eV: parts of n and m atoms gain 2 n m when they come together."""

    implemented_properties: ClassVar[list[str]] = ["energy"]

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        self.results = {"energy": float(len(self.atoms) ** 2)}
