from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.vibrations import VibrationsData

from crossfield.errors import InputError
from crossfield.inference import EdgeForces
from crossfield.inference import potential as potential_module
from crossfield.inference.potential import Potential, Result
from crossfield.model import Model, evaluate, hessian
from crossfield.theory import Head, Theory
from tests.structures import batch_of, graph_of, heads, small_model, structures


def check_equal(a: Result, b: Result, tolerance: float = 1e-12) -> None:
    assert a.head == b.head
    assert a.energy == pytest.approx(b.energy, rel=tolerance)
    np.testing.assert_allclose(a.energies, b.energies, rtol=tolerance)
    np.testing.assert_allclose(a.forces, b.forces, atol=tolerance * max(1.0, np.abs(b.forces).max()))
    assert (a.stress is None) == (b.stress is None)
    if a.stress is not None:
        np.testing.assert_allclose(a.stress, b.stress, atol=tolerance * max(1.0, np.abs(b.stress).max()))
    assert (a.atomic_stress is None) == (b.atomic_stress is None)
    if a.atomic_stress is not None:
        np.testing.assert_allclose(a.atomic_stress, b.atomic_stress, atol=tolerance)
    assert (a.edges is None) == (b.edges is None)
    if a.edges is not None:
        for field in fields(EdgeForces):
            mine, other = getattr(a.edges, field.name), getattr(b.edges, field.name)
            size = max(1.0, np.abs(other).max(initial=0.0))
            np.testing.assert_allclose(mine, other, atol=tolerance * size, err_msg=field.name)


def with_theory(model: Model, **fields: object) -> Potential:
    """The same weights, with one head of another theory."""
    theory = Theory(name="strict", **fields)
    first = model.heads[0].model_copy(update={"theory": theory})
    changed = Model(model.config, [first, *model.heads[1:]]).double()
    changed.load_state_dict(model.state_dict())
    return Potential(changed, "head0", table_accuracy=None)


@pytest.mark.parametrize("head", [0, 1])
def test_predict_is_evaluate(potential, head):
    """In order, split into structures, and nothing lost on the way."""
    given = structures()
    parts = {"edge_forces": True, "atomic_stress": True}
    results = potential.predict(list(given.values()), head=f"head{head}", **parts)
    assert len(results) == len(given)
    for result, atoms in zip(results, given.values()):
        graph = batch_of(atoms, head=head)
        p = evaluate(potential.model, graph, **parts)
        edges = (graph.sender, graph.receiver, graph.shift, graph.vectors(), p.edge_forces)
        periodic = bool(atoms.pbc.all())
        expected = Result(
            f"head{head}",
            float(p.energy),
            p.energies.numpy(),
            p.forces.numpy(),
            p.stress[0].numpy() if periodic else None,
            p.atomic_stress.numpy() if periodic else None,
            EdgeForces(*(values.numpy() for values in edges)),
        )
        check_equal(result, expected)
        assert result.energies.sum() == pytest.approx(result.energy, rel=1e-12)
        assert result.forces.shape == (len(atoms), 3)
        assert {result.energies.dtype, result.forces.dtype} == {np.dtype("float64")}


@pytest.mark.parametrize("limit", [potential_module.AUTO_BYTES, 1])
def test_batch_size_does_not_matter(potential, monkeypatch, limit):
    """Nor does the memory that "auto" allows; with one byte each structure is on its own."""
    monkeypatch.setattr(potential_module, "AUTO_BYTES", limit)
    given = [*structures().values(), Atoms("H"), Atoms("CO", [[0, 0, 0], [1.1, 0, 0]])]
    asked = {"head": "head1", "edge_forces": True, "atomic_stress": True}
    auto = potential.predict(given, **asked)
    parts = list(potential.in_batches([graph_of(a) for a in given], "auto"))
    assert (len(parts) == 1) == (limit > 1)
    assert sum(map(len, parts)) == len(given)
    for size in (1, 3, 100):
        for a, b in zip(auto, potential.predict(given, **asked, batch_size=size), strict=True):
            check_equal(a, b)


def test_order_is_kept(potential):
    given = list(structures().values())
    backwards = potential.predict(given[::-1], head="head0", batch_size=4)
    for a, b in zip(potential.predict(given, head="head0"), backwards[::-1], strict=True):
        check_equal(a, b)


def test_none_one_and_structures_without_atoms(potential):
    assert potential.predict([], head="head0") == []
    assert potential.predict([], head="head0", batch_size=2) == []
    water = molecule("H2O")
    (alone,) = potential.predict(water, head="head0")
    before, empty, after = potential.predict([water, Atoms(), water], head="head0")
    check_equal(alone, before)
    check_equal(alone, after)
    assert (empty.energy, empty.energies.shape, empty.forces.shape) == (0.0, (0,), (0, 3))


