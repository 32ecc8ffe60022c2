"""`crossfield convert`, and commands that take a file of mace-torch."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Command
from tests.zoo.samples import DENSITY, NONLINEAR, STATE_DICT


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path / "cache"))


def test_convert_shows_what_it_has_written(crossfield: Command, tmp_path) -> None:
    out = tmp_path / "new" / "m.safetensors"
    outcome = crossfield("convert", str(DENSITY), str(out), "--theory", "head0=omat_pbe")
    assert outcome.code == 0
    assert out.exists()
    assert "density, density_residual" in outcome.out
    assert "theory      omat_pbe" in outcome.out
    assert "imported from density.model (mace-torch module)" in outcome.out


def test_default_head_is_shown(crossfield: Command, tmp_path) -> None:
    out = str(tmp_path / "m.safetensors")
    outcome = crossfield("convert", str(NONLINEAR), out)
    assert "no default head: name one with --head" in outcome.out
    crossfield("convert", str(NONLINEAR), out, "--default-head", "house")
    outcome = crossfield("info", out)
    assert "head house (default)" in outcome.out
    assert "no default head" not in outcome.out
    assert json.loads(crossfield("info", out, "--json").out)["default_head"] == "house"


def test_state_dict_with_settings(crossfield: Command, tmp_path) -> None:
    out = str(tmp_path / "m.safetensors")
    outcome = crossfield(
        "convert",
        str(STATE_DICT),
        out,
        "--set",
        "cutoff_on=basis",
        "--set",
        "heads=[mine]",
        "--set",
        "readout_activation=silu",
    )
    assert outcome.code == 0
    assert "head mine" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (str(STATE_DICT), "OUT"),
            "cutoff_on=basis, or cutoff_on=weights if it ran with --apply_cutoff=False",
        ),
        ((str(STATE_DICT), "OUT", "--set", "cutoff_on"), "--set cutoff_on: expected KEY=VALUE"),
        ((str(STATE_DICT), "OUT", "--set", "cutoff_on=["), "the value cannot be read"),
        ((str(STATE_DICT), "OUT", "--set", "a=1", "--set", "a=2"), "--set a is given twice"),
        ((str(DENSITY), "OUT", "--theory", "head0"), "--theory head0: expected KEY=VALUE"),
        ((str(DENSITY), "OUT", "--set", "cutoff_on=basis"), "the file itself states cutoff_on"),
        ((str(DENSITY), str(DENSITY)), "this is one of the inputs"),
        (("nowhere.model", "OUT"), "nowhere.model: no such file"),
    ],
)
def test_refusals(crossfield: Command, tmp_path, arguments, message) -> None:
    out = str(tmp_path / "m.safetensors")
    outcome = crossfield("convert", *(out if a == "OUT" else a for a in arguments))
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "m.safetensors").exists()


def test_info_of_a_file_of_mace_torch(crossfield: Command) -> None:
    outcome = crossfield("info", str(NONLINEAR))
    assert outcome.code == 0
    assert "reads spin" in outcome.out
    assert "OMat24" in outcome.out  # the data of a known theory


def test_a_file_with_the_name_of_a_published_model(crossfield: Command, tmp_path, monkeypatch) -> None:
    """What is shown is what was written; nothing is fetched."""
    monkeypatch.chdir(tmp_path)
    for name in ("mace-mh-1", "./mace-mp-0b-small"):
        outcome = crossfield("convert", str(DENSITY), name)
        assert outcome.code == 0
        assert "imported from density.model" in outcome.out
        assert (tmp_path / name).exists()
