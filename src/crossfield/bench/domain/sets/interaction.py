"""Interaction energies of two parts in a complex: what all sets of them check, and how errors are split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ase import Atoms

from crossfield.bench.domain.benchmark import Item
from crossfield.bench.domain.sets.differences import Compared, Difference, mean_absolute_error
from crossfield.bench.domain.sets.reading import same_atoms
from crossfield.errors import InputError

NEUTRAL, ION_NEUTRAL, ION_ION = "neutral-neutral", "ion-neutral", "ion-ion"


def interaction(
    name: str, structures: Mapping[str, Atoms], reference: float, *, quick: bool
) -> tuple[Item, Difference]:
    """The item of a complex, and the energy of the complex less that of its parts.

    Args:
        name: of the item.
        structures: the complex, then its two parts, by role, each with `info["charge"]` in e; closed shells.
        reference: of the difference, in the unit of the benchmark.
        quick: as in `Item`.

    Raises:
        InputError: atoms or charges of the parts are not those of the complex, or an electron is unpaired.
    """
    (whole_role, whole), *parts = structures.items()
    if not same_atoms(whole, [part for _, part in parts]):
        formulas = " and ".join(part.get_chemical_formula() for _, part in parts)
        raise InputError(f"{name}: {whole.get_chemical_formula()} does not consist of {formulas}")
    charges = [part.info["charge"] for _, part in parts]
    if whole.info["charge"] != sum(charges):
        stated = " and ".join(f"{q:+d}" for q in charges)
        raise InputError(f"{name}: charges {stated} of the parts, {whole.info['charge']:+d} of the complex")
    for role, atoms in structures.items():
        if (int(atoms.numbers.sum()) - atoms.info["charge"]) % 2:
            raise InputError(
                f"{name}: {role} {atoms.get_chemical_formula()} of charge {atoms.info['charge']:+d} has an "
                "unpaired electron, so its elements or its charge are wrong"
            )
    kind = (NEUTRAL, ION_NEUTRAL, ION_ION)[sum(q != 0 for q in charges)]
    terms = {whole_role: 1.0, **{role: -1.0 for role, _ in parts}}
    return Item(name, structures, quick=quick), Difference(terms, reference, kind, _stated(structures))


def mae_of(compared: Iterable[Compared], kinds: Sequence[str]) -> float | None:
    """Mean absolute error of the interactions of some kinds."""
    return mean_absolute_error(c for c in compared if c.group in kinds)


def _stated(structures: Mapping[str, Atoms]) -> str:
    """Sizes and charges, for the table."""
    words = []
    for role, atoms in structures.items():
        charge = f", {atoms.info['charge']:+d} e" if atoms.info["charge"] else ""
        words.append(f"{role} of {len(atoms)} atoms{charge}")
    return "; ".join(words)
