from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.units import Bohr, Hartree

from crossfield.bench.domain.benchmark import Reference
from crossfield.bench.domain.dispersion import (
    _PARAMETERS,
    FUNCTIONALS,
    dispersion_to_add,
    functional,
    functional_mismatch,
    with_dispersion,
)
from crossfield.theory import Theory, get_theory, known_theories


@pytest.mark.parametrize(
    ("method", "plain"),
    [
        ("PBE, PBE+U for some transition metals", "pbe"),
        ("PBE+U", "pbe"),
        ("PBE+U-D3(BJ)", "pbe"),
        ("PBE-D3(BJ)+U", "pbe"),
        ("PBE(+U)", "pbe"),
        ("BEEF-vdW", "beef"),
        ("optB88-vdW", "optb88"),
        ("SCAN+rVV10", "scan"),
        ("vdW-DF", "vdw-df"),
        ("M06-L", "m06-l"),
        ("PBE-D3(BJ)", "pbe"),
        ("RPBE in OC20 as published", "rpbe"),
        ("ωB97M-D3(BJ)", "ωb97m"),
        ("wB97M-V", "ωb97m"),
        ("r2SCAN, no U", "r2scan"),
        ("B3LYP-D3", "b3lyp"),
        ("PW91", "pw91"),
        ("", ""),
    ],
)
def test_the_functional_in_the_name_of_a_method(method: str, plain: str) -> None:
    assert functional(method) == plain


def test_every_known_theory_names_a_functional_that_is_known() -> None:
    assert {functional(theory.method) for theory in known_theories().values() if theory.method} <= FUNCTIONALS


@pytest.mark.parametrize("name", sorted(FUNCTIONALS))
def test_every_functional_is_found_whatever_stands_behind_it(name: str) -> None:
    for suffix in ("", "+U", "-D3(BJ)", "+U-D3", "-D3BJ+U", "-vdW", "+rVV10", "-MBD, no spin"):
        assert functional(name.upper() + suffix) == name


@pytest.mark.parametrize("parameters", sorted(set(_PARAMETERS.values())))
def test_there_are_parameters_for_every_functional(parameters: str) -> None:
    methane = molecule("CH4")
    methane.calc = with_dispersion(_Zero(), parameters)
    assert -0.2 < methane.get_potential_energy() < -0.001


@pytest.mark.parametrize("method", ["ωB97X", "M06-L"])
def test_parameters_of_another_functional_are_not_taken(method: str) -> None:
    parameters, said = dispersion_to_add(Theory(name="x", method=method))
    assert parameters is None
    assert f"no D3(BJ) parameters for {method}" in said


@pytest.mark.parametrize(
    ("method", "added", "reference", "said"),
    [
        ("PBE", None, "PBE", ""),
        ("PBE", "pbe", "PBE-D3(BJ)", ""),
        ("PBE", "pbe", "PBE-D3", ""),  # of unknown damping
        ("PBE-D3(BJ)", None, "PBE-D3(BJ) and experiment", ""),
        ("PBE-D3(BJ)", None, "PBE", "stands for PBE-D3(BJ), the reference is PBE without dispersion"),
        ("PBE", None, "PBE-D3(BJ)", "stands for PBE without dispersion, the reference is PBE-D3(BJ)"),
        ("PBE D4", None, "PBE-D3(BJ)", "stands for PBE with D4, the reference is PBE-D3(BJ)"),
    ],
)
def test_other_dispersion_than_that_of_the_reference_is_told(
    method: str, added: str | None, reference: str, said: str
) -> None:
    found = functional_mismatch(Theory(name="x", method=method), Reference(reference, functional=True), added)
    assert found == (f"the model {said}" if said else "")


