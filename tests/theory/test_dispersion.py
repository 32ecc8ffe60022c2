from __future__ import annotations

from itertools import combinations

import pytest

from crossfield.theory import (
    Head,
    Theory,
    dispersion_beside,
    dispersion_differs,
    dispersion_of,
    get_theory,
    known_theories,
)


@pytest.mark.parametrize("theory", known_theories().values(), ids=lambda theory: theory.name)
def test_what_known_theories_state_is_what_their_method_says(theory: Theory) -> None:
    by_name = dispersion_of(theory.model_copy(update={"dispersion": "none"}))
    assert by_name == theory.dispersion == dispersion_of(theory)
    # whoever may add D3 is told so, and whoever may not as well
    if "add D3" in theory.notes:
        assert ("do not add D3" in theory.notes) == (theory.dispersion != "none")


def test_dispersion_of_known_theories() -> None:
    found = {name: dispersion_of(theory) for name, theory in known_theories().items()}
    assert {name for name, what in found.items() if what == "none"} == {
        "pbe_gpaw", "rpbe_gpaw", "wb97x_631gs", "mp_pbe_u", "mpa_pbe_u", "omat_pbe", "mp_pbe_refit_add",
        "matpes_pbe", "matpes_r2scan", "oc20_usemppbe",
    }  # fmt: skip
    assert (found["omol"], found["spice_wB97M"]) == ("VV10", "D3(BJ)")


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("PBE-D3/def2-TZVP", "D3"),
        ("PBE-D3BJ/def2-TZVP", "D3(BJ)"),
        ("TPSS-D3(0)", "D3(0)"),
        ("PBE + D4", "D4"),
        ("ωB97X-D", "D2"),
        ("wB97X-V", "VV10"),
        ("SCAN+rVV10", "VV10"),
        ("rev-vdW-DF2", "vdW-DF"),
        ("optB88-vdW", "vdW-DF"),
        ("PBE0+MBD", "MBD"),
        ("r2SCAN-3c", "that of a 3c method"),
        ("DLPNO-CCSD(T)/CBS", "that of correlated wave functions"),
        ("PBE", "none"),
        ("HSE06, D2h symmetry", "none"),
        ("PBE-D2h", "none"),
        ("M06-2X", "none"),
        ("DZP-D", "none"),
        ("", "not stated"),
        (" Not stated. ", "not stated"),
        ("unknown", "not stated"),
        ("?" * 100_000, "not stated"),
    ],
)
def test_a_method_may_say_what_the_field_does_not(method: str, expected: str) -> None:
    assert dispersion_of(Theory(name="x", method=method)) == expected


def test_what_is_stated_counts() -> None:
    assert dispersion_of(Theory(name="x", method="PBE-D3", dispersion=" TS ")) == "TS"
    assert dispersion_of(Theory(name="x", method="PBE-D3", dispersion="None")) == "D3"


def test_what_nobody_stated_is_no_claim() -> None:
    """The field says none by default, also where nothing at all was filled in."""
    with_it = get_theory("spice_wB97M")
    for vague in (Theory(name="x"), Theory(name="x", method="PBE", dispersion="unknown")):
        assert dispersion_of(vague) == "not stated"
        assert dispersion_differs(vague, with_it) is None
        assert dispersion_beside(vague, heads_of("spice_wB97M", "omat_pbe")) is None
        assert dispersion_beside(with_it, [Head(name="vague", theory=vague, E0={})]) is None


def heads_of(*theories: str) -> list[Head]:
    return [Head(name=f"h_{name}", theory=get_theory(name), E0={}) for name in theories]


def test_one_sentence_on_all_heads_that_differ() -> None:
    """Names those that do, and those to which D3 may be added."""
    heads = heads_of("omat_pbe", "spice_wB97M", "omol", "matpes_pbe")
    text = dispersion_beside(Theory(name="mine", method="PBE-D3BJ"), heads)
    assert text is not None
    assert "labels of theory mine contain dispersion (D3(BJ)), those of h_omat_pbe, h_matpes_pbe none" in text
    assert "and those of h_omol (VV10) another" in text
    assert "add D3 to h_omat_pbe, h_matpes_pbe only" in text
    assert "h_spice" not in text
    text = dispersion_beside(Theory(name="mine", method="PBE"), heads)
    assert text is not None
    assert "contain no dispersion, and those of h_spice_wB97M (D3(BJ)), h_omol (VV10) do" in text
    assert "h_omat" not in text
    text = dispersion_beside(get_theory("spice_wB97M"), heads_of("omol"))
    assert text is not None
    assert "add D3 to none of them" in text
    assert dispersion_beside(get_theory("spice_wB97M"), heads_of("spice_wB97M")) is None


def test_one_with_and_one_without() -> None:
    """The same advice whichever comes first."""
    molecules, crystals = get_theory("spice_wB97M"), get_theory("omat_pbe")
    for pair in ((molecules, crystals), (crystals, molecules)):
        text = dispersion_differs(*pair)
        assert text is not None
        assert "labels of theory spice_wB97M contain dispersion (D3(BJ)) and those of omat_pbe do not" in text
        assert "energies of two such heads differ by it" in text
        assert "may add D3 to heads of omat_pbe only" in text
        assert "counted twice" in text


def test_different_corrections() -> None:
    text = dispersion_differs(get_theory("omol"), get_theory("off24"))
    assert text is not None
    assert "omol and off24 contain different dispersion (VV10 and D3(BJ))" in text
    assert "must add D3 to neither" in text


def test_nothing_to_say_where_it_is_the_same() -> None:
    same = [Theory(name=f"t{i}", dispersion=d) for i, d in enumerate(["D3(BJ)", "D3BJ", "d3-bj"])]
    same.append(Theory(name="t3", method="PBE-D3(BJ)"))
    for a, b in combinations(same, 2):
        assert dispersion_differs(a, b) is None
    assert dispersion_differs(get_theory("pbe_gpaw"), get_theory("wb97x_631gs")) is None
