"""The tabs about benchmarks, as text and data."""

from __future__ import annotations

import base64
import json
import re
import zlib
from html.parser import HTMLParser
from typing import Any

import pytest

from crossfield.bench.domain.published import published_results
from crossfield.bench.domain.results import BenchmarkResult, Curve, DomainResults, Entry, Problem, Structure
from crossfield.report.benchmarks import benchmark_sections, script
from crossfield.report.domain_names import named
from crossfield.report.domain_others import metric_table
from crossfield.report.domain_panel import SubsetErrors, panel, subset_errors
from crossfield.report.domain_payload import curve_data, packed, pair_of, structure_data
from crossfield.report.domain_radar import Named
from crossfield.report.domain_words import amount, coverage, global_words, letters
from crossfield.report.section import Section
from tests.report.made_results import HOSTILE, large_sections, metric, not_run, result, results, small

SCORED = {
    "materials": 0.9,
    "molecular_crystals": 0.8,
    "molecules": 0.7,
    "surfaces": 0.6,
    "physicality": 0.5,
}


def tabs_of(found: DomainResults) -> list[Section]:
    """The tabs about the results of one model."""
    return benchmark_sections([Named("", found)])


class Seen(HTMLParser):
    """Tags, ids and texts of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attributes if name == "id" and value]

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def scored(name: str, domain: str, score: float) -> BenchmarkResult:
    """With this score."""
    return result(name, domain, metrics=(metric("MAE", 1 - score, 0, 1, "eV"),), total=3, done=3)


def unpacked(html: str, id: str) -> Any:
    """The data in an element."""
    (text,) = re.findall(f'<script type="application/octet-stream" id="{id}">([^<]*)</script>', html)
    return json.loads(zlib.decompress(base64.b64decode(text)))


def row_of(html: str, title: str) -> str:
    """The row of a benchmark in the table of its domain."""
    (row,) = (r for r in re.findall("<tr>.*?</tr>", html) if f">{title}</button>" in r)
    return row


def test_the_global_score_is_told_when_all_weighted_domains_have_one() -> None:
    every = results(tuple(scored(d, d, s) for d, s in SCORED.items()))
    # 0.25 0.9 + 0.2 0.8 + 0.25 0.7 + 0.2 0.6 + 0.1 0.5
    assert global_words(every) == (
        "0.730",
        "with the weights of arXiv 2510.25380; from 5 of 5 benchmarks, 5 of them complete",
    )


@pytest.mark.parametrize(
    ("absent", "remark"),
    [
        # 0.55 / 0.8 = 0.6875, without surfaces (0.73 - 0.2 0.6 = 0.61)
        (["surfaces"], "surfaces is missing; 0.76 over the 0.80 of the weight that was measured"),
        (
            ["molecules", "surfaces"],
            "molecules and surfaces are missing; 0.79 over the 0.55 of the weight that was measured",
        ),
        (list(SCORED), "no domain with a weight was measured"),
    ],
)
def test_without_a_domain_there_is_no_global_score_and_the_reason_is_told(
    absent: list[str], remark: str
) -> None:
    some = results(tuple(scored(d, d, s) if d not in absent else not_run(d, d) for d, s in SCORED.items()))
    assert global_words(some) == ("not available", remark)
    text = Seen(tabs_of(some)[0].html).text
    assert f"not available {remark}" in text
    if len(absent) == len(SCORED):
        assert "No benchmark has results yet" in text


def test_what_is_missing_is_there_with_its_reason_and_is_no_zero() -> None:
    html = tabs_of(small())[0].html
    missing, idle = Seen(row_of(html, "S24")).text, Seen(row_of(html, "PHONONS")).text
    assert "missing set s24 is neither in --data nor in the cache" in missing
    assert "1 missing or unreadable in the set" in missing
    assert "not run it was not asked for" in idle
    for row in (row_of(html, "S24"), row_of(html, "PHONONS")):
        assert 'class="bar"' not in row
        assert not re.search(r"\b0(\.0+)?\b", Seen(row.replace("[0.05, 0.5]", "")).text.replace("s24", ""))


def test_a_row_tells_score_coverage_metrics_and_remarks() -> None:
    row = row_of(tabs_of(small())[0].html, "S30L")
    text = Seen(row).text
    assert 'style="width:100.0%"' in row
    assert "1.00" in text
    assert "11 of 12; 1 not converged" in text
    assert "MAE 1 kcal/mol [2.4, 20]" in text
    assert "theory differs the model stands for PBE, the reference is ωB97M-V" in text


def test_quick_results_are_labelled() -> None:
    only = (scored("x23", "molecular_crystals", 0.5),)
    assert "Quick results" in Seen(tabs_of(results(only, quick=True))[0].html).text
    assert "Quick results" not in Seen(tabs_of(results(only))[0].html).text


def test_nothing_from_a_file_of_results_becomes_markup() -> None:
    bad = result(
        HOSTILE,
        HOSTILE,
        title=HOSTILE,
        description=HOSTILE,
        reference=HOSTILE,
        mismatch=HOSTILE,
        dispersion=HOSTILE,
        notes=(HOSTILE,),
        sources=(HOSTILE,),
        metrics=(metric(HOSTILE, 1.0, 0, 1, HOSTILE),),
        entries=(
            Entry(name=HOSTILE, group=HOSTILE, quantity=HOSTILE, unit=HOSTILE, reference=0, predicted=1),
            Entry(name="b", group="b", reference=0, predicted=1),
        ),
        curves=(Curve(name=HOSTILE, x_label=HOSTILE, y_label=HOSTILE, x=(0,), y=(1,)),),
        problems=(Problem(name=HOSTILE, kind="failed", reason=HOSTILE),),
        structures={HOSTILE: {HOSTILE: Structure(Z=(1,), positions=((0, 0, 0),))}},
        seconds=2.0,
    )
    for section in benchmark_sections([Named(HOSTILE, results((bad,)))]):
        seen = Seen(section.html)
        assert "img" not in seen.tags
        assert re.fullmatch(r"[\w-]+", section.id)
        assert all(re.fullmatch(r"[\w-]+", id) for id in seen.ids)
    assert "</script" not in script()


def test_ids_are_used_once_even_with_the_results_of_two_heads() -> None:
    sections = benchmark_sections([Named("a", small()), Named("b+", small())])
    ids = [id for section in sections for id in [section.id, *Seen(section.html).ids]]
    assert len(ids) == len(set(ids))
    assert [s.title for s in sections] == ["Compare", "Benchmarks a", "Benchmarks b+", "Curves", "Timing"]


def test_names_that_differ_have_ids_that_differ() -> None:
    names = ["dmc_ice13", "dmc-ice13", "dmc ice13", "dmc-20ice13", "Δ"]
    assert len({letters(name) for name in names}) == len(names)


def test_entries_are_unpacked_as_they_were() -> None:
    found = small().benchmark("s30l")
    assert found is not None
    data = unpacked(panel(found, "benchmarks"), "benchmarks-s30l-data")
    assert data["entries"]["name"] == [e.name for e in found.entries]
    assert data["entries"]["reference"] == [-20.0 - n for n in range(12)]
    assert data["entries"]["predicted"] == [None, *(-19.0 - n for n in range(1, 12))]
    assert data["entries"]["items"][4] == ["complex 4"]
    assert data["problems"] == {
        "kind": ["not converged"],
        "name": ["complex 0"],
        "reason": ["0.3 eV/Å after 500 steps"],
    }


def test_an_entry_without_a_number_says_why() -> None:
    silent = Entry(name="a", reference=1.0, items=("x", "y"))
    known = result(
        "s30l", "molecules", entries=(silent,), problems=(Problem(name="y", kind="failed", reason="NaN"),)
    )
    unknown = result("s30l", "molecules", entries=(silent,))
    for found, reason in ((known, "failed: NaN"), (unknown, "not calculated")):
        data = unpacked(panel(found, "p"), "p-s30l-data")
        assert data["entries"]["note"] == [reason]


def test_packed_data_cannot_end_their_element() -> None:
    html = packed({"a": HOSTILE}, 'i"d')
    assert Seen(html).tags == ["script"]
    assert html.count("</script>") == 1


def test_structures_are_kept_to_a_hundredth_of_an_angstrom() -> None:
    water = Structure(Z=(8, 1), positions=((0.0, -1.234, 0.126), (1e300, 0, 0)))
    salt = Structure(Z=(11, 0), positions=((0, 0, 0), (1, 1, 1)), cell=((2, 0, 0), (0, 3, 0), (0, 0, 4.005)))
    data = structure_data({"a": {"complex": water, "host": salt}})
    assert data["items"]["a"]["complex"] == [[8, 1], [0, -123, 13, 100_000_000, 0, 0], None]
    assert data["items"]["a"]["host"][2] == [200, 0, 0, 0, 300, 0, 0, 0, 400]
    assert data["elements"][8] == ("O", 0.66, "#ff0d0d")
    assert data["elements"][0][0] == "X"


def test_errors_by_subset() -> None:
    entries = [
        Entry(name="a", group="S", quantity="E", unit="eV", reference=1.0, predicted=3.0),
        Entry(name="b", group="S", quantity="E", unit="eV", reference=1.0, predicted=-3.0),
        Entry(name="c", group="S", quantity="E", unit="eV", reference=1.0),
        Entry(name="d", group="S", quantity="V", unit="Å³", reference=1.0),
        Entry(name="e", group="T", quantity="E", unit="eV", predicted=1.0),
    ]
    assert subset_errors(entries) == [
        SubsetErrors("S", "E", "eV", 3, 2, 3.0, -1.0, -4.0, "b"),
        SubsetErrors("S", "V", "Å³", 1, 0, None, None, None, ""),
        SubsetErrors("T", "E", "eV", 1, 0, None, None, None, ""),
    ]


def test_curves_share_grids_and_keep_gaps() -> None:
    def curve(name: str, y: tuple[float | None, ...]) -> Curve:
        return Curve(name=name, x_label="r / Å", y_label="E / eV", x=(1.0, 2.0, 1 / 3), y=y)

    y = (1.23456789, None, -98765.4321e-9)
    found = curve_data(
        [result("diatomics", "physicality", curves=(curve("H-O", y), curve("C-C", (0, 1, 2))))]
    )
    (data,) = found
    assert data["grids"] == [[1.0, 2.0, 0.333333]]
    assert [c["grid"] for c in data["curves"]] == [0, 0]
    assert data["curves"][0]["y"] == [1.23457, None, pytest.approx(-98765.4321e-9, rel=5e-6)]
    assert data["curves"][0]["pair"] == ("H", "O")
    assert data["elements"] == ["H", "C", "O"]


def test_rounding_of_curves_is_of_significant_digits() -> None:
    values = (0.0, 1e-12, 3.3333333e7, -1e308, 5e-324, 123.4567)
    (data,) = curve_data(
        [result("b", "materials", curves=(Curve(name="c", x_label="", y_label="", x=values, y=values),))]
    )
    assert data["curves"][0]["y"] == pytest.approx(values, rel=5e-6, abs=1e-19)


def test_pairs_of_elements_are_told_from_other_names() -> None:
    assert pair_of("H-O") == ("H", "O")
    assert pair_of("Cu–Au") == ("Cu", "Au")
    assert [pair_of(name) for name in ("H", "H-O-H", "X-H", "Q-H", "h-o", "")] == [None] * 6


def test_numbers_are_written_as_people_do() -> None:
    assert [amount(v) for v in (None, 0.0, 0.12345, 999.6, 1234.5, 1e-5, -2e8)] == [
        "–",
        "0",
        "0.123",
        "1,000",
        "1,234",
        "1e-05",
        "-2e+08",
    ]


def test_coverage_counts_problems_by_kind() -> None:
    problems = [
        Problem(name="a", kind="failed", reason=""),
        Problem(name="b", kind="not covered", reason=""),
        Problem(name="c", kind="failed", reason=""),
    ]
    found = result("x23", "molecular_crystals", total=30, done=27, problems=tuple(problems))
    assert coverage(found) == "27 of 30; 1 not covered by the head, 2 failed"
    assert coverage(not_run("x23", "molecular_crystals")) == "–"


def test_published_global_scores_stand_in_order_with_that_of_the_model() -> None:
    every = results(tuple(scored(d, d, s) for d, s in SCORED.items()))  # 0.730
    text = Seen(tabs_of(every)[0].html).text
    names = [o.model for o in published_results()["global"]]
    better = {o.model for o in published_results()["global"] if o.value > 0.73}
    assert better
    assert len(better) < len(names)
    at = text.index("this model 0.730")
    assert {name for name in names if text.index(f"{name} 0.") < at} == better
    assert "arXiv 2510.25380" in text


@pytest.mark.parametrize(
    ("found", "row"),
    [
        (small(), "this model (not comparable: 3 of 5 benchmarks) not available"),
        (
            results(tuple(scored(d, d, 1.0) for d in SCORED), quick=True),
            "this model (not comparable: quick) 1.000",
        ),
        (
            results((*(scored(d, d, 1.0) for d in SCORED), not_run("phonons", "materials"))),
            "this model (not comparable: 5 of 6 benchmarks) 1.000",
        ),
    ],
)
def test_what_is_no_whole_result_has_no_place_among_published_scores(found: DomainResults, row: str) -> None:
    text = Seen(tabs_of(found)[0].html).text
    assert all(text.index(f"{o.model} 0.") < text.index(row) for o in published_results()["global"])


def test_scores_tell_what_they_are_from_in_the_same_words_everywhere() -> None:
    part = result(
        "s30l",
        "molecules",
        status="partial",
        reason="no score: fewer than 50% of its calculations could be done",
        metrics=(metric("MAE", 1.0, 0, 2, "eV"),),
        score=None,
    )
    shown = result("nve", "physicality", title="NVE", metrics=(metric("drift", 1.0, None, None, "meV"),))
    found = (scored("x23", "molecules", 0.5), part, not_run("lnci16", "molecules"), shown)
    full, quick = (Seen(tabs_of(results(found, quick=q))[0].html).text for q in (False, True))
    assert full.count("from 1 of 3 benchmarks, 1 of them complete") == 2  # the domain's row, and its table
    assert quick.count("from 1 of 3 benchmarks, 1 of them complete in their quick part") == 2
    assert "1 of 3 1 of them complete, 1 not run, 1 shown and never scored" in full
    assert "no score: fewer than 50% of its calculations could be done" in full
    assert "shown, and never scored" in full
    assert "not scored" in row_of(tabs_of(results(found))[0].html, "NVE")


def test_the_part_of_a_quick_run_is_not_called_complete() -> None:
    only = (scored("x23", "molecular_crystals", 0.5),)
    quick = row_of(tabs_of(results(only, quick=True))[0].html, "X23")
    assert 'class="chip quick"' in quick
    assert "quick part complete" in quick
    assert 'class="chip complete"' in row_of(tabs_of(results(only))[0].html, "X23")
    sheet = panel(only[0], "p", quick=True)
    assert "quick part complete" in sheet


@pytest.mark.parametrize("covered", [None, 0.5])
def test_results_without_benchmarks_or_domains_are_a_page(covered: float | None) -> None:
    empty = results(()).model_copy(update={"domains": (), "covered_score": covered})
    text = Seen(tabs_of(empty)[0].html).text
    assert "not available" in text
    assert "No benchmark has results yet" in text


def test_published_numbers_stand_beside_the_metric_with_what_differs() -> None:
    found = result("wiggle150", "molecules", title="W", metrics=(metric("MAE", 3.25, 1, 10, "kcal/mol"),))
    html = metric_table(found)
    text = Seen(html).text
    assert "MAE this model 3.25 kcal/mol" in text
    for other in published_results()["wiggle150"]:
        assert f"MAE {other.model} {amount(other.value)} {other.unit}" in text
        assert other.differs in text
        assert f'href="{other.origin.url}"' in html
    nothing = metric_table(result("nothing", "molecules"))
    assert "No numbers of other models are known" in nothing


def test_timing_adds_up() -> None:
    slow = result("s24", "surfaces", title="S24", total=30, done=20, seconds=5000.0)
    fast = result("x23", "molecular_crystals", title="X23", total=2, done=2, seconds=100.0)
    timing = tabs_of(results((slow, fast, not_run("eos", "materials"))))[-1]
    text = Seen(timing.html).text
    assert timing.title == "Timing"
    assert "Calculations 22" in text
    assert "Time in all 85.0 min" in text
    assert "S24 Surfaces 5,000.0 20 250 20 of 30" in text
    assert "X23 Molecular crystals 100.0 2 – 2 of 2" in text  # two calculations are mostly start
    assert "including the start of each process" in text
    assert "EOS" not in text


def test_without_curves_and_times_there_is_still_a_page() -> None:
    sections = tabs_of(results((not_run("eos", "materials"),)))
    assert [s.id for s in sections] == ["benchmarks", "timing"]
    assert "Nothing was calculated yet" in Seen(sections[1].html).text
    assert [s.id for s in tabs_of(results(()))] == ["benchmarks", "timing"]


def test_a_page_with_everything_stays_small() -> None:
    assert sum(len(section.html) for section in large_sections()) < 12e6


def named_results(**models: DomainResults) -> list[Named]:
    return [Named(name, found) for name, found in models.items()]


def test_several_results_are_compared_by_benchmark() -> None:
    whole = results((scored("x23", "molecules", 0.5), not_run("s30l", "molecules")))
    part = scored("x23", "molecules", 0.25).model_copy(update={"status": "partial"})
    heavy = metric("heavy", 7.5, 0, 10, "meV").model_copy(update={"weight": 3.0})
    only = result("s30l", "molecules", title="S30L", metrics=(metric("light", 1, 0, 2, "eV"), heavy))
    other = results((part, only))
    compare = benchmark_sections(named_results(first=whole, second=other))[0]
    text = Seen(compare.html).text
    assert compare.title == "Compare"
    assert "X23 Molecules 0.500 (3 of 3) 0.250 * (3 of 3) MAE, eV 0.5 (3 of 3) 0.75 (3 of 3)" in text
    assert "S30L Molecules – (it was not asked for) 0.312 heavy, meV – 7.5" in text  # (0.5 + 3 0.25) / 4
    # one of two benchmarks; one of them in part
    assert re.search(r"Molecules 0\.25 0\.500 \* \(from 1 of 2 .*?\) 0\.281 \* \(from 2 of 2 ", text)
    assert 'title="from 1 of 2 benchmarks, 1 of them complete"' in compare.html
    (radar,) = re.findall(r'aria-label="(Radar[^"]*)"', compare.html)
    assert radar == "Radar of scores: first: Molecules 0.50. second: Molecules 0.28"


def test_quick_results_among_others_are_named() -> None:
    full, quick = (results((scored("x23", "molecules", 0.5),), quick=q) for q in (False, True))
    text = Seen(benchmark_sections(named_results(a=full, b=quick))[0].html).text
    assert "of a small part of every set only: b." in text


def test_names_of_results_are_short_and_differ() -> None:
    def of(name: str, head: str | None, *, weights: bool = True, quick: bool = False) -> DomainResults:
        subject = {"name": name, "head": head, "weights": "0" * 64 if weights else None}
        found = results((), quick=quick)
        return found.model_copy(update={"subject": found.subject.model_copy(update=subject)})

    chgnet = of('chgnet.model.dynamics:CHGNetCalculator {"use_device": "cpu"}', None, weights=False)
    emt = of("ase.calculators.emt:EMT", None, weights=False)
    assert names(named([chgnet, of("runs/my/best.safetensors", "my", quick=True), emt])) == [
        "CHGNetCalculator",
        "my, quick",
        "EMT",
    ]
    assert names(named([of("runs/a/best.safetensors", "pbe"), of("runs/b/large.safetensors", "pbe")])) == [
        "a, pbe",
        "large, pbe",
    ]
    assert names(named([emt, emt])) == ["ase.calculators.emt:EMT (1)", "ase.calculators.emt:EMT (2)"]
    assert names(named([emt])) == [""]


def names(found: list[Named]) -> list[str]:
    return [each.name for each in found]
