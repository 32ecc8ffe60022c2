"""Elements that come and go."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from crossfield.errors import InputError
from crossfield.heads import add_elements, most_alike, only_elements, replace_head
from crossfield.inference import Potential
from tests.heads.models import CONFIGURATIONS, answer, assert_same_answers, assert_same_model, features, made
from tests.structures import ELEMENTS, batch_of, structures

configurations = pytest.mark.parametrize("changes", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
precisions = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
HEADS = {"head0": "head0", "head1": "head1"}


@configurations
@precisions
def test_known_elements_stay_bit_for_bit(changes, dtype):
    model = made(dtype, **changes)
    more, origin = add_elements(model, [118, 3, 9])
    assert more.config.elements == tuple(sorted((*ELEMENTS, 3, 9, 118)))
    assert origin == {3: 1, 9: 17, 118: 47}
    assert more.heads == model.heads
    assert_same_answers(more, model, HEADS)
    assert_same_model(only_elements(more, ELEMENTS), model)


@configurations
def test_a_new_element_starts_as_the_one_most_like_it(changes):
    """Features depend on elements through weights and covalent radii only, and here not through the radii."""
    model = made(**{**changes, "transform": "none", "pair": "none"})
    more, origin = add_elements(model, [9])
    assert origin == {9: 17}
    atoms = Atoms("ClOHCl", positions=[[0, 0, 0], [1.6, 0, 0.2], [1.9, 0.9, 0.0], [0.2, -1.9, 0.4]])
    replaced = atoms.copy()
    replaced.numbers[[0, 3]] = 9
    head = replace_head(more, "head0", more.heads[0].model_copy(update={"E0": {9: -51.0, 8: -24.0, 1: -3.0}}))
    for a, b in zip(_features(more, replaced), _features(model, atoms), strict=True):
        assert torch.equal(a, b)
    (found,), (expected,) = (
        Potential(m, "head0", backend="reference").predict(x) for m, x in ((head, replaced), (model, atoms))
    )
    assert found.forces.tolist() == expected.forces.tolist()
    assert found.energy == pytest.approx(expected.energy, abs=1e-11)


def _features(model, atoms):
    batch = batch_of(atoms)
    with torch.no_grad():
        return [x for layer in model(batch, batch.vectors()).features for x in layer]


def test_heads_do_not_cover_new_elements():
    more, _ = add_elements(made(), [9])
    with pytest.raises(InputError, match="does not cover F"):
        Potential(more, "head0").predict(Atoms("F"))


@configurations
@precisions
def test_fewer_elements(changes, dtype):
    """A third of them, and those that are left answer as before."""
    model = made(dtype, **changes)
    few = only_elements(model, [8, 1, 6, 7])
    assert few.config.elements == (1, 6, 7, 8)
    assert few.config.scaled_for_elements == 10
    assert {z: -3.0 * z - 1 for z in (1, 6, 7, 8)} == few.heads[1].E0
    for name in ("molecule", "radical", "ion", "far apart"):
        for a, b in zip(
            _features(few, structures()[name]), _features(model, structures()[name]), strict=True
        ):
            assert torch.equal(a, b)
    (one,) = Potential(only_elements(model, [47]), "head1").predict(structures()["one-atom cell"])
    (same,) = Potential(model, "head1").predict(structures()["one-atom cell"])
    assert one.energy == pytest.approx(same.energy, rel=1e-12)
    assert_same_model(only_elements(model, ELEMENTS[::-1]), model)


def test_the_argument_is_not_changed():
    model = made(product_per_element=True)
    before, said, seen = (
        {k: v.clone() for k, v in model.state_dict().items()},
        answer(model, "head1"),
        features(model),
    )
    more, _ = add_elements(model, [9, 10])
    with torch.no_grad():
        for parameter in more.parameters():
            parameter.mul_(2.0)
    only_elements(model, [1])
    assert all(torch.equal(model.state_dict()[k], v) for k, v in before.items())
    assert torch.equal(answer(model, "head1").energy, said.energy)
    assert all(torch.equal(a, b) for a, b in zip(features(model), seen, strict=True))


@pytest.mark.parametrize(
    ("new", "known", "expected"),
    [
        ("Na", "H Li K", "Li"),  # of two equally near, the lighter
        ("Rb", "Li Na", "Na"),
        ("Si", "B C N Al P Ge", "C"),
        ("Pb", "C Hg Tl Bi", "C"),  # the group, however far
        ("He", "H Ne Be", "Ne"),
        ("Be", "He Li B Ra", "Ra"),
        ("Au", "Pt Hg Cu", "Cu"),
        ("Hf", "Lu Ta Ti La", "Ti"),
        ("Lu", "Hf Y Tm Ac", "Tm"),  # the series, not group 3
        ("Eu", "La Sm Gd Y", "Sm"),
        ("Ce", "Ba Hf Th", "Ba"),  # no lanthanide: the nearest number
        ("U", "Th Nd W", "Th"),
        ("Y", "La Lu Zr Sr", "Sr"),  # lanthanides are in no group
        ("Y", "La Sc Zr Sr", "Sc"),
        ("Og", "Rn Ts", "Rn"),
        ("Rf", "Lr Zr", "Zr"),
        ("F", "O Ne", "O"),
    ],
)
def test_the_rule(new, known, expected):
    found = most_alike(atomic_numbers[new], [atomic_numbers[s] for s in reversed(known.split())])
    assert chemical_symbols[found] == expected


def test_every_known_element_is_most_like_itself():
    assert all(most_alike(z, range(1, 119)) == z for z in range(1, 119))


def test_the_groups_of_the_periodic_table():
    """Two columns apart in number, these are alike: alkali metals to noble gases, with the long periods."""
    for group in (
        "H Li Na K Rb Cs Fr",
        "Be Mg Ca Sr Ba Ra",
        "Sc Y",
        "Ti Zr Hf Rf",
        "Fe Ru Os Hs",
        "Zn Cd Hg Cn",
        "B Al Ga In Tl Nh",
        "F Cl Br I At Ts",
        "He Ne Ar Kr Xe Rn Og",
    ):
        numbers = [atomic_numbers[s] for s in group.split()]
        for z in numbers:
            others = [w for w in range(1, 119) if w not in numbers]
            assert all(most_alike(z, [w, *others]) == w for w in numbers)


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda m: add_elements(m, [9, 8, 1]), "knows H O already .it knows: H C N O"),
        (lambda m: add_elements(m, [9, 9]), "F is named twice"),
        (lambda m: add_elements(m, [0]), "no element 0"),
        (lambda m: add_elements(m, [119]), "no element 119"),
        (lambda m: only_elements(m, []), "at least one element to keep .the model knows: H C"),
        (lambda m: only_elements(m, [1, 9]), "the model does not cover F .it covers: H C"),
        (lambda m: only_elements(m, [1, 1]), "H is named twice"),
        (lambda m: only_elements(m, [-1]), "no element -1"),
    ],
)
def test_refusals(operation, message):
    with pytest.raises(InputError, match=message):
        operation(MODEL)


MODEL = made(layers=1)
