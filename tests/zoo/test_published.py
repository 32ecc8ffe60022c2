from __future__ import annotations

import re

import pytest
from ase.data import chemical_symbols
from pydantic import ValidationError

from crossfield.errors import InputError
from crossfield.theory import known_theories
from crossfield.zoo.published import LICENCES, Published, get_published, published

FIELDS = {
    "name": "one",
    "description": "A model",
    "url": "https://example.org/one.model",
    "sha256": "0" * 64,
    "size": 1000,
    "licence": "MIT",
    "elements": "1, 6-8",
    "parameters": 4_700_000,
    "heads": {"Default": "pbe_gpaw"},
    "default_head": "Default",
    "reference": "arXiv 0000.00000",
}


@pytest.mark.parametrize("name", list(published()))
def test_what_is_published_is_complete(name):
    model = published()[name]
    assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name)
    assert model.name == name
    assert model.description
    assert len(model.description) <= 100
    assert "\n" not in model.description
    assert model.reference
    assert all(0 < z < len(chemical_symbols) for z in model.elements)
    assert model.licence in LICENCES


@pytest.mark.parametrize("name", list(published()))
def test_every_head_has_a_known_theory(name):
    heads = published()[name].heads
    assert {head: theory for head, theory in heads.items() if theory not in known_theories()} == {}


def test_no_two_are_the_same_file():
    urls = [model.url for model in published().values()]
    checksums = [model.sha256 for model in published().values() if model.sha256]
    assert len(set(urls)) == len(urls)
    assert len(set(checksums)) == len(checksums)


def test_names():
    assert get_published("mace-mh-1").name == "mace-mh-1"
    with pytest.raises(
        InputError, match=r"unknown model 'MACE-MH1'; did you mean 'mace-mh-1'\? \(published: "
    ):
        get_published("MACE-MH1")
    with pytest.raises(InputError, match=r"unknown model 'x' \(published: .*mace-mh-1"):
        get_published("x")


def test_elements_are_ranges():
    assert Published.model_validate(FIELDS).elements == (1, 6, 7, 8)
    everything = Published.model_validate(FIELDS | {"elements": "1-83, 89-94"}).elements
    assert everything == (*range(1, 84), *range(89, 95))


def test_theories_of_the_heads():
    theories = Published.model_validate(FIELDS).theories()
    assert theories == {"Default": known_theories()["pbe_gpaw"]}


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://example.org/one.model"},
        {"url": "https://example.org"},
        {"sha256": "0" * 63},
        {"sha256": "A" * 64},
        {"size": 0},
        {"licence": "GPL"},
        {"heads": {}},
        {"default_head": "default"},
        {"elements": ""},
        {"elements": "H, C"},
        {"elements": "all"},
        {"elements": "0-3"},
        {"elements": "110-119"},
        {"elements": "8, 1"},
        {"elements": "8-6"},
        {"elements": "1-3, 3-5"},
        {"elements": [1, 6]},
        {"licnce": "MIT"},
    ],
)
def test_mistakes_in_an_entry(changes):
    with pytest.raises(ValidationError):
        Published.model_validate(FIELDS | changes)


def test_licences_say_what_they_forbid():
    assert LICENCES["ASL"].ask
    assert "non-commercial" in LICENCES["ASL"].terms
    assert not LICENCES["MIT"].ask