def test_only_what_was_asked_for(potential):
    given = structures()["rocksalt"]
    (everything,) = potential.predict(given, head="head0")
    for forces in (True, False):
        for stress in (True, False):
            (result,) = potential.predict(given, head="head0", forces=forces, stress=stress)
            assert result.energy == pytest.approx(everything.energy, rel=1e-12)
            assert (result.forces is not None) == forces
            assert (result.stress is not None) == stress
            assert result.edges is None
            assert result.atomic_stress is None
    for asked, got in {"edge_forces": "edges", "atomic_stress": "atomic_stress"}.items():
        (result,) = potential.predict(given, head="head0", forces=False, stress=False, **{asked: True})
        optional = ("forces", "stress", "edges", "atomic_stress")
        assert [name for name in optional if getattr(result, name) is not None] == [got]


@pytest.mark.parametrize("name", list(structures()))
def test_edges_are_those_of_the_structure(potential, name):
    """Counted from its own first atom, with vectors and shifts that fit the positions and the cell."""
    atoms = structures()[name]
    (_, result, _) = potential.predict([molecule("H2O"), atoms, atoms], head="head0", edge_forces=True)
    e = result.edges
    assert {a.dtype for a in (e.sender, e.receiver, e.shift)} == {np.dtype("int64")}
    assert {a.dtype for a in (e.vector, e.force)} == {np.dtype("float64")}
    assert e.shift.shape == e.vector.shape == e.force.shape == (len(e.sender), 3)
    between = atoms.positions[e.receiver] - atoms.positions[e.sender] + e.shift @ atoms.cell.array
    np.testing.assert_allclose(e.vector, between, atol=1e-12)
    assert (np.linalg.norm(e.vector, axis=1) < potential.cutoff).all()
    assert (np.diff(e.receiver) >= 0).all()
    forces = np.zeros((len(atoms), 3))
    np.add.at(forces, e.sender, e.force)
    np.subtract.at(forces, e.receiver, e.force)
    np.testing.assert_allclose(forces, result.forces, atol=1e-12)
    assert (len(e.sender) == 0) == (name in ("isolated atom", "far apart"))


@pytest.mark.parametrize("name", ["skewed crystal", "ion", "isolated atom"])
def test_hessian_is_that_of_the_model(potential, name):
    atoms = structures()[name]
    for i in (0, 1):
        H = potential.hessian(atoms, head=f"head{i}")
        np.testing.assert_array_equal(H, hessian(potential.model, batch_of(atoms, head=i)).numpy())
        assert H.dtype == np.float64


def test_hessian_is_ordered_as_in_ase():
    potential = Potential(small_model(), "head0")
    water = molecule("H2O")
    H = potential.hessian(water)
    blocks = VibrationsData.from_2d(water, H).get_hessian()  # (atom, axis, atom, axis)
    assert blocks[1, 2, 0, 1] == H[5, 1]
    assert H[5, 1] != 0


def test_hessian_of_what_cannot_be_read(potential):
    with pytest.raises(InputError, match=r"of one structure, an ase\.Atoms, not a list"):
        potential.hessian([molecule("H2O")], head="head0")
    with pytest.raises(InputError, match=r"^head 'head0' does not cover Au"):
        potential.hessian(Atoms("Au"), head="head0")
    with pytest.raises(InputError, match="choose one of: head0, head1"):
        potential.hessian(molecule("H2O"))


def test_the_structure_is_left_alone(potential):
    given = structures()["ion"]
    before = given.copy()
    potential.predict(given, head="head0")
    assert given == before
    assert given.info == before.info


def test_single_precision_is_close():
    model32, model64 = small_model(dtype=torch.float32), small_model()
    given = list(structures().values())
    for a, b in zip(Potential(model32, "head0").predict(given), Potential(model64, "head0").predict(given)):
        scale = 1e-4 * max(1.0, np.abs(b.forces).max())
        np.testing.assert_allclose(a.forces, b.forces, atol=scale)
        assert a.energy == pytest.approx(b.energy, abs=1e-5 * max(1.0, abs(b.energy)))


def test_heads():
    potential = Potential(small_model(), "head1")
    assert potential.theory_head().name == "head1"
    assert potential.theory_head("head0").name == "head0"
    water = molecule("H2O")
    assert potential.predict(water)[0].head == "head1"
    assert potential.predict(water, head="head0")[0].energy != potential.predict(water)[0].energy
    with pytest.raises(InputError, match="unknown head 'head2'; did you mean"):
        potential.predict(water, head="head2")
    with pytest.raises(InputError, match="unknown head 'head2'"):
        Potential(small_model(), "head2")
    one = Model(small_model().config, heads(1)).double()
    assert Potential(one).predict(water)[0].head == "head0"


def test_unknown_elements(potential):
    with pytest.raises(InputError) as error:
        potential.predict([molecule("H2O"), Atoms("AuH", [[0, 0, 0], [1.5, 0, 0]])], head="head0")
    assert str(error.value).startswith("frame 1: head 'head0' does not cover Au (it covers: H C N O Al Si")
    with pytest.raises(InputError, match=r"^head 'head0' does not cover Au"):
        potential.predict(Atoms("Au"), head="head0")


