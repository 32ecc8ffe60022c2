"""Lattice constants and cohesive energies of crystals of springs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from crossfield.bench.domain.benchmark import Inputs, NotConverged, Values
from crossfield.bench.domain.sets import cohesive, lattice_constants
from crossfield.bench.domain.sets.crystals import build, constants_of
from crossfield.bench.domain.sources import Sources
from crossfield.bench.domain.store import item_digest
from crossfield.errors import InputError
from tests.bench.domain.sets.springs import DEPTH, Springs

TYPES: dict[str, Any] = {"Cu": "fcc", "Na": "bcc", "NaCl": "rocksalt", "SiC": "2H-SiC"}
EXPERIMENT: dict[str, Any] = {"Cu": 3.6, "Na": 4.2, "NaCl": 5.6, "SiC(a)": 3.08, "SiC(c)": 5.03}
PBE: dict[str, Any] = {"Cu": 3.5, "Na": 4.1, "NaCl": 5.5, "SiC(a)": 3.0, "SiC(c)": 5.0}
COHESIVE: dict[str, Any] = {"Cu": 6 * DEPTH + 0.1, "Na": 4 * DEPTH - 0.3, "NaCl": 3 * DEPTH + 1.0}


def write(
    folder: Path,
    types: object = TYPES,
    experiment: object = EXPERIMENT,
    pbe: object = PBE,
    cohesive: object = COHESIVE,
) -> Sources:
    """The published sets, cut down."""
    for where, name, content in (
        ("lattice_constants", "lattice_constants_ref_types.json", types),
        ("lattice_constants", "lattice_constants_ref_exp.json", experiment),
        ("lattice_constants", "lattice_constants_ref.json", pbe),
        ("atomisation_energy", "atomisation_ref.json", cohesive),
    ):
        (folder / where).mkdir(exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / where / name).write_text(text)
    return Sources(folder, online=False)


BOND = 1.9  # Å, of silicon carbide
# bonds, and the next neighbours that an ideal wurtzite has then; constants of the others
SPRINGS = Springs(
    {
        "Cu-Cu": 3.65 / np.sqrt(2),
        "Na-Na": 4.15 * np.sqrt(3) / 2,
        "C-Si": BOND,
        "C-C": BOND * np.sqrt(8 / 3),
        "Si-Si": BOND * np.sqrt(8 / 3),
    }
)


def calculate(inputs: Inputs, calculator: Any, *names: str) -> dict[str, Values]:
    """The values of some items, as they come back from the file they are kept in."""
    items = [item for item in inputs.items if item.name in names]
    assert len(items) == len(names)
    return {
        item.name: json.loads(json.dumps(lattice_constants.calculate(item, calculator))) for item in items
    }


def test_relaxed_constants_are_those_of_the_springs(tmp_path: Path) -> None:
    inputs = lattice_constants.inputs(write(tmp_path))
    values = calculate(inputs, SPRINGS, "Cu", "Na", "SiC")
    assert values["Cu"]["a"] == pytest.approx(3.65, abs=1e-3)
    assert values["Na"]["a"] == pytest.approx(4.15, abs=1e-3)
    assert values["SiC"]["a"] == pytest.approx(BOND * np.sqrt(8 / 3), abs=2e-3)
    assert values["SiC"]["c"] == pytest.approx(BOND * 8 / 3, abs=2e-3)


def test_rock_salt_relaxes_to_twice_the_bond(tmp_path: Path) -> None:
    inputs = lattice_constants.inputs(write(tmp_path))
    assert calculate(inputs, Springs({"Na-Cl": 2.78}), "NaCl")["NaCl"]["a"] == pytest.approx(5.56, abs=1e-3)


def test_errors_are_means_over_what_was_calculated(tmp_path: Path) -> None:
    inputs = lattice_constants.inputs(write(tmp_path))
    values = {"Cu": {"a": 3.61}, "SiC": {"a": 3.06, "c": 5.06}}
    findings = lattice_constants.analyse(inputs, values)
    assert findings.metrics["MAE (Experimental)"] == pytest.approx((0.01 + 0.02 + 0.03) / 3)
    assert findings.metrics["MAE (PBE)"] == pytest.approx((0.11 + 0.06 + 0.06) / 3)
    predicted = {(e.name, e.group): e.predicted for e in findings.entries}
    assert len(predicted) == 10
    assert predicted["SiC(c)", "experiment"] == 5.06
    assert predicted["Na", "experiment"] is None
    assert lattice_constants.analyse(inputs, {}).metrics["MAE (PBE)"] is None


def test_hexagonal_crystal_is_wurtzite() -> None:
    crystal = build(
        "SiC", "2H-SiC", constants_of("SiC", "2H-SiC", {"SiC(a)": 3.0, "SiC(c)": 3.0 * np.sqrt(8 / 3)})
    )
    assert crystal.cell.cellpar() == pytest.approx([3.0, 3.0, 3.0 * np.sqrt(8 / 3), 90, 90, 120])
    i, distances = neighbor_list("id", crystal, {("C", "Si"): 2.5})
    assert [*np.bincount(i)] == [4, 4, 4, 4]
    assert distances == pytest.approx(3.0 * np.sqrt(3 / 8))


def test_cohesive_energy_is_that_of_the_bonds(tmp_path: Path) -> None:
    inputs = cohesive.inputs(write(tmp_path))
    assert [i.name for i in inputs.items] == ["Cu", "Na", "NaCl", "Cl atom", "Cu atom", "Na atom"]
    values = calculate(inputs, SPRINGS, "Cu", "Cu atom", "Na", "Na atom")
    findings = cohesive.analyse(inputs, values)
    predicted = {e.name: e.predicted for e in findings.entries}
    assert predicted["Cu"] == pytest.approx(6 * DEPTH)
    assert predicted["Na"] == pytest.approx(4 * DEPTH)
    assert predicted["NaCl"] is None
    assert findings.metrics["MAE (elements)"] == pytest.approx((0.1 + 0.3) / 2)


def test_compounds_are_shown_and_not_scored(tmp_path: Path) -> None:
    inputs = cohesive.inputs(write(tmp_path))
    values = {"NaCl": {"energy": -4.0}, "Na atom": {"energy": -1.0}, "Cl atom": {"energy": -2.0}}
    findings = cohesive.analyse(inputs, values)
    assert {e.name: e.predicted for e in findings.entries}["NaCl"] == pytest.approx(2.5)
    assert findings.metrics == {
        "MAE (elements)": None,
        "MAE (all)": pytest.approx(abs(2.5 - COHESIVE["NaCl"])),
    }


def test_crystals_that_both_benchmarks_relax_are_calculated_once(tmp_path: Path) -> None:
    sources = write(tmp_path)
    own, shared = (
        {item.name: item_digest(module.BENCHMARK, item, None) for item in module.inputs(sources).items}
        for module in (lattice_constants, cohesive)
    )
    assert {name: own[name] for name in COHESIVE} == {name: shared[name] for name in COHESIVE}
    assert len({*own.values(), *shared.values()}) == len(own) + 3  # and the free atoms


def test_relaxation_that_does_not_end_says_so(tmp_path: Path) -> None:
    item = lattice_constants.inputs(write(tmp_path)).items[0]
    short = type(item)(item.name, item.structures, {**item.settings, "steps": 1, "fmax": 1e-9})
    with pytest.raises(NotConverged, match="after 1 steps"):
        lattice_constants.calculate(short, SPRINGS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"experiment": '{"Cu": 3.6, "Cu": 3.7}'}, "Cu occurs twice"),
        ({"experiment": '{"Cu": NaN}'}, "Cu: nan is no positive number"),
        ({"pbe": '{"Cu": 3.6'}, "is no JSON, or damaged"),
        ({"pbe": '{"Cu": "3.6"}'}, "Cu: '3.6' is no positive number"),
        ({"types": "[]"}, "holds no table"),
    ],
)
def test_damaged_tables_are_refused_with_the_reason(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        lattice_constants.inputs(write(tmp_path, **change))


def test_crystals_that_lack_a_constant_are_problems_and_the_rest_goes_on(tmp_path: Path) -> None:
    types = {**TYPES, "Xx": "fcc", "Ag": "sponge"}
    inputs = lattice_constants.inputs(write(tmp_path, types, experiment={**EXPERIMENT, "Ag": 4.1}))
    assert [item.name for item in inputs.items] == [*TYPES]
    assert {p.name: p.reason for p in inputs.problems} == {
        "Xx": "the table of lattice constants has no Xx",
        "Ag": "the table of lattice constants has no Ag(a)",
        "set": "17 of the 23 systems are not in the set",
    }
    assert inputs.part == pytest.approx(4 / 23)
