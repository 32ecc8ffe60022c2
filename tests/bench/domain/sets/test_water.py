from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes

from crossfield.bench.domain.benchmark import Item, NotConverged
from crossfield.bench.domain.scores import score
from crossfield.bench.domain.sets.water import BENCHMARK, FILES, MEASURED_DENSITY, RUNS, SHARED
from crossfield.bench.domain.sets.water_md import calculate, distribution, radii
from crossfield.bench.domain.sources import Sources
from crossfield.errors import InputError
from tests.bench.domain.sets.molecules import reasons


class Balloon(Calculator):  # type: ignore[misc]  # ASE has no types
    """Atoms that do not feel each other in a volume that wants to be `volume`."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, volume: float, bulk_modulus: float = 10.0) -> None:  # Å³, eV/Å³
        super().__init__()
        self.volume, self.stiffness = volume, bulk_modulus / volume

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        excess = self.atoms.get_volume() - self.volume
        self.results = {
            "energy": 0.5 * self.stiffness * excess**2,
            "forces": np.zeros((len(self.atoms), 3)),
            "stress": np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]) * self.stiffness * excess,
        }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The set, with lines that are easy to think about."""
    place = tmp_path / "water_MD_data"
    place.mkdir()
    for file in FILES.values():
        x, y = ([0.0, 5.0, 5.0, 20.0], [2.0, 0.85, 0.87, 0.86]) if "NPT" in file else ([2.0, 5.0], [1.0, 1.0])
        (place / file).write_text(json.dumps({"x": x, "y": y}))
    return tmp_path


def read(folder):
    return BENCHMARK.inputs(Sources(folder))


def flat(item: Item, value: float) -> dict[str, dict[str, list[float]]]:
    return {"rdf": {pair: [value] * len(radii(item.settings)) for pair in ("O-O", "O-H", "H-H")}}


def test_runs(folder):
    items = read(folder).items
    assert [item.name for item in items] == [f"{e}, replica {k}" for e in ("NVT", "NPT") for k in (1, 2)]
    start = items[0].structures["start"]
    assert start.get_chemical_formula() == "H128O64"
    assert start.cell.array[0, 0] / 2.0 > items[0].settings["longest"]
    assert BENCHMARK.opt_in
    assert BENCHMARK.dispersion
    assert not any(item.quick for item in items)


def test_distribution_of_one_pair_across_the_boundary():
    """One pair at 2.5 Å in 1000 Å³: its bin has 1000 over the volume of the shell."""
    atoms = Atoms("OH", [[0.5, 0, 0], [8.0, 0, 0]], cell=[10] * 3, pbc=True)
    g = distribution(atoms, 5.0, 25)
    shell = 4.0 / 3.0 * np.pi * (2.6**3 - 2.4**3)
    assert g["O-H"][12] == pytest.approx(1000.0 / shell)
    assert np.count_nonzero(g["O-H"]) == 1


def test_distribution_without_order_is_one():
    rng = np.random.default_rng(5)
    atoms = Atoms("O400H400", rng.uniform(0, 12, size=(800, 3)), cell=[12] * 3, pbc=True)
    for g in distribution(atoms, 6.0, 12).values():
        np.testing.assert_allclose(g[4:], 1.0, atol=0.1)


def test_constant_volume_run_averages_states():
    """Nothing moves at 0 K without forces: the mean is the state itself."""
    rng = np.random.default_rng(1)
    start = Atoms("O4H8", rng.uniform(0, 12, size=(12, 3)), cell=[12] * 3, pbc=True)
    settings = (
        SHARED | RUNS[0] | {"temperature": 1e-9, "equilibration": 0.02, "length": 0.04, "relaxation": 0}
    )
    values = calculate(Item("x", {"start": start}, settings | {"seed": 1}), Balloon(1728.0))
    expected = distribution(start, 6.0, 300)
    for pair, g in values["rdf"].items():
        np.testing.assert_allclose(g, expected[pair], atol=1e-5)


