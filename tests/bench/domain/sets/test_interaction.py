from __future__ import annotations

import pytest
from ase import Atoms
from ase.build import molecule

from crossfield.bench.domain.benchmark import Inputs
from crossfield.bench.domain.sets.differences import UNITS, Difference, add, compare, mean_absolute_error
from crossfield.bench.domain.sets.interaction import interaction
from crossfield.errors import InputError


def charged(atoms: Atoms, charge: int = 0) -> Atoms:
    atoms.info["charge"] = charge
    return atoms


def parts(first: int = 0, second: int = 0, whole: int | None = None) -> dict[str, Atoms]:
    host, guest = molecule("C6H6"), molecule("H2O")
    total = first + second if whole is None else whole
    return {
        "complex": charged(host + guest, total),
        "host": charged(host, first),
        "guest": charged(guest, second),
    }


@pytest.mark.parametrize(
    ("charges", "kind"),
    [((0, 0), "neutral-neutral"), ((2, 0), "ion-neutral"), ((0, -2), "ion-neutral"), ((2, -2), "ion-ion")],
)
def test_interactions_are_told_apart_by_the_charges_of_the_parts(charges: tuple[int, int], kind: str) -> None:
    item, difference = interaction("a", parts(*charges), -1.0, quick=True)
    assert difference.group == kind
    assert difference.terms == {"complex": 1.0, "host": -1.0, "guest": -1.0}
    assert item.structures["host"].info == {"charge": charges[0], "spin": 1}


def test_sizes_and_charges_are_stated() -> None:
    _, difference = interaction("a", parts(2, 0), -1.0, quick=True)
    assert difference.note == "complex of 15 atoms, +2 e; host of 12 atoms, +2 e; guest of 3 atoms"


def test_what_does_not_add_up_is_refused() -> None:
    with pytest.raises(InputError, match=r"charges \+2 and \+0 of the parts, \+0 of the complex"):
        interaction("a", parts(2, 0, whole=0), -1.0, quick=True)
    with pytest.raises(InputError, match=r"host C6H6 of charge \+1 has an unpaired electron"):
        interaction("a", parts(1, 1), -1.0, quick=True)
    other = parts() | {"guest": charged(molecule("NH3"))}
    with pytest.raises(InputError, match="does not consist of C6H6 and H3N"):
        interaction("a", other, -1.0, quick=True)


@pytest.mark.parametrize("unit", UNITS)
def test_an_error_of_one_is_one_in_every_unit(unit: str) -> None:
    """And units are what they are: 1 eV = 23.06 kcal/mol = 96.49 kJ/mol."""
    assert 1 / UNITS["kcal/mol"] == pytest.approx(23.0605, rel=1e-4)
    assert 1 / UNITS["kJ/mol"] == pytest.approx(96.4853, rel=1e-4)
    assert 1 / UNITS["meV"] == pytest.approx(1000)
    inputs = Inputs(context={})
    item, difference = interaction("a", parts(), -7.0, quick=True)
    add(inputs, item, difference)
    compared = compare(inputs, {"a": {"complex": -6.0 * UNITS[unit], "host": 0.0, "guest": 0.0}}, unit)
    assert mean_absolute_error(compared) == pytest.approx(1.0)
    assert mean_absolute_error(compare(inputs, {}, unit)) is None


def test_a_name_that_occurs_twice_is_refused() -> None:
    inputs = Inputs(context={})
    item, difference = interaction("a", parts(), -7.0, quick=True)
    add(inputs, item, difference)
    with pytest.raises(InputError, match="a occurs twice"):
        add(inputs, item, Difference({}, 0.0))
