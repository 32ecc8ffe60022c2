"""Elastic constants and moduli, of crystals of springs and of copper in effective medium theory."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT

from crossfield.bench.domain.benchmark import Item, NotConverged
from crossfield.bench.domain.sets import elasticity
from crossfield.bench.domain.sets.elastic_constants import VOIGT, elastic_constants, moduli, strained
from crossfield.bench.domain.sources import Sources
from crossfield.errors import InputError
from tests.bench.domain.sets.springs import STIFFNESS, Springs

A = 3.6  # Å
SMALL: dict[str, Any] = {**elasticity.SETTINGS, "normal": [-1e-3, 1e-3], "shear": [-1e-3, 1e-3], "fmax": 1e-4}


def cubic(c11: float, c12: float, c44: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Elastic constants of a cubic crystal."""
    return np.diag([c11 - c12] * 3 + [c44] * 3) + np.pad(np.full((3, 3), c12), (0, 3))


def record(name: str, atoms: Atoms, **change: Any) -> dict[str, Any]:
    """A record of the published file; structures as pymatgen writes them."""
    sites = [
        {"species": [{"element": s, "occu": 1}], "abc": abc.tolist(), "label": s}
        for s, abc in zip(atoms.get_chemical_symbols(), atoms.get_scaled_positions(), strict=True)
    ]
    structure = {"lattice": {"matrix": atoms.cell.array.tolist()}, "sites": sites}
    return {
        "mp_id": name,
        "formula": atoms.get_chemical_formula(empirical=True),
        "structure": structure,
        "bulk_modulus_vrh": 100.0,
        "shear_modulus_vrh": 50.0,
        **change,
    }


def write(folder: Path, *records: object) -> Sources:
    """The published file, cut down."""
    (folder / elasticity.FILE).write_bytes(gzip.compress(json.dumps(records).encode()))
    return Sources(folder, online=False)


def test_springs_have_the_constants_known_by_hand() -> None:
    item = Item("Cu", {"crystal": bulk("Cu", "fcc", a=A + 0.05)}, SMALL)
    values = elasticity.calculate(item, Springs({"Cu-Cu": A / np.sqrt(2)}))
    unit = STIFFNESS / A / units.GPa
    assert np.array(values["constants"]) == pytest.approx(cubic(2 * unit, unit, unit), abs=2e-3 * unit)
    assert values["volume"] == pytest.approx(A**3 / 4, rel=1e-3)


def test_constants_are_second_derivatives_of_the_energy() -> None:
    crystal = bulk("Cu", "fcc", a=3.58988)  # relaxed in effective medium theory
    crystal.calc = EMT()

    def energy(component: tuple[int, int], amount: float) -> float:
        atoms = strained(crystal, component, amount)
        atoms.calc = EMT()
        return float(atoms.get_potential_energy())

    def stress(atoms: Atoms) -> Any:
        atoms.calc = EMT()
        return atoms.get_stress()

    constants = elastic_constants(crystal, stress, [-2e-3, 2e-3], [-2e-3, 2e-3])
    h = 2e-3
    for row, component in enumerate(VOIGT):
        curvature = (energy(component, h) - 2 * energy(component, 0) + energy(component, -h)) / h**2
        engineering = 1 if row < 3 else 4  # twice the component, squared
        expected = curvature / engineering / crystal.get_volume() / units.GPa
        assert constants[row, row] == pytest.approx(expected, rel=0.02)


def test_strain_is_that_of_green_and_lagrange_without_rotation() -> None:
    crystal = bulk("Cu", "fcc", a=A)
    gradient = np.linalg.solve(crystal.cell.array, strained(crystal, (0, 1), 0.06).cell.array)
    assert gradient == pytest.approx(gradient.T)
    expected = np.zeros((3, 3))
    expected[0, 1] = expected[1, 0] = 0.06
    assert (gradient.T @ gradient - np.eye(3)) / 2 == pytest.approx(expected)


def test_averages_of_copper_are_those_of_the_textbook() -> None:
    # Voigt 54.6 and Reuss 40.3 GPa for the shear; the bulk modulus is (C11 + 2 C12) / 3
    found = moduli(cubic(168.4, 121.4, 75.4))
    voigt = (168.4 - 121.4 + 3 * 75.4) / 5
    reuss = 5 * (168.4 - 121.4) * 75.4 / (4 * 75.4 + 3 * (168.4 - 121.4))
    assert found.bulk == pytest.approx((168.4 + 2 * 121.4) / 3)
    assert found.shear == pytest.approx((voigt + reuss) / 2)
    assert moduli(cubic(3.0, 1.0, 1.0)) == pytest.approx((5 / 3, 1.0))  # isotropic: C11 - C12 = 2 C44


