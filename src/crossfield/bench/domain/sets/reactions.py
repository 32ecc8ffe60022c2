"""Reaction energies from single points of molecules: stoichiometry, and what is compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ase import Atoms

from crossfield.bench.domain.benchmark import Inputs, Item, Values
from crossfield.bench.domain.sets.differences import UNITS, Compared
from crossfield.bench.domain.sources import Place
from crossfield.errors import InputError
from crossfield.theory.elements import symbols

ROLE = "molecule"  # of the one structure of an item; the same everywhere, so that sets share calculations


@dataclass(frozen=True)
class Reaction:
    """A reaction, or any other sum of energies of molecules.

    Attributes:
        name: unique in its set.
        reference: its energy, kcal/mol.
        counts: stoichiometric number by name of item; negative for reactants.
        group: subset.
    """

    name: str
    reference: float
    counts: Mapping[str, int]
    group: str = ""

    def energy(self, values: Mapping[str, Values]) -> float | None:
        """Its energy from those of its molecules, kcal/mol; None where one is missing."""
        if any(name not in values for name in self.counts):
            return None
        total = sum(count * values[name][ROLE] for name, count in self.counts.items())
        return float(total / UNITS["kcal/mol"])

    @property
    def equation(self) -> str:
        """ "2 a + b → c", without the name of the subset."""
        sides = []
        for sign in (-1, 1):
            names = [
                (n.removeprefix(f"{self.group}/"), c * sign) for n, c in self.counts.items() if c * sign > 0
            ]
            sides.append(
                " + ".join(name if count == 1 else f"{count} {name}" for name, count in names) or "0"
            )
        return " → ".join(sides)


@contextmanager
def located(place: Place, frame: int | None = None) -> Iterator[None]:
    """Errors within the block say in which file they are, and in which frame of it."""
    try:
        yield
    except InputError as error:
        if error.file is not None:
            raise
        raise InputError(error.message, file=str(place), frame=frame) from error


def molecule(name: str, atoms: Atoms, *, charge: int = 0, spin: int = 1, quick: bool = False) -> Item:
    """The single point of a molecule.

    Args:
        name: unique in its set.
        atoms: elements and positions.
        charge: in e.
        spin: multiplicity, 2S+1.
        quick: whether the quick part has it.

    Raises:
        InputError: so many electrons cannot have this multiplicity.
    """
    electrons = int(atoms.numbers.sum()) - charge
    if spin < 1 or electrons < 0 or (electrons - spin + 1) % 2 or spin - 1 > electrons:
        raise InputError(f"{name}: {electrons} electrons cannot have multiplicity {spin}")
    atoms.info.update(charge=charge, spin=spin)
    return Item(name, {ROLE: atoms}, quick=quick)


def barrier(name: str, reference: float, top: Item, minima: Sequence[Item], group: str = "") -> Reaction:
    """The height of a transition state above the molecules that it comes from.

    Raises:
        InputError: the two have not the same atoms or charge, or a number is given twice.
    """
    counts = {top.name: 1, **{item.name: -1 for item in minima}}
    if len(counts) != 1 + len(minima) or not minima:
        raise InputError(f"{name}: one transition state and one or more different minima are expected")
    above, below = _sum([top]), _sum(minima)
    if above != below:
        raise InputError(
            f"{name}: the transition state is {_said(above)}, what it comes from is {_said(below)}"
        )
    return Reaction(name, reference, counts, group)


def compare(reactions: Iterable[Reaction], inputs: Inputs, values: Mapping[str, Values]) -> list[Compared]:
    """Energies of all reactions whose molecules were asked for, kcal/mol."""
    asked = {item.name for item in inputs.items}
    return [
        Compared(r.name, r.reference, r.energy(values), r.group, r.equation, items=tuple(r.counts))
        for r in reactions
        if asked.issuperset(r.counts)
    ]


def with_quick(items: Sequence[Item], reactions: Iterable[Reaction], number: int) -> list[Item]:
    """Items, of which those of the smallest reactions, by number of atoms, belong to the quick part."""
    size = {item.name: len(item.structures[ROLE]) for item in items}
    chosen = sorted(reactions, key=lambda r: sum(size[name] for name in r.counts))[:number]
    quick = {name for reaction in chosen for name in reaction.counts}
    return [replace(item, quick=item.name in quick) for item in items]


def _sum(items: Sequence[Item]) -> tuple[list[int], int]:
    """Atomic numbers, sorted, and charge, e."""
    structures = [item.structures[ROLE] for item in items]
    return sorted(Z for a in structures for Z in a.numbers.tolist()), sum(
        a.info["charge"] for a in structures
    )


def _said(content: tuple[list[int], int]) -> str:
    numbers, charge = content
    formula = "".join(f"{symbols([Z])[0]}{numbers.count(Z)}" for Z in sorted(set(numbers)))
    return f"{formula} of charge {charge:+d}"
