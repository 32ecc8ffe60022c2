from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from crossfield.data.composition import all_electron_energies, composition, counts
from crossfield.data.frame import Frame
from crossfield.data.reference import BaseEnergies, reference_energies
from crossfield.data.reference_table import reference_table
from crossfield.errors import InputError
from tests.data.frames import frame

TRUE = {1: -13.6, 3: -203.0, 6: -1029.5, 8: -2041.8, 9: -2710.0, 11: -4412.0, 17: -12518.0}
MOLECULES = ("HH", "OHH", "CO", "COO", "CHHHH", "COHHHH")


VALENCE = {1: -2.1, 6: -7.3, 8: -4.4}  # of a theory of another zero


def exact(symbols: Sequence[str], charge: int = 0, off: float = 0.0, E0: Mapping[int, float] = TRUE) -> Frame:
    made = frame(symbols, charge=charge)
    return frame(symbols, charge=charge, energy=sum(E0[int(z)] for z in made.Z) + off)


FRAMES = [exact(symbols) for symbols in MOLECULES]
ATOMS = [frame("H", energy=-13.0), frame("C", energy=-1028.0), frame("O", energy=-2040.0)]


@given(
    st.dictionaries(st.sampled_from([1, 6, 8]), st.floats(-3000, 0), min_size=3),
    st.lists(st.sampled_from(MOLECULES), max_size=5),
)
def test_least_squares_recovers_sums_of_atoms(energies: dict[int, float], more: list[str]) -> None:
    frames = []
    for symbols in (*MOLECULES, *more):
        made = frame(symbols)
        frames.append(frame(symbols, energy=sum(energies[int(z)] for z in made.Z)))
    found = reference_energies(frames, [], method="least_squares")
    for z, value in energies.items():
        assert found.E0[z] == pytest.approx(value, abs=1e-7)
    assert found.residual < 1e-7
    assert found.conditioning == ""
    assert set(found.origin.values()) == {"least squares"}


def test_auto_prefers_isolated_atoms_and_fits_the_rest_around_them() -> None:
    found = reference_energies(FRAMES, [ATOMS[0]])
    assert list(found.E0) == [1, 6, 8]
    assert found.origin == {1: "isolated atom", 6: "least squares", 8: "least squares"}
    assert found.E0[1] == -13.0
    # the fit minimises the error per atom with hydrogen held at -13.0
    shares = np.array([[s.count("C") / len(s), s.count("O") / len(s)] for s in MOLECULES])
    rest = np.array(
        [(f.energy - -13.0 * s.count("H")) / len(s) for f, s in zip(FRAMES, MOLECULES, strict=True)]
    )
    np.testing.assert_allclose([found.E0[6], found.E0[8]], np.linalg.lstsq(shares, rest)[0])


def test_least_squares_ignores_isolated_atoms() -> None:
    assert reference_energies(FRAMES, ATOMS, method="least_squares").E0[1] == pytest.approx(-13.6)


def test_given_values_win() -> None:
    found = reference_energies(FRAMES, ATOMS, given={1: 0.5, 92: -7.0})
    assert (found.E0[1], found.E0[92], found.E0[6]) == (0.5, -7.0, -1028.0)
    assert (found.origin[1], found.origin[92], found.origin[6]) == ("given", "given", "isolated atom")


def test_isolated_atoms_are_averaged_unless_they_disagree() -> None:
    close = [frame("H", energy=-13.0), frame("H", energy=-13.0008)]
    assert {1: pytest.approx(-13.0004)} == reference_energies([], close).E0
    with pytest.raises(InputError, match=r"isolated atoms of H disagree: -13\.0020 and -13\.0000 eV"):
        reference_energies([], [frame("H", energy=-13.0), frame("H", energy=-13.002)])


def test_missing_elements_are_named() -> None:
    with pytest.raises(InputError, match="no isolated atom for C, O"):
        reference_energies(FRAMES, [ATOMS[0]], method="atoms")
    with pytest.raises(InputError, match="no frame with an energy contains C, O"):
        reference_energies([exact("HH"), frame("CO", forces=True)], [])


def test_what_compositions_do_not_determine_is_said() -> None:
    found = reference_energies([exact("CO", E0=VALENCE), exact("CO", E0=VALENCE)], [])
    assert found.E0[6] == pytest.approx(found.E0[8])
    assert found.E0[6] + found.E0[8] == pytest.approx(VALENCE[6] + VALENCE[8])
    assert (
        "E0 of C, O only in part: C and O occur only as 1:1, so that only E0(C) + E0(O)" in found.conditioning
    )
    assert "one value for all elements" in found.conditioning
    assert found.uncertainty == {6: None, 8: None}
    assert (found.fit.rank, found.fit.condition) == (1, pytest.approx(1.0))


