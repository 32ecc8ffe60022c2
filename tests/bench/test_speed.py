from __future__ import annotations

import pytest
import torch
from ase import Atoms

from crossfield.bench import speed
from crossfield.bench.memory import Usage
from crossfield.bench.speed import PUBLISHED, Evaluation, Speed, measure_speed, random_potential
from crossfield.graph import collate
from crossfield.inference import Potential
from crossfield.model import ModelConfig
from tests.structures import small_model, structures


@pytest.mark.parametrize("name", ["skewed crystal", "slab", "molecule", "isolated atom"])
def test_a_structure_of_any_kind_is_timed(name: str) -> None:
    atoms = structures()[name]
    atoms.info.update(charge=0, spin=1 + int(atoms.numbers.sum()) % 2)
    potential = Potential(small_model(), head="head0")
    found = measure_speed(potential, name, atoms, seconds=0.0)
    assert (found.structure, found.atoms) == (name, len(atoms))
    assert found.edges == potential.graph(atoms).num_edges
    assert found.evaluation > 0.0
    assert found.step > 0.0
    assert found.tables is not None
    assert found.tables.energy < 1e-6
    assert found.tables.force < 1e-5
    assert found.per_atom == found.evaluation / len(atoms)


@pytest.mark.parametrize("spacing", [2.2, 0.3])
def test_whole_steps_find_what_an_evaluation_does(spacing: float) -> None:
    """Also of several structures, and where atoms are closer than tables reach, which steps cannot do."""
    small = {"channels": 2, "edge_channels": None, "l_max": 1, "correlation": 2, "layers": 1}
    potential = Potential(small_model(**small), head="head0", backend="triton")
    crystals = [
        Atoms("HO", [[0, 0, 0], [spacing, 0.1, 0.2]], cell=[x, 3.1, 3.3], pbc=True) for x in (3.0, 3.2)
    ]
    graph = collate([potential.graph(atoms) for atoms in crystals])
    found = Evaluation(potential, graph).prediction()
    exact = potential.evaluate(graph)
    for name in ("energy", "forces", "stress"):
        assert torch.allclose(getattr(found, name), getattr(exact, name), rtol=1e-9, atol=1e-9), name


def test_days_and_steps() -> None:
    found = Speed("x", atoms=10, edges=80, evaluation=0.005, step=0.00864, memory=Usage(300.0, 20.0))
    assert found.nanoseconds_per_day == pytest.approx(10.0)
    facts = found.as_dict()
    assert facts["edges_per_atom"] == 8.0
    assert facts["steps_per_second"] == pytest.approx(1 / 0.00864)
    assert facts["evaluation_per_atom_s"] == pytest.approx(0.0005)
    assert (facts["peak_memory_MiB"], facts["memory_increase_MiB"]) == (300.0, 20.0)


def test_random_weights_are_of_the_published_size_and_the_same_every_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (PUBLISHED.channels, PUBLISHED.edge_channels, PUBLISHED.cutoff) == (512, 128, 6.0)
    assert len(PUBLISHED.elements) == 89
    small = {"elements": (1, 8), "channels": 4, "l_max": 1, "correlation": 2, "radial_network": (4,)}
    monkeypatch.setattr(speed, "PUBLISHED", ModelConfig.model_validate(small))
    one, other = random_potential(dtype="float64"), random_potential()
    assert one.model.dtype != other.model.dtype
    for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True):
        assert a.float().equal(b)
