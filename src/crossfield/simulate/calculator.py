"""The ASE calculator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from crossfield.errors import InputError
from crossfield.graph import SkinList, searcher
from crossfield.inference.potential import Potential
from crossfield.inference.prepared import ACCURACY
from crossfield.zoo import load

if TYPE_CHECKING:
    from crossfield.inference.stepper import Stepper


class Calculator(AseCalculator):  # type: ignore[misc]  # ASE has no types
    """Energy, forces and stress for ASE, and energies and stresses per atom, by one head of a potential.

    Stresses per atom are computed only when asked for. As in ASE, they have the volume of the structure
    divided out: `atoms.get_stresses().sum(axis=0)` is `atoms.get_stress()`. An atom has half of what each of
    its edges contributes. Edge forces, Hessian and descriptors are methods of `potential`.

    Total charge and multiplicity are read from `atoms.info["charge"]` and `atoms.info["spin"]`.

    Args:
        potential: a potential, or the path of a checkpoint.
        head: which head answers; needed if the potential has several and no default.
        dtype: "float32" or "float64" when a path is given; None: as stored. Relaxations to tight forces and
            long NVE runs want "float64".
        device: where to evaluate when a path is given.
        backend, table_accuracy: as in `crossfield.load`, when a path is given.
        skin: Å. Neighbours are searched this much beyond the cutoff, and again only when an atom has moved
            more than half as far; 0 searches at every step. Results do not depend on it. With
            the Triton back end the search is on the GPU, given `pip install 'crossfield[gpu]'`.

    Raises:
        InputError: no such file or head, a skin that is negative or not finite, or what belongs to a path
            beside a potential.
    """

    implemented_properties: ClassVar[list[str]] = [
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "stresses",
    ]

    def __init__(
        self,
        potential: Potential | str | Path,
        head: str | None = None,
        *,
        dtype: str | None = None,
        device: str = "auto",
        backend: str = "auto",
        table_accuracy: float | None = ACCURACY,
        skin: float = 0.5,
    ) -> None:
        super().__init__()
        if not isinstance(potential, Potential):
            potential = load(
                potential, dtype=dtype, device=device, backend=backend, table_accuracy=table_accuracy
            )
        elif (dtype, device, backend, table_accuracy) != (None, "auto", "auto", ACCURACY):
            raise InputError(
                "the potential is loaded: dtype, device, backend and table_accuracy are said to "
                "crossfield.load, or here with the path of a checkpoint"
            )
        self.potential = potential
        self.head = potential.theory_head(head).name
        self.neighbours = SkinList(potential.cutoff, skin)
        self._stepper: Stepper | None = None
        if potential.in_steps:
            from crossfield.inference.stepper import Stepper  # which needs Triton

            self._stepper = Stepper(potential, self.neighbours)

    def __repr__(self) -> str:
        p = self.potential
        who = "vesin" if self._stepper is None else searcher(p.model.device)
        return (
            f"Calculator(head={self.head!r}, backend={p.backend!r}, dtype={str(p.model.dtype)[6:]}, "
            f"device='{p.model.device}', skin={self.neighbours.skin:g}, neighbours={who!r})"
        )

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last evaluation, total charge and spin included."""
        changes: list[str] = super().check_state(atoms, tol=tol)
        if self.atoms is not None and any(
            atoms.info.get(key) != self.atoms.info.get(key) for key in ("charge", "spin")
        ):
            changes.append("info")
        return changes

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Evaluate; called by ASE.

        Raises:
            PropertyNotImplementedError: stress or stresses, without three periodic axes.
        """
        super().calculate(atoms, properties or ["energy"], system_changes)
        assert self.atoms is not None, "there are no atoms to evaluate"
        asked = properties or ["energy"]
        periodic = bool(self.atoms.pbc.all())
        if {"stress", "stresses"} & set(asked) and not periodic:
            raise PropertyNotImplementedError("stress is not defined without three periodic axes")
        result = None
        if self._stepper is not None and "stresses" not in asked:
            result = self._stepper(self.atoms, self.head)
        if result is None:
            edges = self.neighbours.edges(self.atoms.positions, self.atoms.cell.array, self.atoms.pbc)
            graph = self.potential.graph(self.atoms, self.head, edges=edges)
            (result,) = self.potential.predict_graphs(
                [graph], self.head, stress=periodic, atomic_stress="stresses" in asked
            )
        results: dict[str, Any] = {
            "energy": result.energy,
            "free_energy": result.energy,
            "energies": result.energies,
            "forces": result.forces,
        }
        if result.stress is not None:
            results["stress"] = full_3x3_to_voigt_6_stress(np.asarray(result.stress))
        if result.atomic_stress is not None:
            results["stresses"] = full_3x3_to_voigt_6_stress(np.asarray(result.atomic_stress))
        self.results = results
