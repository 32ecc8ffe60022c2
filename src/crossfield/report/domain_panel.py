"""The way down into one benchmark: what it ends in, errors by subset, entries, problems, sources."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from crossfield.bench.domain.results import BenchmarkResult, Entry
from crossfield.bench.domain.sources import Source, get_source
from crossfield.errors import InputError
from crossfield.report.domain_others import metric_table
from crossfield.report.domain_payload import packed, result_data, structure_data
from crossfield.report.domain_scores import panel_id
from crossfield.report.domain_words import amount, chip, coverage, problem_counts, thresholds
from crossfield.report.pieces import notes, paragraph
from crossfield.report.table import Cell, number, table

FOLDED = 8  # subsets, and more, are folded away


@dataclass(frozen=True)
class SubsetErrors:
    """Errors of the entries of one subset and quantity, in its unit."""

    group: str
    quantity: str
    unit: str
    total: int  # entries
    compared: int  # that have both values
    mae: float | None  # None: nothing was compared
    mean: float | None  # predicted - reference
    largest: float | None  # the error of largest size, with its sign
    worst: str  # the entry that it is of


def subset_errors(entries: Sequence[Entry]) -> list[SubsetErrors]:
    """Errors by subset and quantity, in the order of the entries."""
    groups: dict[tuple[str, str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[entry.group, entry.quantity, entry.unit].append(entry)
    found = []
    for (group, quantity, unit), own in groups.items():
        errors = {i: e for i, entry in enumerate(own) if (e := entry_error(entry)) is not None}
        worst = max(errors, key=lambda i: abs(errors[i]), default=None)
        count = len(errors)
        found.append(
            SubsetErrors(
                group=group,
                quantity=quantity,
                unit=unit,
                total=len(own),
                compared=count,
                mae=math.fsum(map(abs, errors.values())) / count if count else None,
                mean=math.fsum(errors.values()) / count if count else None,
                largest=None if worst is None else errors[worst],
                worst="" if worst is None else own[worst].name,
            )
        )
    return found


def entry_error(entry: Entry) -> float | None:
    """Predicted - reference; None where one of them is missing."""
    if entry.predicted is None or entry.reference is None:
        return None
    return entry.predicted - entry.reference


def panel(result: BenchmarkResult, prefix: str, *, quick: bool = False) -> str:
    """What opens under the name of a benchmark; entries, problems and structures are unpacked then."""
    id = escape(panel_id(result, prefix))
    parts = [
        f'<header><h5 id="{id}-title" tabindex="-1">{escape(result.title)}</h5>'
        '<button type="button" class="bench-close">Close</button></header>',
        paragraph(result.description),
        _facts(result, quick),
        notes([("warn", result.mismatch)] if result.mismatch else []),
        notes([("plain", note) for note in result.notes]),
        _metric_table(result),
        metric_table(result),
        _subsets(result),
        '<div class="bench-entries"></div>',
        _problems(result),
        _sources(result.sources),
        packed(result_data(result), f"{panel_id(result, prefix)}-data"),
        packed(structure_data(result.structures), f"{panel_id(result, prefix)}-structures")
        if result.structures
        else "",
    ]
    opening = f'<section class="bench-panel" id="{id}" aria-labelledby="{id}-title" hidden>'
    return opening + "".join(parts) + "</section>"


def _facts(result: BenchmarkResult, quick: bool) -> str:
    facts = [
        ("Status", chip(result, quick=quick)),
        ("Reference", escape(result.reference or "none needed")),
        ("Calculated", escape(coverage(result))),
        ("Dispersion", escape(result.dispersion)),
        ("Time", f"{result.seconds:,.1f} s" if result.seconds else ""),
    ]
    inner = "".join(f"<div><dt>{name}</dt><dd>{html}</dd></div>" for name, html in facts if html)
    return f'<dl class="facts">{inner}</dl>'


def _metric_table(result: BenchmarkResult) -> str:
    rows: list[list[str | Cell]] = [
        [
            m.name,
            number(m.value, amount(m.value)),
            m.unit,
            Cell(thresholds(m), css="" if m.good is not None else "muted"),
            number(m.score, "{:.2f}"),
            number(m.weight, "{:g}") if m.good is not None else Cell("–", float("inf"), "muted"),
            m.description,
        ]
        for m in result.metrics
    ]
    head = ("Metric", "Value", "Unit", "[good, bad]", "Score", "Weight", "What it is")
    return table(head, rows, caption="Metrics") if rows else ""


def _subsets(result: BenchmarkResult) -> str:
    found = subset_errors(result.entries)
    if len(found) < 2 or not any(s.compared for s in found):
        return ""
    rows: list[list[str | Cell]] = [
        [
            s.group or "–",
            s.quantity,
            number(s.mae, amount(s.mae)),
            number(s.mean, amount(s.mean)),
            number(None if s.largest is None else abs(s.largest), amount(s.largest)),
            s.unit,
            s.worst,
            Cell(f"{s.compared} of {s.total}", s.compared, "" if s.compared == s.total else "warn"),
        ]
        for s in found
    ]
    head = ("Subset", "Quantity", "MAE", "Mean error", "Largest", "Unit", "Of", "Compared")
    html = table(head, rows, caption="Errors (predicted minus reference) by subset")
    if len(rows) <= FOLDED:
        return html
    return f"<details><summary>Errors by subset ({len(rows)})</summary>{html}</details>"


def _problems(result: BenchmarkResult) -> str:
    """Counts first; the list itself is unpacked by the page."""
    if not result.problems:
        return ""
    return (
        f'<details class="bench-problems"><summary>Problems: {escape(problem_counts(result))}</summary>'
        '<div class="bench-problem-list"></div></details>'
    )


def _sources(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f'<h6>Source of the data</h6><ul class="sources">{"".join(map(_source, names))}</ul>'


def _source(name: str) -> str:
    try:
        source: Source = get_source(name)
    except (InputError, FileNotFoundError):
        return f"<li>{escape(name)}: this version does not know the set</li>"
    return (
        f"<li><b>{escape(source.title)}</b>. {escape(source.citation)} Licence: {escape(source.licence)}. "
        f'<a href="{escape(source.url)}" rel="noreferrer">{escape(source.url)}</a></li>'
    )