def test_errors_are_in_gpa_and_implausible_predictions_are_counted(tmp_path: Path) -> None:
    copper = bulk("Cu", "fcc", a=A)
    inputs = elasticity.inputs(write(tmp_path, *(record(f"mp-{i}", copper) for i in range(4))))
    isotropic = cubic(100 + 1 + 4 / 3 * 48, 100 + 1 - 2 / 3 * 48, 48).tolist()  # B 101, G 48
    singular = np.zeros((6, 6)).tolist()
    stiff = cubic(3000.0, 1000.0, 1000.0).tolist()
    values = {
        name: {"constants": c} for name, c in (("mp-0", isotropic), ("mp-1", singular), ("mp-2", stiff))
    }
    findings = elasticity.analyse(inputs, values)
    assert findings.metrics["Bulk modulus MAE"] == pytest.approx(1)
    assert findings.metrics["Shear modulus MAE"] == pytest.approx(2)
    assert "2 predictions outside" in findings.notes[0]
    shown = {(e.items[0], e.quantity): (e.predicted, e.note) for e in findings.entries}
    assert shown["mp-1", "bulk modulus"] == (None, "left out of the mean: no elastic solid")
    assert shown["mp-2", "bulk modulus"][0] == pytest.approx(5000 / 3)
    assert shown["mp-3", "shear modulus"] == (None, "")
    assert elasticity.analyse(inputs, {}).metrics["Bulk modulus MAE"] is None


def test_records_that_are_broken_are_problems_and_the_rest_goes_on(tmp_path: Path) -> None:
    copper = bulk("Cu", "fcc", a=A)
    mixed = record("mp-mixed", copper)
    mixed["structure"]["sites"][0]["species"] = [{"element": "Cu", "occu": 0.5}]
    flat = record("mp-flat", copper)
    flat["structure"]["lattice"]["matrix"][2] = [0, 0, 0]
    inputs = elasticity.inputs(
        write(
            tmp_path,
            record("mp-good", copper),
            record("mp-good", copper),
            record("mp-nan", copper, bulk_modulus_vrh=float("nan")),
            record("mp-none", copper, shear_modulus_vrh=None),
            mixed,
            flat,
            {"mp_id": "mp-empty", "bulk_modulus_vrh": 1.0, "shear_modulus_vrh": 1.0},
            "rubbish",
        )
    )
    assert [item.name for item in inputs.items] == ["mp-good"]
    reasons = {p.name: p.reason for p in inputs.problems}
    assert "occurs twice" in reasons["mp-good"]
    assert "bulk_modulus_vrh is nan" in reasons["mp-nan"]
    assert "shear_modulus_vrh is None" in reasons["mp-none"]
    assert "occupied by 0.5 Cu" in reasons["mp-mixed"]
    assert "no volume" in reasons["mp-flat"]
    assert {"mp-empty", "record 7"} <= reasons.keys()


def test_protocol_leaves_out_gases_light_crystals_and_strange_references(tmp_path: Path) -> None:
    copper = bulk("Cu", "fcc", a=A)
    inputs = elasticity.inputs(
        write(
            tmp_path,
            record("mp-1", copper),
            record("mp-2", copper, bulk_modulus_vrh=501.0),
            record("mp-3", copper, shear_modulus_vrh=-1.0),
            record("mp-4", bulk("Ar", "fcc", a=5.3)),
            record("mp-5", bulk("Li", "fcc", a=5.0)),  # 0.37 g/cm³
        )
    )
    assert [item.name for item in inputs.items] == ["mp-1"]
    assert not inputs.problems
    assert "4 records are not used" in elasticity.analyse(inputs, {}).notes[0]


def test_quick_part_is_small_cells_from_all_over_the_set(tmp_path: Path) -> None:
    small, large = bulk("Cu", "fcc", a=A), bulk("Cu", "fcc", a=A).repeat(2)
    records = [record(f"mp-{i}", large if i % 2 else small) for i in range(100)]
    quick = [i.name for i in elasticity.inputs(write(tmp_path, *records)).items if i.quick]
    assert len(quick) == elasticity.QUICK
    assert all(int(name[3:]) % 2 == 0 for name in quick)
    assert quick[0] == "mp-0"
    assert int(quick[-1][3:]) > 90


def test_relaxation_that_does_not_end_says_so() -> None:
    item = Item("Cu", {"crystal": bulk("Cu", "fcc", a=A + 0.2)}, {**SMALL, "steps": 1})
    with pytest.raises(NotConverged, match="the crystal: largest force"):
        elasticity.calculate(item, Springs({"Cu-Cu": A / np.sqrt(2)}))


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"[1, 2", mtime=0)[:-9],
        b"no gzip",
        gzip.compress(b"[1, 2", mtime=0),
        gzip.compress(b"{}", mtime=0),
    ],
    ids=["cut", "no gzip", "half a list", "no list"],
)
def test_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / elasticity.FILE).write_bytes(content)
    with pytest.raises(InputError, match=elasticity.FILE):
        elasticity.inputs(Sources(tmp_path, online=False))