def test_a_constant_per_atom_goes_to_all_elements_alike() -> None:
    """A ridge towards zero would share it out by the composition of water."""
    frames = [exact("OHH", E0=VALENCE), exact("CHHHH", E0=VALENCE)]
    before = reference_energies(frames, [])
    shifted = [replace(f, energy=f.energy + 5.0 * f.num_atoms) for f in frames]
    after = reference_energies(shifted, [])
    assert {z: after.E0[z] - 5.0 for z in after.E0} == pytest.approx(before.E0)


def test_all_electron_energies_are_not_shared_out_alike() -> None:
    found = reference_energies([exact("OHH"), exact("OHH", off=0.2)], [])
    assert found.E0[1] == pytest.approx(TRUE[1], abs=1.0)
    assert found.E0[8] == pytest.approx(TRUE[8], abs=2.0)
    assert "H and O occur only as 2:1, so that only 2 E0(H) + E0(O) is known" in found.conditioning
    free = all_electron_energies(np.array([1, 6, 17, 26]))
    np.testing.assert_allclose(free, [-13.6, -1030, -12522, -34380], rtol=0.01)  # Hartree-Fock and exact


def test_open_combinations_of_more_elements_are_named() -> None:
    salts = [("Li", "F"), ("Na", "Cl"), ("Li", "Cl"), ("Na", "F")]
    found = reference_energies([*map(exact, salts), exact("OHH"), exact("HH")], [])
    words = "to raise E0 of Li by 1 eV, Na by 1 eV and to lower that of F by 1 eV, Cl by 1 eV would change"
    assert words in found.conditioning
    assert "H" not in found.conditioning.split("only in part")[0].split()
    assert [z for z, error in found.uncertainty.items() if error is None] == [3, 9, 11, 17]
    assert (found.E0[1], found.E0[8]) == (pytest.approx(TRUE[1]), pytest.approx(TRUE[8]))


def test_a_word_for_each_of_three_open_combinations_and_a_count_of_the_rest() -> None:
    pairs = [("H", "Li"), ("B", "N"), ("C", "O"), ("F", "Na"), ("Mg", "S")]
    found = reference_energies([frame(pair, energy=-10.0 - k) for k, pair in enumerate(pairs)], [])
    assert found.conditioning.count("occur only as 1:1") == 3
    assert "and 2 more such combinations" in found.conditioning
    assert found.fit.rank == 5


def test_held_energies_can_determine_the_rest() -> None:
    found = reference_energies([exact("CO"), exact("COHHHH")], [frame("O", energy=TRUE[8])])
    assert found.conditioning == ""
    assert (found.E0[6], found.E0[1]) == (pytest.approx(TRUE[6]), pytest.approx(TRUE[1]))


def noisy(seed: int, repeats: int = 8, sigma: float = 0.3) -> list[Frame]:
    random = np.random.default_rng(seed)
    return [
        exact(symbols, off=sigma * len(symbols) * random.normal())
        for symbols in MOLECULES
        for _ in range(repeats)
    ]


def test_standard_errors_are_those_of_least_squares() -> None:
    frames = noisy(0)
    found = reference_energies(frames, [])
    X = composition(frames)[:, [1, 6, 8]]
    y = np.array([f.energy / f.num_atoms for f in frames])
    values, rest = np.linalg.lstsq(X, y)[:2]
    variance = rest[0] / (len(frames) - 3)
    np.testing.assert_allclose(list(found.E0.values()), values)
    errors = np.sqrt(variance * np.diag(np.linalg.inv(X.T @ X)))
    np.testing.assert_allclose(list(found.uncertainty.values()), errors)
    assert found.fit.residual == pytest.approx(np.sqrt(variance))
    assert found.fit.condition == pytest.approx(np.linalg.cond(X / np.linalg.norm(X, axis=0)))


def test_standard_errors_are_the_scatter_over_data_sets() -> None:
    many = [reference_energies(noisy(seed), []) for seed in range(1, 301)]
    scatter = np.std([list(found.E0.values()) for found in many], axis=0)
    stated = np.sqrt(np.mean(np.square([list(found.uncertainty.values()) for found in many]), axis=0))
    np.testing.assert_allclose(stated, scatter, rtol=0.15)


