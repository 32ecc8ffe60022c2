from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest

from crossfield.bench.domain.published import published_results, read_published
from crossfield.bench.domain.sources import known_sources

FILE = {
    "sources": {"one": {"cite": "A. Author (2025)", "place": "table 1", "url": "https://example.org/one"}},
    "tables": [
        {
            "benchmark": "wiggle150",
            "metric": "MAE",
            "unit": "kcal/mol",
            "source": "one",
            "conditions": "all conformers",
            "differs": "",
            "values": {"A": 1.5, "B": 2},
        }
    ],
}
DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks-sources.md"


def changed(**table):
    content = copy.deepcopy(FILE)
    content["tables"][0] |= table
    return content


def test_tables_become_results_with_their_origin():
    (first, second) = read_published(FILE)["wiggle150"]
    assert (first.model, first.value, first.unit, first.metric) == ("A", 1.5, "kcal/mol", "MAE")
    assert (second.model, second.value) == ("B", 2.0)
    assert first.origin.place == second.origin.place == "table 1"


@pytest.mark.parametrize("number", [".nan", float("nan"), float("inf"), None, "many"])
def test_numbers_are_finite(number):
    with pytest.raises(ValueError, match=r"tables\.0\.values"):
        read_published(changed(values={"A": number}))


def test_sources_must_be_there_and_used():
    with pytest.raises(ValueError, match="no such source: two"):
        read_published(changed(source="two"))
    content = copy.deepcopy(FILE)
    content["sources"]["two"] = content["sources"]["one"]
    with pytest.raises(ValueError, match="source of no table: two"):
        read_published(content)


@pytest.mark.parametrize("field", ["cite", "place", "url"])
def test_a_source_without_a_citation_is_refused(field):
    for broken in ("", None):
        content = copy.deepcopy(FILE)
        content["sources"]["one"][field] = broken
        with pytest.raises(ValueError, match=rf"sources\.one\.{field}"):
            read_published(content)


def test_one_number_per_model_metric_and_source():
    content = copy.deepcopy(FILE)
    content["tables"].append(content["tables"][0] | {"values": {"B": 3.0}})
    with pytest.raises(ValueError, match="twice: wiggle150, MAE, B, one"):
        read_published(content)
    content["sources"]["two"] = content["sources"]["one"]
    content["tables"][1]["source"] = "two"
    assert [r.value for r in read_published(content)["wiggle150"]] == [1.5, 2.0, 3.0]


def test_unknown_fields_are_refused():
    with pytest.raises(ValueError, match=r"tables\.0\.note"):
        read_published(changed(note="x"))


def test_numbers_as_they_stand_in_the_sources():
    results = published_results()
    scores = {r.model: r.value for r in results["global"]}
    assert scores["MACE-MH-1-OMAT"] == 0.862
    assert scores["MACE-MH-1-OMAT"] == max(scores.values())
    (wiggle,) = [r for r in results["wiggle150"] if r.model == "SevenNet-l3i5"]
    assert (wiggle.value, wiggle.unit) == (13.88, "kcal/mol")
    chgnet = {r.metric: r.value for r in results["elasticity"] if r.model == "CHGNet (MPtrj)"}
    assert chgnet == {"Bulk modulus MAE": 17.45, "Shear modulus MAE": 29.59}


def test_a_metric_has_one_unit_within_a_benchmark():
    for results in published_results().values():
        units = {(r.metric, r.unit) for r in results}
        assert len(units) == len({metric for metric, _ in units})


def test_errors_are_positive():
    assert all(r.value > 0 for results in published_results().values() for r in results)


@pytest.mark.parametrize("name", list(known_sources()))
def test_every_set_can_be_cited_and_checked(name):
    source = known_sources()[name]
    assert re.search(r"doi 10\.\d{4,}/\S+|arXiv \d{4}\.\d{5}|https://", source.citation)
    assert (source.sha256 is None) == (source.size is None)
    assert source.licence
    assert source.contents
    assert "\n" not in source.contents + source.citation


def test_no_two_sets_are_the_same_file():
    sources = known_sources().values()
    for values in (
        [s.url for s in sources],
        [s.file for s in sources],
        [s.sha256 for s in sources if s.sha256],
    ):
        assert len(values) == len(set(values))


@pytest.mark.parametrize("name", list(known_sources()))
def test_the_documentation_lists_every_set(name):
    source = known_sources()[name]
    (row,) = [line for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith(f"| `{name}` |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == f"[{source.file}]({source.url})"
    assert cells[2] == source.contents
    assert cells[3] == source.licence
    assert cells[4] == source.citation
