from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfield.data.frame import Frame
from crossfield.data.reference import reference_energies
from crossfield.errors import InputError
from tests.data.frames import frame

TRUE = {1: -13.6, 6: -1029.5, 8: -2041.8}
MOLECULES = ("HH", "OHH", "CO", "COO", "CHHHH", "COHHHH")


def exact(symbols: str, charge: int = 0, off: float = 0.0) -> Frame:
    made = frame(symbols, charge=charge)
    return frame(symbols, charge=charge, energy=sum(TRUE[int(z)] for z in made.Z) + off)


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
    found = reference_energies([exact("CO"), exact("CO")], [])
    assert found.E0[6] == pytest.approx(found.E0[8])
    assert found.E0[6] + found.E0[8] == pytest.approx(TRUE[6] + TRUE[8])
    assert "only 1 combinations of E0 for 2 elements (C, O)" in found.conditioning


def test_ions_are_left_out_of_the_fit_unless_there_is_nothing_else() -> None:
    ion = exact("OH", charge=-1, off=-100.0)
    assert reference_energies([*FRAMES, ion], []).E0[8] == pytest.approx(TRUE[8])
    assert reference_energies([exact("HH"), ion], []).E0[8] == pytest.approx(TRUE[8] - 100.0)


def test_residual_is_the_spread_per_atom() -> None:
    found = reference_energies([exact("OHH", off=0.3), exact("OHH", off=-0.3)], [], given=TRUE)
    assert found.residual == pytest.approx(0.1)
    assert np.isnan(reference_energies([frame("H", forces=True)], [], given=TRUE).residual)
