"""Plans of Triton kernels: equal to plain torch on the CPU, for every kind of model."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from crossfield.inference import Potential
from crossfield.inference.gpu import plan as gpu_plan
from tests.gpu import DEVICE
from tests.structures import batch_of, small_model, structures

pytest.importorskip("triton")
CONFIGURATIONS = {
    "nonlinear": {},
    "density, elements": {
        "interaction": "density_residual",
        "first_interaction": "density",
        "product_per_element": True,
        "layers": 3,
        "max_L": 1,
    },
    "one layer": {"layers": 1, "interaction": "plain", "average_neighbours": 5.0},
    "narrow edges": {"edge_channels": 3, "edge_channels_first": False, "readout": "bias"},
}


@pytest.fixture(autouse=True)
def _memory_with_anything_in_it(monkeypatch):
    """New memory holds NaN: what is read before it is written is seen."""
    empty = torch.empty

    def filled(*args, **kwargs):
        x = empty(*args, **kwargs)
        return x.fill_(torch.nan) if x.is_floating_point() else x

    monkeypatch.setattr(torch, "empty", filled)


def awkward() -> list[Atoms]:
    """Skewed cells, slabs, atoms alone, dimers at short range: all in one batch."""
    return list(structures().values())


def compare(found: Potential, exact: Potential, atoms: list[Atoms], tolerance: float) -> None:
    ours = found.predict(atoms, batch_size=len(atoms))
    theirs = exact.predict(atoms, batch_size=len(atoms))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.energies, b.energies, rtol=tolerance, atol=tolerance)
        pairs = [(a.forces, b.forces)] + ([(a.stress, b.stress)] if b.stress is not None else [])
        for x, y in pairs:
            np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * max(1.0, np.abs(y).max(initial=0.0)))


@pytest.mark.parametrize("configuration", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_equal_to_the_reference(configuration):
    found = Potential(small_model(**configuration).to(DEVICE), "head0", backend="triton", table_accuracy=None)
    compare(found, Potential(small_model(**configuration), "head0", backend="reference"), awkward(), 1e-12)


def test_single_precision_and_tables():
    found = Potential(small_model().float().to(DEVICE), "head0", backend="triton")
    compare(found, Potential(small_model(), "head0", backend="reference"), awkward(), 2e-5)


def test_same_tables_as_on_the_processor():
    """Two ways to write down one spline."""
    found = Potential(small_model().to(DEVICE), "head0", backend="triton", table_accuracy=1e-3)
    compare(found, Potential(small_model(), "head0", backend="numba", table_accuracy=1e-3), awkward(), 1e-10)


def test_blocks_of_atoms(monkeypatch):
    """What the reverse pass needs is computed again, and the result is the same to round-off."""
    atoms = [structures()["slab"], structures()["molecule"]]
    potential = Potential(small_model().to(DEVICE), "head0", backend="triton")
    whole = potential.predict(atoms, batch_size=2)
    (plan,) = potential._prepared._sets[0].plans.values()
    atom = max(layer.scratch_size for layer in plan.layers) * plan.dtype.itemsize
    monkeypatch.setattr(gpu_plan, "BLOCK_BYTES", 7 * atom)
    potential._prepared._begin()
    found = potential.predict(atoms, batch_size=2)
    (plan,) = potential._prepared._sets[0].plans.values()
    assert plan.block == 7
    for a, b in zip(found, whole, strict=True):
        np.testing.assert_allclose(a.forces, b.forces, rtol=0, atol=1e-13)
        np.testing.assert_allclose(a.energies, b.energies, rtol=1e-14)


def test_twice_the_same_bits():
    potential = Potential(small_model().float().to(DEVICE), "head0", backend="triton")
    atoms = structures()["molecule"]
    first, again = potential.predict(atoms)[0], potential.predict(atoms)[0]
    assert first.energy == again.energy
    assert np.array_equal(first.forces, again.forces)


def test_energies_alone():
    potential = Potential(small_model().to(DEVICE), "head0", backend="triton")
    atoms = structures()["molecule"]
    alone = potential.predict(atoms, forces=False, stress=False)[0]
    assert alone.forces is None
    assert alone.energy == potential.predict(atoms)[0].energy


def test_training_on_these_kernels():
    """Gradients of forces by the weights, as training takes them."""
    from crossfield.graph import collate
    from crossfield.kernels.backend import use
    from crossfield.model import evaluate

    found = {}
    for backend in ("reference", "triton"):
        model = small_model()
        potential = Potential(model, "head0", backend="reference")
        graph = collate([potential.graph(structures()[name]) for name in ("slab", "molecule")])
        model.requires_grad_(True)
        use(model, backend)
        result = evaluate(model, graph, training=True, stress=False)
        assert result.forces is not None
        loss = result.energy.square().sum() + result.forces.square().sum()
        parameters = [p for p in model.parameters() if p.requires_grad]
        found[backend] = torch.autograd.grad(loss, parameters, allow_unused=True)
    for a, b in zip(found["triton"], found["reference"], strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9 * float(b.abs().max()))


@pytest.mark.parametrize("name", ["skewed crystal", "slab", "molecule", "isolated atom"])
def test_whole_steps(name):
    """As atoms and cells move, the calculator gives what `predict` does, whatever was laid out."""
    from crossfield import Calculator

    atoms = structures()[name]
    atoms.calc = Calculator(Potential(small_model().to(DEVICE), "head0", backend="triton"), skin=0.3)
    other = Potential(small_model(), "head0", backend="numba")
    for size in (0.0, 0.02, 0.3, 0.01):
        atoms.rattle(size, seed=3)
        if atoms.pbc.all():
            atoms.set_cell(atoms.cell * (1.0 + 0.05 * size), scale_atoms=True)
        exact = other.predict(atoms)[0]
        assert atoms.get_potential_energy() == pytest.approx(exact.energy, abs=1e-9)
        np.testing.assert_allclose(atoms.get_forces(), exact.forces, rtol=0, atol=1e-9)
        if exact.stress is not None:
            np.testing.assert_allclose(atoms.get_stress(voigt=False), exact.stress, rtol=0, atol=1e-10)


def test_copies_lay_out_for_themselves():
    from crossfield import Calculator

    atoms = structures()["ion"]
    atoms.calc = Calculator(Potential(small_model(layers=1).to(DEVICE), "head0", backend="triton"))
    energy = atoms.get_potential_energy()
    atoms.calc = copy.deepcopy(atoms.calc)
    atoms.calc.reset()
    assert atoms.get_potential_energy() == energy


def test_steps_notice_that_the_model_has_changed():
    from crossfield import Calculator

    potential = Potential(small_model(layers=1).to(DEVICE), "head0", backend="triton")
    atoms = structures()["ion"]
    atoms.calc = Calculator(potential)
    before = atoms.get_potential_energy()
    with torch.no_grad():
        next(iter(potential.model.readouts.parameters())).mul_(1.1)
    atoms.calc.reset()
    assert abs(atoms.get_potential_energy() - before) > 1e-6
    exact = Potential(potential.model.cpu(), "head0", backend="numba").predict(atoms)[0]
    assert atoms.get_potential_energy() == pytest.approx(exact.energy, abs=1e-9)


def test_other_structures_in_the_place_of_some(monkeypatch):
    """What was laid out for some structures serves others, of other elements and charges."""
    from crossfield.inference.gpu import step as steps

    monkeypatch.setattr(steps, "RUNGS", 2)  # wide rooms
    monkeypatch.setattr(steps, "WASTE", 0.3)
    settings = CONFIGURATIONS["density, elements"] | {"layers": 1}
    potential = Potential(small_model(**settings).to(DEVICE), "head0", backend="triton")
    exact = Potential(small_model(**settings), "head0", backend="numba")
    some = {"copper": bulk("Cu", "fcc", a=3.7)} | structures()
    batches = ("slab", "ion"), ("molecule",), ("radical", "copper"), ("copper",) * 15
    potential.prepared.expect(torch.cat([batch_of(some[name]).Z for batch in batches for name in batch]))
    made, step = [], None
    for names in batches:
        atoms = [some[name] for name in names]
        graph = batch_of(*atoms)
        step = steps.step_for(potential.prepared, graph, step)
        made.append(step)
        found = step.on_host(graph.positions, graph.cell)
        expected = exact.predict(atoms)
        assert found.energies.shape == (graph.num_atoms,)
        np.testing.assert_allclose(found.energy, [r.energy for r in expected], rtol=1e-12)
        np.testing.assert_allclose(
            found.forces, np.concatenate([r.forces for r in expected]), rtol=0, atol=1e-9
        )
        for stress, result in zip(found.stress(graph.cell, graph.periodic), expected, strict=True):
            if result.stress is not None:
                np.testing.assert_allclose(stress, result.stress, atol=1e-9)
    assert made[0] is made[1] is made[2]
    assert made[3] is not made[0]
    assert made[3].memory is made[0].memory
    assert not made[0].takes(made[0].plan, batch_of(some["molecule"]))  # its memory is another's


def test_sizes_of_rooms():
    from crossfield.inference.gpu.step import RUNGS, Room, rung

    sizes = np.arange(1, 5000)
    rooms = np.array([rung(int(n)) for n in sizes])
    assert (rooms >= sizes).all()
    assert (rooms <= sizes * (1 + 1 / RUNGS)).all()
    assert len(np.unique(rooms)) <= 2 * RUNGS + RUNGS * 8
    assert np.array_equal([rung(int(n)) for n in rooms], rooms)
    few, many = (
        Room.of(SimpleNamespace(num_atoms=9, num_structures=1, num_edges=E)).edges / E
        for E in (90_000, 90_000_000)
    )
    assert 1.2 <= few <= 1.2 * (1 + 1 / RUNGS)
    assert 1.04 <= many <= 1.04 * (1 + 1 / RUNGS)  # less to spare, where much would be a lot


@pytest.mark.parametrize("name", ["nonlinear", "density, elements"])
def test_a_step_stays_on_the_device(name):
    """Numbers are on a device that has none: reading one, or mixing them with others, would raise."""
    from crossfield.inference.freeze import Frozen
    from crossfield.inference.gpu.plan import GpuPlan
    from crossfield.inference.gpu.step import Step
    from crossfield.inference.tables import POLYNOMIALS, build
    from crossfield.kernels.gpu.build import look

    model, device = small_model(inputs={}, embedding_readout=False, **CONFIGURATIONS[name]), "meta"
    batches = [batch_of(structures()[name]) for name in ("ion", "slab")]
    elements = model.element_of[torch.cat([graph.Z for graph in batches])].unique().tolist()
    frozen = Frozen(model, 0, elements)
    radial = build(frozen, start=0.5, step=0.5, dtype=torch.float64, form=POLYNOMIALS)
    with look() as seen:
        step = Step(GpuPlan(frozen, torch.float64, torch.device(device), radial), batches[1])
        step.lay_out(batches[0])
        found = step(batches[0].positions, batches[0].cell)
    assert found.forces.shape == (2, 3)
    assert {x.device.type for x in found} == {device}
    assert len(seen) > 20
    for one in seen:
        assert {x.device.type for x in one.arguments if isinstance(x, torch.Tensor)} == {device}, one.name


def test_whatever_says_the_charge():
    """A step is laid out for it anew, whether it is a number or an array of one; likewise for a head."""
    from crossfield import Calculator

    atoms, model = structures()["ion"], small_model(layers=1)
    atoms.calc = Calculator(Potential(model.to(DEVICE), "head0", backend="triton"))
    exact = Potential(small_model(layers=1), "head0", backend="numba")
    for charge, head in ((np.array(-1), "head0"), (np.array(1), "head0"), (1, "head1")):
        atoms.info["charge"] = charge
        atoms.calc.head = head
        atoms.calc.reset()
        expected = exact.predict(atoms, head=head)[0].energy
        assert atoms.get_potential_energy() == pytest.approx(expected, abs=1e-9)


def test_models_that_change_their_precision():
    from crossfield import Calculator

    atoms, potential = (
        structures()["ion"],
        Potential(small_model(layers=1).float().to(DEVICE), "head0", backend="triton"),
    )
    atoms.calc = Calculator(potential)
    single = atoms.get_potential_energy()
    potential.model.double()
    atoms.calc.reset()
    assert atoms.get_potential_energy() == pytest.approx(single, abs=1e-4)
    potential.model.E0.add_(1.0)
    atoms.calc.reset()
    assert atoms.get_potential_energy() == pytest.approx(single + 2.0, abs=1e-4)


def test_a_step_that_cannot_be_made_leaves_nothing_behind(monkeypatch):
    """As where a structure does not fit into memory: the one before it is laid out anew."""
    from crossfield import Calculator
    from crossfield.inference.gpu.step import Step

    calculator = Calculator(Potential(small_model(layers=1).to(DEVICE), "head0", backend="triton"))
    small, large = structures()["ion"], structures()["molecule"]
    small.calc = large.calc = calculator
    energy = small.get_potential_energy()
    monkeypatch.setattr(Step, "lay_out", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError()))
    with pytest.raises(torch.OutOfMemoryError):
        large.get_potential_energy()
    monkeypatch.undo()
    calculator.reset()
    assert small.get_potential_energy() == energy


def test_recording(monkeypatch):
    """Only what is evaluated twice is recorded, once; a recording that fails is not kept."""
    from contextlib import contextmanager, nullcontext

    from crossfield.inference.gpu import step as steps

    done = []

    class Graph:
        def replay(self):
            done.append("replayed")

    @contextmanager
    def record(graph, *, stream, capture_error_mode):
        assert isinstance(graph, Graph)
        assert capture_error_mode == "thread_local"  # others may go on meanwhile
        yield
        done.append("recorded")

    def fail() -> None:
        raise torch.OutOfMemoryError

    potential = Potential(small_model(layers=1), "head0", backend="triton")
    step = steps.step_for(potential.prepared, batch_of(structures()["ion"]), None)
    for name, value in (("device", nullcontext), ("CUDAGraph", Graph), ("graph", record)):
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(steps, "_stream", lambda device: None)
    monkeypatch.setattr(step, "_compute", lambda: done.append("computed"))
    step._replay()
    monkeypatch.setattr(step, "_compute", fail)
    with pytest.raises(torch.OutOfMemoryError):
        step._replay()
    monkeypatch.setattr(step, "_compute", lambda: done.append("computed"))
    step._replay()
    step._replay()
    assert done == ["computed", "computed", "recorded", "replayed", "replayed"]
