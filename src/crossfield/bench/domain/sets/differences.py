"""Energies that combine the structures of one item (adsorption, lattice, interaction), and their errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ase import units

from crossfield.bench.domain.benchmark import Inputs, Item, Values
from crossfield.bench.domain.results import Entry
from crossfield.errors import InputError

UNITS: Mapping[str, float] = {  # in eV
    "eV": units.eV,
    "meV": 1e-3 * units.eV,
    "kJ/mol": units.kJ / units.mol,
    "kcal/mol": units.kcal / units.mol,
}


@dataclass(frozen=True)
class Difference:
    """What the energies of an item are combined to, and what this should be.

    Attributes:
        terms: factor of each structure's energy, by role.
        reference: in the unit of the benchmark.
        group: subset.
        note: for the reader, in one line.
    """

    terms: Mapping[str, float]
    reference: float
    group: str = ""
    note: str = ""

    def energy(self, values: Values) -> float:
        """The difference from the energies of the structures, eV."""
        return float(sum(factor * values[role] for role, factor in self.terms.items()))


class Compared(NamedTuple):
    """A number beside its reference, both in one unit."""

    name: str
    reference: float
    predicted: float | None  # None: not calculated
    group: str = ""
    note: str = ""
    items: tuple[str, ...] = ()

    @property
    def error(self) -> float | None:
        return None if self.predicted is None else self.predicted - self.reference


def mean_absolute_error(compared: Iterable[Compared]) -> float | None:
    """Over what was calculated, in its unit; None where nothing was."""
    errors = [abs(c.error) for c in compared if c.error is not None]
    return sum(errors) / len(errors) if errors else None


def mean_error(compared: Iterable[Compared]) -> float | None:
    """Predicted less reference, as `mean_absolute_error`."""
    errors = [c.error for c in compared if c.error is not None]
    return sum(errors) / len(errors) if errors else None


def add(inputs: Inputs, item: Item, difference: Difference) -> None:
    """Add an item and what its energies combine to.

    Raises:
        InputError: there is one of this name.
    """
    if item.name in inputs.context:
        raise InputError(f"{item.name} occurs twice in the set")
    inputs.context[item.name] = difference
    inputs.items.append(item)


def compare(inputs: Inputs, values: Mapping[str, Values], unit: str) -> list[Compared]:
    """All differences of a set whose context gives a `Difference` by name of item.

    Args:
        inputs: the set.
        values: energies by role, eV, by name of item.
        unit: of references, one of `UNITS`.
    """
    found = []
    for item in inputs.items:
        wanted: Difference = inputs.context[item.name]
        energy = wanted.energy(values[item.name]) / UNITS[unit] if item.name in values else None
        found.append(
            Compared(item.name, wanted.reference, energy, wanted.group, wanted.note, items=(item.name,))
        )
    return found


def entries(compared: Iterable[Compared], quantity: str, unit: str) -> list[Entry]:
    """As rows of the table of a benchmark."""
    return [
        Entry(
            name=c.name,
            group=c.group,
            quantity=quantity,
            unit=unit,
            reference=c.reference,
            predicted=c.predicted,
            items=c.items,
            note=c.note,
        )
        for c in compared
    ]
