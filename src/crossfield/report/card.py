"""The tab with the model card."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape

from crossfield.report.pieces import heading, paragraph
from crossfield.report.section import Section
from crossfield.report.table import Cell, table
from crossfield.zoo.card import Card
from crossfield.zoo.card_parts import parts

NUMBER = re.compile(r"-?\d[\d,]*(\.\d+)?(e[+-]\d+)?")
NO_NUMBER = ("–", "new")  # what the card writes where there is none


def card_section(card: Card) -> Section:
    """All that the card says, as `crossfield.zoo.card_markdown.markdown` does."""
    html = ""
    for part in parts(card):
        html += heading(part.title) + "".join(paragraph(text) for text in part.paragraphs)
        if part.items:
            html += '<ul class="facts">' + "".join(_item(what, text) for what, text in part.items) + "</ul>"
        if part.rows:
            html += table(part.head, _cells(part.rows), caption=part.title)
    return Section("card", "Model card", html)


def _cells(rows: Sequence[Sequence[str]]) -> list[list[Cell]]:
    """With their numbers, in columns of numbers: these stand on the right, and sort by value."""
    columns = []
    for column in zip(*rows, strict=True):
        numbers = [_number(text) for text in column]
        known = any(number is not None and math.isfinite(number) for number in numbers)
        whole = known and None not in numbers
        columns.append([Cell(text, number if whole else None) for text, number in zip(column, numbers)])
    return [list(row) for row in zip(*columns, strict=True)]


def _number(text: str) -> float | None:
    """Of a text such as 1,234; infinite where a word stands for none, which sorts last; None: no number."""
    if text in NO_NUMBER:
        return math.inf
    return float(text.replace(",", "")) if NUMBER.fullmatch(text) else None


def _item(what: str, text: str) -> str:
    return f"<li><b>{escape(what)}</b>: {escape(text)}</li>" if what else f"<li>{escape(text)}</li>"