def test_rough_values_are_named() -> None:
    found = reference_energies([*noisy(3, sigma=3.0), exact("OHH", off=9.0)], [])
    assert "only roughly for " in found.conditioning
    assert "isolated atoms would give it" in found.conditioning


def test_as_many_frames_as_elements_leave_no_error() -> None:
    found = reference_energies([exact("HH"), exact("OHH")], [])
    assert found.uncertainty == {1: None, 8: None}
    assert found.fit.residual is None
    assert {1: pytest.approx(TRUE[1]), 8: pytest.approx(TRUE[8])} == found.E0


def test_the_charge_of_ions_is_no_part_of_E0() -> None:
    """Some ions of many sizes, each with an ionisation energy of its own kind."""
    cations = [exact("OHHH", 1, 9.0), exact("CHHHHH", 1, 9.0), exact("CHH", 2, 18.0)]
    anions = [exact("OH", -1, -2.0), exact("COO", -1, -2.0)]
    found = reference_energies([*FRAMES, *cations, *anions], [])
    assert pytest.approx({z: TRUE[z] for z in (1, 6, 8)}) == found.E0
    charges = found.fit.charges
    assert {name: (term.value, term.frames) for name, term in charges.items()} == {
        "cations": (pytest.approx(9.0), 3),
        "anions": (pytest.approx(-2.0), 2),
    }
    assert found.conditioning == ""
    assert all(term.uncertainty < 1e-6 for term in charges.values())
    # one that fits nothing else is explained by its term
    odd = reference_energies([*FRAMES, exact("OH", charge=-1, off=-100.0)], [])
    assert odd.E0[8] == pytest.approx(TRUE[8])


def test_a_charge_that_elements_could_explain_is_said() -> None:
    ion = exact("OH", charge=-1, off=-100.0)
    only_there = reference_energies([exact("HH"), ion], [])
    assert only_there.E0[8] == pytest.approx(TRUE[8] - 100.0)
    assert "the charge of anions cannot be told from E0 of O and" in only_there.conditioning
    assert only_there.fit.charges == {}
    all_ions = [exact("OHHH", 1, 9.0), exact("CHHHHH", 1, 9.0), exact("CO", 1, 9.0), exact("CHHH", 1, 9.0)]
    found = reference_energies(all_ions, [])
    assert "all frames have charge +1" in found.conditioning
    assert "contained in E0" in found.conditioning
    assert found.fit.charges == {}
    assert np.isfinite(list(found.E0.values())).all()


def test_only_the_confused_charge_loses_its_term() -> None:
    """Sodium in cations only, while anions have neutral partners."""
    frames = [*FRAMES, exact(["Na", "O", "H", "H"], 1, 5.0), exact("OH", -1, -2.0), exact("COO", -1, -2.0)]
    found = reference_energies(frames, [])
    assert list(found.fit.charges) == ["anions"]
    assert "the charge of cations cannot be told from E0 of Na and" in found.conditioning
    assert found.E0[11] == pytest.approx(TRUE[11] + 5.0)
    assert found.E0[8] == pytest.approx(TRUE[8])


def test_a_single_charged_atom_is_no_reference() -> None:
    bare = exact(["Na"], 1, 5.1)
    hydrated = exact(["Na", "O", "H", "H"], 1, 9.0)
    others = [*FRAMES, exact("OHHH", 1, 9.0)]
    for frames, isolated in (([*others, hydrated, bare], []), ([*others, hydrated], [bare])):
        found = reference_energies(frames, isolated)
        assert found.E0[11] == pytest.approx(TRUE[11])
        assert found.origin[11] == "least squares"
    with pytest.raises(InputError, match="no isolated atom for Na"):
        reference_energies([hydrated], [*ATOMS, bare], method="atoms")
    # better than nothing
    alone = reference_energies(others, [bare])
    assert alone.E0[11] == pytest.approx(TRUE[11] + 5.1 - 9.0)


BASE = {1: -3.0, 6: -8.0, 8: -6.0, 26: -9.5}


def predictions(frames: Sequence[Frame]) -> np.ndarray:
    """Of a base of another zero, with interactions that no composition explains."""
    random = np.random.default_rng(4)
    return counts(frames)[:, list(BASE)] @ np.array(list(BASE.values())) + random.normal(size=len(frames))