def test_a_model_of_another_functional_is_told() -> None:
    pbe = Reference("PBE", functional=True)
    assert functional_mismatch(get_theory("matpes_pbe"), pbe) == ""
    assert "RPBE" in functional_mismatch(get_theory("rpbe_gpaw"), pbe)
    assert "not known" in functional_mismatch(Theory(name="x"), pbe)
    # a wave function or an experiment is what all functionals try to meet
    assert functional_mismatch(get_theory("rpbe_gpaw"), Reference("CCSD(T)")) == ""


def test_u_is_told_apart_where_the_reference_has_none() -> None:
    without = Reference("PBE without U", functional=True)
    assert functional_mismatch(get_theory("matpes_pbe"), without) == ""
    assert "the reference is without U" in functional_mismatch(get_theory("mp_pbe_u"), without)


def test_dispersion_written_with_a_blank_is_not_added_again() -> None:
    assert dispersion_to_add(Theory(name="x", method="PBE D3"))[0] is None


@pytest.mark.parametrize(
    ("theory", "parameters", "remark"),
    [
        ("matpes_pbe", "pbe", "D3(BJ) of PBE"),
        ("matpes_r2scan", "r2scan", "D3(BJ) of r2SCAN"),
        ("rpbe_gpaw", "rpbe", "D3(BJ) of RPBE"),
        ("wb97m_d3bj_def2svp", None, "the model contains D3(BJ)"),
        ("omol", None, "the model contains VV10"),
    ],
)
def test_d3_is_added_to_theories_without_dispersion_only(
    theory: str, parameters: str | None, remark: str
) -> None:
    found, said = dispersion_to_add(get_theory(theory))
    assert found == parameters
    assert remark in said


def test_nothing_is_added_where_it_is_not_known_what_there_is() -> None:
    assert dispersion_to_add(Theory(name="x"))[0] is None
    parameters, said = dispersion_to_add(Theory(name="x", method="SOGGA11"))
    assert parameters is None
    assert "no D3(BJ) parameters for SOGGA11" in said


def _two_body(r: float, c6: float, r4r2: float, s8: float, a1: float, a2: float) -> float:
    """The formula of D3(BJ) for two equal atoms, hartree and bohr."""
    c8 = 3.0 * c6 * r4r2**2
    damping = a1 * np.sqrt(c8 / c6) + a2
    return -c6 / (r**6 + damping**6) - s8 * c8 / (r**8 + damping**8)


@pytest.mark.parametrize("distance", [2.7, 3.8, 5.3])
@pytest.mark.parametrize(
    ("name", "parameters"), [("pbe", (0.7875, 0.4289, 4.4407)), ("b3lyp", (1.9889, 0.3981, 4.4211))]
)
def test_the_correction_is_that_of_the_formula(
    name: str, parameters: tuple[float, float, float], distance: float
) -> None:
    argon = molecule("H2")
    argon.symbols[:] = "Ar"
    argon.positions[:] = [[0, 0, 0], [0, 0, distance]]
    argon.calc = with_dispersion(_Zero(), name)
    # C6 of Ar2 and the ratio of its moments as in Grimme et al. 2010
    expected = _two_body(distance / Bohr, 64.646, 3.4468, *parameters) * Hartree
    assert argon.get_potential_energy() == pytest.approx(expected, rel=1e-4)


class _Zero(EMT):  # type: ignore[misc]  # ASE has no types
    """No energy at all."""

    def calculate(self, atoms=None, properties=None, system_changes=()) -> None:
        self.atoms = atoms.copy()
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}


def test_energy_forces_and_stress_are_sums() -> None:
    crystal = bulk("Cu", cubic=True)
    crystal.rattle(0.05, seed=1)
    parts = []
    for calculator in (EMT(), with_dispersion(_Zero(), "pbe"), with_dispersion(EMT(), "pbe")):
        crystal.calc = calculator
        parts.append((crystal.get_potential_energy(), crystal.get_forces(), crystal.get_stress()))
    for emt, d3, both in zip(*parts, strict=True):
        assert np.allclose(np.add(emt, d3), both, atol=1e-10)
        assert not np.allclose(emt, both, atol=1e-6)
