from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from crossfield.errors import InputError, nearest
from crossfield.theory import Head, Theory, check_elements, get_theory, head_index, known_theories
from crossfield.theory.units import GPA_PER_EV_A3


def head(name: str, **fields: object) -> Head:
    return Head(name=name, theory=Theory(name="t"), E0={1: -1.0}, **fields)


def test_known_theories_say_what_they_are():
    theories = known_theories()
    assert {"pbe_gpaw", "rpbe_gpaw", "wb97m_d3bj_def2svp", "wb97x_631gs"} <= set(theories)
    for name, theory in theories.items():
        assert get_theory(name) is theory
        assert theory.name == name
        assert theory.method, name
        assert theory.basis, name
        assert theory.reference, name
        # where charge and spin count, no frame may leave them out by accident
        assert (theory.charge == "ignored") == (theory.default_charge is not None), name
        assert (theory.spin == "ignored") == (theory.default_spin is not None), name


def test_unknown_theory_lists_those_there_are():
    with pytest.raises(InputError) as error:
        get_theory("pbe_gpw")
    text = str(error.value)
    assert text.startswith("unknown theory 'pbe_gpw'; did you mean 'pbe_gpaw'?")
    assert all(name in text for name in known_theories())
    assert "`theories:`" in text
    with pytest.raises(InputError, match="unknown theory 'zzz' ") as error:
        get_theory("zzz")
    assert "did you mean" not in str(error.value)


def test_head_index():
    heads = [head("pbe"), head("wb97m"), head("rpbe")]
    assert [head_index(heads, h.name) for h in heads] == [0, 1, 2]
    assert head_index(heads[1:2], None) == 0
    with pytest.raises(InputError, match="choose one of: pbe, wb97m, rpbe"):
        head_index(heads, None)
    with pytest.raises(
        InputError, match=r"unknown head 'wb97'; did you mean 'wb97m'\? \(this model has: pbe, wb97m"
    ):
        head_index(heads, "wb97")
    with pytest.raises(InputError, match="unknown head 'x'"):  # never another head instead
        head_index(heads[:1], "x")


def test_check_elements():
    check_elements([], [], "nothing")
    check_elements([1, 8, 8, 1], (1, 6, 8), "the model")
    with pytest.raises(InputError) as error:
        check_elements([29, 1, 7, 29], (8, 1, 6), "head 'pbe'")
    assert str(error.value) == "head 'pbe' does not cover N, Cu (it covers: H C O)"


@pytest.mark.parametrize("model", [Head, Theory])
def test_misspelt_fields_are_refused(model):
    fields = {"name": "x", "theory": Theory(name="t"), "E0": {}} if model is Head else {"name": "x"}
    assert model(**fields).name == "x"
    with pytest.raises(ValidationError, match="Extra inputs"):
        model(**fields, mehtod="PBE")
    with pytest.raises(ValidationError, match="frozen"):
        model(**fields).name = "y"


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("field", ["E0", "scale", "shift"])
def test_heads_have_finite_numbers(field, value):
    fields = {"E0": {1: -1.0}, "scale": 1.0, "shift": 0.0} | {field: {1: value} if field == "E0" else value}
    with pytest.raises(ValidationError, match="finite"):
        Head(name="x", theory=Theory(name="t"), **fields)


def test_heads_survive_json_exactly():
    before = head("x", scale=1 / 3, shift=-1e-17).model_copy(
        update={"E0": {1: -13.587222780835477, 92: -5e4 / 7}}
    )
    assert Head.model_validate_json(before.model_dump_json()) == before


def test_gigapascal():
    from ase import units

    assert pytest.approx(1 / units.GPa, rel=1e-9) == GPA_PER_EV_A3


def test_input_error_is_one_line_that_says_where():
    error = InputError("bad\n  thing", file="a.xyz", frame=3)
    assert str(error) == "a.xyz, frame 3: bad thing"
    assert (error.message, error.file, error.frame) == ("bad thing", "a.xyz", 3)
    assert str(InputError("bad", file="a.xyz")) == "a.xyz: bad"
    assert str(InputError("bad", frame=0)) == "frame 0: bad"
    assert str(InputError("bad")) == "bad"


def test_nearest():
    assert nearest("cutof", ["cutoff", "channels"]) == "; did you mean 'cutoff'?"
    assert nearest("q", ["cutoff"]) == ""
    assert nearest("q", []) == ""
