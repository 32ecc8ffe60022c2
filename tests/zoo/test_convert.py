"""From a file of mace-torch to one of ours, and to a potential in one line."""

from __future__ import annotations

import shutil

import pytest

from crossfield import Calculator, load
from crossfield.errors import InputError
from crossfield.theory import get_theory
from crossfield.zoo import checkpoint, mace
from crossfield.zoo.convert import convert
from crossfield.zoo.published import Published
from tests.zoo.samples import DENSITY, EXPECTED, FACTS, NONLINEAR, STATE_DICT, structures


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path / "cache"))


def entry(**changes) -> Published:
    fields = {
        "name": "mace-test",
        "description": "A test.",
        "url": "https://localhost/mace.model",
        "sha256": None,
        "size": None,
        "licence": "MIT",
        "elements": "1, 6, 8, 26",
        "parameters": None,
        "heads": {"omat_pbe": "omat_pbe", "house": "matpes_r2scan"},
        "default_head": "omat_pbe",
        "reference": "none",
    }
    return Published.model_validate(fields | changes)


def test_a_file_of_mace_torch_is_loaded_in_one_line(tmp_path):
    atoms = structures()[0]
    atoms.calc = Calculator(load(DENSITY, table_accuracy=None))
    assert atoms.get_potential_energy() == pytest.approx(EXPECTED["density"]["energy"][0], rel=1e-12)
    atoms.calc = Calculator(str(DENSITY), table_accuracy=None)
    assert atoms.get_potential_energy() == pytest.approx(EXPECTED["density"]["energy"][0], rel=1e-12)
    assert len(list((tmp_path / "cache" / "models").glob("*.safetensors"))) == 1  # converted once


def test_what_is_recorded(tmp_path):
    convert(NONLINEAR, tmp_path / "m.safetensors", theories={"house": "pbe_gpaw"}, default_head="house")
    model = checkpoint.load(tmp_path / "m.safetensors")
    assert model.default_head == "house"
    assert [head.theory for head in model.heads] == [get_theory("omat_pbe"), get_theory("pbe_gpaw")]
    imported = checkpoint.read_metadata(tmp_path / "m.safetensors")["provenance"]["imported"]
    assert imported["file"] == "nonlinear.model"
    assert len(imported["sha256"]) == 64
    assert imported["kind"] == "mace-torch module"
    assert imported["facts"]["cutoff_on"] == "weights"


def test_a_published_model_brings_its_theories_and_default(tmp_path):
    convert(NONLINEAR, tmp_path / "m.safetensors", published=entry())
    model = checkpoint.load(tmp_path / "m.safetensors")
    assert [head.theory.name for head in model.heads] == ["omat_pbe", "matpes_r2scan"]
    assert load(tmp_path / "m.safetensors").head == "omat_pbe"
    assert load(tmp_path / "m.safetensors", head="house").head == "house"


def test_the_only_head_takes_the_only_theory(tmp_path):
    """Whatever it is called in the file."""
    published = entry(heads={"Default": "spice_wB97M"}, default_head="Default")
    convert(DENSITY, tmp_path / "m.safetensors", published=published)
    (head,) = checkpoint.load(tmp_path / "m.safetensors").heads
    assert (head.name, head.theory.name) == ("head0", "spice_wB97M")


def test_several_heads_need_a_choice():
    potential = load(NONLINEAR)
    assert potential.head is None
    with pytest.raises(InputError, match="choose one of: omat_pbe, house"):
        potential.predict(structures()[0])
    with pytest.raises(InputError, match=r"unknown head 'omat'.*this model has: omat_pbe, house"):
        load(NONLINEAR, head="omat")


def test_a_state_dict_alone_says_how_to_go_on():
    with pytest.raises(InputError, match=r"density\.pt: .*crossfield convert.*--set: cutoff_on=basis"):
        load(STATE_DICT)


def test_a_state_dict_is_converted_with_facts(tmp_path):
    convert(STATE_DICT, tmp_path / "m.safetensors", facts=FACTS)
    (result,) = load(tmp_path / "m.safetensors", table_accuracy=None).predict(structures()[0])
    assert result.energy == pytest.approx(EXPECTED["density"]["energy"][0], rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"theories": {"house": "pbe_gpau"}}, "unknown theory 'pbe_gpau'; did you mean 'pbe_gpaw'"),
        ({"theories": {"garden": "pbe_gpaw"}}, "unknown head 'garden'"),
        ({"default_head": "hous"}, "unknown head 'hous'; did you mean 'house'"),
    ],
)
def test_unknown_theories_and_heads(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        convert(NONLINEAR, tmp_path / "m.safetensors", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_replaced_while_it_is_read(tmp_path, monkeypatch):
    """Its numbers must not be kept under the checksum of the one that was there before."""
    path = tmp_path / "mine.model"
    shutil.copy(DENSITY, path)
    read = mace.read

    def replaced(source, facts):
        shutil.copy(NONLINEAR, source)
        return read(source, facts)

    monkeypatch.setattr(mace, "read", replaced)
    with pytest.raises(InputError, match="replaced while it was read"):
        load(path)
    monkeypatch.undo()
    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path / "cache"))
    shutil.copy(DENSITY, path)
    (result,) = load(path, table_accuracy=None).predict(structures()[0])
    assert result.energy == pytest.approx(EXPECTED["density"]["energy"][0], rel=1e-12)


def test_a_published_default_that_the_file_lacks_is_no_obstacle(tmp_path):
    published = entry(heads={"omat_pbe": "omat_pbe", "other": "omat_pbe"}, default_head="other")
    convert(NONLINEAR, tmp_path / "m.safetensors", published=published)
    assert checkpoint.load(tmp_path / "m.safetensors").default_head is None
