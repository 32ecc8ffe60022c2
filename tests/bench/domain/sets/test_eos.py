"""Equations of state, with a calculator that follows a curve of Birch and Murnaghan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.collections import dcdft
from ase.eos import birchmurnaghan
from ase.utils.deltacodesdft import delta

from crossfield.bench.domain.benchmark import Inputs, Item, NotConverged
from crossfield.bench.domain.scores import score
from crossfield.bench.domain.sets import eos
from crossfield.bench.domain.sources import Sources


class CurveOfState(Calculator):  # type: ignore[misc]  # ASE has no types
    """Energy from the volume alone."""

    implemented_properties: ClassVar[list[str]] = ["energy"]

    def __init__(self, volume: float, bulk: float, derivative: float) -> None:
        super().__init__()
        self.curve = (bulk * units.GPa, derivative, volume)

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        volume = self.atoms.get_volume() / len(self.atoms)
        self.results = {"energy": len(self.atoms) * float(birchmurnaghan(volume, -3.0, *self.curve))}


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return eos.inputs(Sources(online=False))


def item(inputs: Inputs, name: str) -> Item:
    return next(i for i in inputs.items if i.name == name)


def test_all_elements_of_the_collection_are_there_at_the_volume_of_the_reference(inputs: Inputs) -> None:
    assert [i.name for i in inputs.items] == dcdft.names
    assert len(inputs.items) == 71
    assert not inputs.problems
    for one in inputs.items:
        crystal = one.structures["crystal"]
        assert crystal.get_volume() / len(crystal) == pytest.approx(dcdft.data[one.name]["wien2k_volume"])
        assert set(crystal.get_chemical_symbols()) == {one.name}


def test_curve_of_the_reference_has_no_delta(inputs: Inputs) -> None:
    values = json.loads(json.dumps(eos.calculate(item(inputs, "Cu"), CurveOfState(*inputs.context["Cu"]))))
    assert (values["volume"], values["B"], values["Bp"]) == pytest.approx(inputs.context["Cu"], rel=1e-4)
    findings = eos.analyse(inputs, {"Cu": values})
    assert findings.metrics["Delta"] == pytest.approx(0, abs=1e-2)
    assert findings.metrics["Volume"] == pytest.approx(0, abs=1e-2)


def test_delta_is_the_root_mean_square_of_the_difference(inputs: Inputs) -> None:
    volume, bulk, derivative = inputs.context["Cu"]
    off = (1.02 * volume, 0.9 * bulk, derivative)
    values = eos.calculate(item(inputs, "Cu"), CurveOfState(*off))
    findings = eos.analyse(inputs, {"Cu": values})
    grid = np.linspace(0.94, 1.06, 20001) * 1.01 * volume
    model, known = (
        np.asarray(birchmurnaghan(grid, 0.0, b * units.GPa, bp, v))
        for v, b, bp in (off, inputs.context["Cu"])
    )
    assert findings.metrics["Delta"] == pytest.approx(1000 * np.sqrt(((model - known) ** 2).mean()), rel=1e-3)
    assert findings.metrics["Volume"] == pytest.approx(2, rel=1e-3)
    assert findings.metrics["Bulk modulus"] == pytest.approx(10, rel=1e-2)


def test_minimum_outside_the_first_range_is_found(inputs: Inputs) -> None:
    volume, bulk, derivative = inputs.context["Cu"]
    values = eos.calculate(item(inputs, "Cu"), CurveOfState(1.25 * volume, bulk, derivative))
    assert values["volume"] == pytest.approx(1.25 * volume, rel=1e-4)


def test_energy_without_minimum_does_not_converge(inputs: Inputs) -> None:
    volume, bulk, derivative = inputs.context["Cu"]
    with pytest.raises(NotConverged, match="no minimum"):
        eos.calculate(item(inputs, "Cu"), CurveOfState(4 * volume, bulk, derivative))


def test_curves_show_energies_above_the_minimum_in_mev(inputs: Inputs) -> None:
    volume, bulk, derivative = inputs.context["Cu"]
    values = eos.calculate(item(inputs, "Cu"), CurveOfState(volume, bulk, derivative))
    (curve,) = eos.analyse(inputs, {"Cu": values}).curves
    ends = 1000 * birchmurnaghan(1.06 * volume, 0.0, bulk * units.GPa, derivative, volume)
    assert curve.y[-1] == pytest.approx(ends, rel=1e-3)
    assert curve.reference_y[-1] == pytest.approx(ends, rel=1e-3)
    assert min(curve.reference_y) == pytest.approx(0, abs=1e-3)


def test_missing_elements_are_listed_and_not_averaged(inputs: Inputs) -> None:
    findings = eos.analyse(inputs, {})
    assert findings.metrics == {}
    assert len(findings.entries) == 3 * 71
    assert {e.predicted for e in findings.entries} == {None}
    assert {e.group for e in findings.entries if e.name in ("O", "Ne", "Fe")} == {
        "molecular",
        "noble gas",
        "magnetic",
    }


def test_experiment_is_farther_from_pbe_than_the_threshold() -> None:
    found = []
    for name in dcdft.names:
        row = dcdft.data[name]
        if "exp_volume" in row:
            curves = (
                (row[f"{s}_volume"], row[f"{s}_B"] * units.GPa, row[f"{s}_Bp"]) for s in ("wien2k", "exp")
            )
            found.append(1000 * delta(*next(curves), *next(curves)))
    metric = next(m for m in eos.BENCHMARK.metrics if m.name == "Delta")
    assert len(found) == 58
    assert score(metric, float(np.mean(found))) == 0
    assert score(metric, 1.0) == 1


def test_set_that_ships_with_ase_needs_no_folder(tmp_path: Path) -> None:
    assert len(eos.inputs(Sources(tmp_path, online=False)).items) == 71