def test_density_is_that_of_the_wanted_volume():
    """The volume at which the pull of the calculator and the pressure of the gas make 1 bar."""
    start = Atoms("O8H16", np.random.default_rng(1).uniform(0, 6, size=(24, 3)), cell=[7.0] * 3, pbc=True)
    settings = (
        SHARED
        | RUNS[1]
        | {"equilibration": 0.5, "length": 0.1, "relaxation": 0, "taut": 20.0, "taup": 1000.0}
    )
    wanted = 240.0
    values = calculate(Item("x", {"start": start}, settings | {"seed": 1}), Balloon(wanted))
    volume = wanted + 24 * units.kB * 330.0 / (10.0 / wanted) / wanted
    density = np.mean(np.array(values["density"])[np.array(values["time"]) > 0.5])
    assert density == pytest.approx(8 * 18.015 / volume / 0.602214, rel=2e-3)
    assert values["time"] == pytest.approx(0.01 * np.arange(1, 61))
    assert 8 * 18.015 / start.get_volume() / 0.602214 < 0.8 * density  # it does start from another one


def test_a_liquid_that_boils_off_has_not_converged():
    start = Atoms("O8H16", np.random.default_rng(1).uniform(0, 6, size=(24, 3)), cell=[6.2] * 3, pbc=True)
    settings = SHARED | RUNS[1] | {"equilibration": 2.0, "relaxation": 0, "taup": 200.0, "seed": 1}
    with pytest.raises(NotConverged, match="did not stay together"):
        calculate(Item("x", {"start": start}, settings), Balloon(2400.0))


def test_errors_of_distributions_and_density(folder):
    """Distributions of 1.5 where it should be 1: MAE 0.5, and an overlap of 1 - 0.5 / 2.5."""
    inputs = read(folder)
    values = {item.name: flat(item, 1.25 + 0.5 * k) for k, item in enumerate(inputs.items[:2])}
    for item in inputs.items[2:]:
        values[item.name] = {
            "time": [5.0, 15.0, 25.0],
            "density": [9.9, MEASURED_DENSITY, MEASURED_DENSITY + 0.1],
        }
    found = BENCHMARK.analyse(inputs, values)
    assert found.metrics["MAE of g(r), O-H"] == pytest.approx(0.5)
    assert found.metrics["MAE of g(r), O-O, experiment"] == pytest.approx(0.5)
    assert found.metrics["Overlap of g(r)"] == pytest.approx(80.0)
    assert found.metrics["Density error"] == pytest.approx(0.05)  # what is before 10 ps does not count
    assert found.metrics["Density less that of PBE"] == pytest.approx(MEASURED_DENSITY + 0.05 - 0.86)
    scores = [score(metric, found.metrics[metric.name]) for metric in BENCHMARK.metrics[:2]]
    assert scores == [pytest.approx(0.0), pytest.approx(0.75)]
    assert len(found.curves) == 4 + 2


def test_the_reference_itself_is_perfect(folder):
    inputs = read(folder)
    found = BENCHMARK.analyse(inputs, {inputs.items[0].name: flat(inputs.items[0], 1.0)})
    assert found.metrics["Overlap of g(r)"] == pytest.approx(100.0)
    assert found.metrics["Density error"] is None


def test_nothing_calculated_gives_no_numbers(folder):
    found = BENCHMARK.analyse(read(folder), {})
    assert set(found.metrics.values()) == {None}
    assert set(found.metrics) == {metric.name for metric in BENCHMARK.metrics}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"x": [1, 2], "y": [1', "damaged"),
        ('{"x": [1, 2]}', "'y'"),
        ('{"x": [1, 2], "y": [1]}', "same count"),
        ('{"x": [1, NaN], "y": [1, 1]}', "finite"),
        ('{"x": [1, 1], "y": [1, 1]}', "fewer than two"),
        ('{"x": [1, "b"], "y": [1, 1]}', "damaged"),
    ],
)
def test_damaged_references_are_told_and_the_rest_goes_on(folder, text, reason):
    (folder / "water_MD_data" / FILES["O-H"]).write_text(text)
    inputs = read(folder)
    assert reason in reasons(inputs)["O-H"]
    assert FILES["O-H"] in reasons(inputs)["O-H"]
    found = BENCHMARK.analyse(inputs, {inputs.items[0].name: flat(inputs.items[0], 1.0)})
    assert found.metrics["Overlap of g(r)"] is None  # not the mean of two
    assert found.metrics["MAE of g(r), O-O"] == pytest.approx(0.0)


def test_missing_files_are_told(folder):
    (folder / "water_MD_data" / FILES["density"]).unlink()
    assert "missing" in reasons(read(folder))["density"]


def test_a_missing_set_stops_the_benchmark(tmp_path):
    with pytest.raises(InputError, match="water"):
        BENCHMARK.inputs(Sources(tmp_path, online=False))