def test_elements_are_those_of_the_head(model):
    """The backbone knows N, but this head has no reference energy for it."""
    few = Head(name="few", theory=Theory(name="t"), E0={1: -1.0, 8: -2.0})
    potential = Potential(Model(model.config, [few, *heads(1)]).double())
    assert np.isfinite(potential.predict(molecule("H2O"), head="few")[0].energy)
    with pytest.raises(InputError, match=r"head 'few' does not cover N \(it covers: H O\)"):
        potential.predict(molecule("NH3"), head="few")


def test_charge_and_spin_matter_and_default_to_the_theory(model, potential):
    water = molecule("H2O")

    def energy(potential: Potential, **info: int) -> float:
        atoms = water.copy()
        atoms.info.update(info)
        return potential.predict(atoms, head="head0")[0].energy

    possible = [(-1, 2), (-1, 4), (0, 1), (0, 3), (1, 2), (1, 4)]
    assert len({energy(potential, charge=q, spin=s) for q, s in possible}) == 6
    assert energy(potential) == energy(potential, charge=0, spin=1)
    odd = with_theory(model, default_charge=1, default_spin=2)
    assert energy(odd) == pytest.approx(energy(potential, charge=1, spin=2), rel=1e-13)
    assert energy(odd, spin=2) == energy(odd)


def test_charge_and_spin_that_must_be_stated(model):
    strict = with_theory(model, default_charge=None, default_spin=None)
    water = molecule("H2O")
    with pytest.raises(
        InputError, match=r"theory 'strict' needs the charge of every structure: set atoms.info"
    ):
        strict.predict(water)
    water.info["charge"] = 0
    with pytest.raises(InputError, match="theory 'strict' needs the spin"):
        strict.predict(water)
    water.info["spin"] = 1
    assert np.isfinite(strict.predict(water)[0].energy)
    with pytest.raises(InputError, match=r"^frame 1: theory 'strict' needs the charge"):
        strict.predict([water, molecule("NH3")])


def test_a_model_that_reads_no_charge_needs_none():
    model = small_model(inputs={}, embedding_readout=False)
    strict = with_theory(model, default_charge=None, default_spin=None)
    (result,) = strict.predict(molecule("H2O"))
    exact = Potential(model, "head0", table_accuracy=None)
    assert result.energy == pytest.approx(exact.predict(molecule("H2O"))[0].energy, rel=1e-13)


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"charge": 0.5}, "charge = 0.5 is not a whole number"),
        ({"charge": float("nan")}, "charge = nan is not a whole number"),
        ({"charge": float("inf")}, "charge = inf is not a whole number"),
        ({"charge": "one"}, "charge = 'one' is not a whole number"),
        ({"charge": [1, 2]}, r"charge = \[1, 2\] is not a whole number"),
        ({"spin": 0}, "spin = 0 is not a whole number from 1"),
        ({"spin": -1}, "spin = -1 is not a whole number from 1"),
        ({"spin": 1.5}, "spin = 1.5 is not a whole number from 1"),
        ({"charge": 9}, "charge must be between -2 and 2 for this model"),
    ],
)
def test_impossible_charge_and_spin(potential, info, message):
    atoms = molecule("H2O")
    atoms.info.update(info)
    with pytest.raises(InputError, match=message):
        potential.predict(atoms, head="head0")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_positions_and_cells_that_are_no_numbers(potential, value):
    for change in ("positions", "cell"):
        atoms = structures()["rocksalt"]
        getattr(atoms, change)[0, 0] = value
        with pytest.raises(InputError, match="positions or cell contain NaN or infinity"):
            potential.predict(atoms, head="head0")


def test_atoms_at_the_same_place_name_the_frame(potential):
    with pytest.raises(InputError, match=r"^frame 2: atoms .* are at the same place"):
        potential.predict([Atoms("H"), Atoms("O"), Atoms("HH", [[0, 0, 0]] * 2)], head="head0")


@pytest.mark.parametrize("size", [0, -3])
def test_batch_size_below_one(potential, size):
    with pytest.raises(InputError, match="batch_size must be at least 1"):
        potential.predict(molecule("H2O"), head="head0", batch_size=size)


def test_spin_that_no_number_of_electrons_allows(potential):
    water = molecule("H2O")
    water.info.update(charge=1, spin=1)
    with pytest.raises(InputError, match=r"spin 1 is impossible with 9 electrons \(charge 1\)"):
        potential.predict(water, head="head0")


def test_heads_that_ignore_charge_refuse_one(model):
    neutral = with_theory(model, charge="ignored", spin="ignored")
    ion = molecule("OH")
    ion.info.update(charge=-1, spin=1)
    with pytest.raises(
        InputError, match=r"only knows structures of charge 0 \(theory .* ignores it\), not -1"
    ):
        neutral.predict(ion)
    ion.info.update(charge=0, spin=2)
    with pytest.raises(InputError, match=r"only knows structures of spin 1"):
        neutral.predict(ion)
    ion.info.clear()
    assert neutral.predict(ion)


def test_a_potential_says_what_it_is(potential):
    assert "head0" in repr(potential)
    assert "float64" in repr(potential)