def test_estimated_is_exact_where_labels_are_the_base_and_a_shift_by_composition() -> None:
    frames = [frame(symbols) for symbols in (*MOLECULES, "OHH", "CO")]
    predicted = predictions(frames)
    shift = {1: -10.3, 6: -1021.0, 8: -2035.5}
    labelled = [
        replace(f, energy=E + sum(shift[int(z)] for z in f.Z)) for f, E in zip(frames, predicted, strict=True)
    ]
    labelled[2] = replace(labelled[2], energy=None)
    found = reference_energies(labelled, ATOMS, method="estimated", base=BaseEnergies(predicted, BASE))
    assert {z: found.E0[z] for z in shift} == pytest.approx({z: BASE[z] + shift[z] for z in shift})
    assert found.residual < 1e-9
    assert found.origin == {**dict.fromkeys(shift, "estimated"), 26: "base head"}
    assert (found.E0[26], found.uncertainty[26], found.frames[26]) == (-9.5, None, 0)
    # least squares would leave the interactions, and not start from the base
    plain = reference_energies(labelled, [], method="least_squares", base=BaseEnergies(predicted, BASE))
    assert plain.residual > 0.05
    assert plain.origin[8] == "least squares"
    assert plain.origin[26] == "base head"


def test_auto_with_a_base_estimates_what_has_no_atom() -> None:
    frames = [exact(symbols) for symbols in MOLECULES]
    predicted = predictions(frames)
    found = reference_energies(frames, [ATOMS[0]], base=BaseEnergies(predicted, BASE), given={8: -2040.0})
    assert [found.origin[z] for z in found.E0] == ["isolated atom", "estimated", "given", "base head"]
    interactions = predicted - counts(frames)[:, list(BASE)] @ np.array(list(BASE.values()))
    rest = [
        (f.energy - e + 13.0 * s.count("H") + 2040.0 * s.count("O")) / len(s)
        for f, e, s in zip(frames, interactions, MOLECULES, strict=True)
    ]
    share = np.array([[s.count("C") / len(s)] for s in MOLECULES])
    assert found.E0[6] == pytest.approx(np.linalg.lstsq(share, np.array(rest))[0][0])


def test_open_combinations_stay_near_the_base() -> None:
    """Oxides of one kind only: iron and oxygen both move by as much, and not to zero."""
    base = {8: -4.0, 26: -8.0}
    oxide = frame(["Fe", "Fe", "O", "O", "O"], energy=2 * -8.3 + 3 * -4.3 - 6.0)
    found = reference_energies([oxide], [], base=BaseEnergies(np.array([-28.0 - 6.0]), base))
    assert {8: pytest.approx(-4.3), 26: pytest.approx(-8.3)} == found.E0
    assert "kept near to the E0 of the base head" in found.conditioning
    plain = reference_energies([oxide], [], method="least_squares", base=BaseEnergies(np.zeros(1), base))
    assert plain.E0[8] - plain.E0[26] == pytest.approx(4.0)


def test_without_energies_the_base_gives_all() -> None:
    found = reference_energies([frame("CO", forces=True)], [], base=BaseEnergies(np.array([-20.0]), BASE))
    assert found.E0 == BASE
    assert set(found.origin.values()) == {"base head"}
    assert found.fit is None
    assert found.as_dict()["residual"] is None


def test_a_base_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="there is no base model"):
        reference_energies(FRAMES, [], method="estimated")
    with pytest.raises(InputError, match="6 frames need as many predictions of the base, not 2"):
        reference_energies(FRAMES, [], base=BaseEnergies(np.zeros(2), BASE))
    with pytest.raises(InputError, match="the base head has no E0 for O"):
        reference_energies(FRAMES, [], base=BaseEnergies(np.zeros(6), {1: 0.0, 6: 0.0}))
    odd = [replace(f, index=k) for k, f in enumerate(FRAMES)]
    with pytest.raises(InputError, match=r"made\.xyz, frame 3: the base head predicts no finite energy"):
        reference_energies(odd, [], base=BaseEnergies(np.array([0, 0, 0, np.nan, 0, 0]), BASE))
    with pytest.raises(InputError, match="E0 of Fe is not finite"):
        reference_energies(FRAMES, [], base=BaseEnergies(np.zeros(6), {**BASE, 26: np.inf}))


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match=r"made\.xyz, frame 0: the energy is not finite"):
        reference_energies([*FRAMES, frame("HH", energy=float("nan"))], [])
    with pytest.raises(InputError, match="the E0 given for H is not finite"):
        reference_energies(FRAMES, [], given={1: float("inf")})


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(["H", "Li", "O", "U"]), min_size=1, max_size=4),
            st.one_of(st.none(), st.floats(-1e4, 1e4)),
            st.integers(-1, 1),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_any_frames_give_finite_numbers_or_a_reason(drawn: list[tuple[list[str], float | None, int]]) -> None:
    frames = [frame(symbols, energy=energy, charge=charge) for symbols, energy, charge in drawn]
    labelled = [f for f in frames if f.energy is not None]
    if {z for f in frames for z in f.Z} > {z for f in labelled for z in f.Z}:
        with pytest.raises(InputError, match="no frame with an energy contains"):
            reference_energies(frames, [])
        return
    found = reference_energies(frames, [])
    assert "NaN" not in json.dumps(found.as_dict())
    assert "Infinity" not in json.dumps(found.as_dict())
    table = Console(width=120)
    with table.capture() as text:
        table.print(reference_table(found))
    assert "nan" not in text.get()
    if found.fit is not None and found.fit.residual is None:  # as many unknowns as frames
        assert found.fit.rank + len(found.fit.charges) == found.fit.frames


def test_a_large_set_of_all_elements_takes_no_time() -> None:
    random = np.random.default_rng(0)
    truth = 100 * random.normal(size=119)
    template = frame("H")
    frames = []
    for _ in range(20_000):
        Z = random.integers(1, 90, size=random.integers(2, 40))
        frames.append(replace(template, Z=Z, energy=float(truth[Z].sum() + len(Z) * random.normal())))
    found = reference_energies(frames, [])
    assert found.fit.rank == len(found.E0) == 89
    off = np.array([(found.E0[z] - truth[z]) / found.uncertainty[z] for z in found.E0])
    assert 0.8 < np.sqrt(np.mean(off**2)) < 1.25  # 7.5% expected


def test_what_is_stored_and_shown() -> None:
    frames = [*noisy(5), exact("OH", -1, -2.0), exact("COO", -1, -2.5), frame("CO", forces=True)]
    found = reference_energies(frames, [ATOMS[0], replace(ATOMS[0], energy=-13.0006)], given={26: -5.0})
    stored = json.loads(json.dumps(found.as_dict()))
    hydrogen, iron = stored["elements"]["H"], stored["elements"]["Fe"]
    assert hydrogen == {
        "E0": pytest.approx(-13.0003),
        "uncertainty": pytest.approx(0.0006),
        "origin": "isolated atom",
        "frames": 4 * 8 + 1,
        "residual_spread": found.spread[1],
    }
    assert (iron["origin"], iron["frames"], iron["residual_spread"]) == ("given", 0, None)
    assert stored["fit"]["elements"] == ["C", "O"]
    assert set(stored["fit"]["charges"]) == {"anions"}
    console = Console(width=120)
    with console.capture() as text:
        console.print(reference_table(found, title="E0 of molecules"))
    lines = text.get().splitlines()
    assert "E0 of molecules" in lines[0]
    assert next(line for line in lines if line.startswith(" H ")).split()[1:5] == [
        "-13.0003",
        "0.0006",
        "isolated",
        "atom",
    ]
    assert any(line.startswith("anions: ") and "(2 frames), not part of E0" in line for line in lines)


def test_the_spread_is_that_of_frames_with_the_element() -> None:
    frames = [exact("HH", off=0.2), exact("HH", off=-0.2), exact("CO", off=0.6), exact("CO"), exact("OO")]
    found = reference_energies(frames, [], given=TRUE)
    assert found.spread == {
        1: pytest.approx(0.1), 3: None, 6: pytest.approx(0.15), 8: pytest.approx(np.std([0.3, 0, 0])),
        9: None, 11: None, 17: None,
    }  # fmt: skip
    assert found.frames == {1: 2, 3: 0, 6: 2, 8: 3, 9: 0, 11: 0, 17: 0}
    assert reference_energies([exact("CO", off=0.6)], [], given=TRUE).spread[6] is None


def test_residual_is_the_spread_per_atom() -> None:
    found = reference_energies([exact("OHH", off=0.3), exact("OHH", off=-0.3)], [], given=TRUE)
    assert found.residual == pytest.approx(0.1)
    assert np.isnan(reference_energies([frame("H", forces=True)], [], given=TRUE).residual)
