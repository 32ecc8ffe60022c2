"""The tab with the model card."""

from __future__ import annotations

from html import escape

from crossfield.report.pieces import heading, paragraph
from crossfield.report.section import Section
from crossfield.report.table import table
from crossfield.zoo.card import Card
from crossfield.zoo.card_parts import parts


def card_section(card: Card) -> Section:
    """All that the card says, as `crossfield.zoo.card_markdown.markdown` does."""
    html = ""
    for part in parts(card):
        html += heading(part.title) + "".join(paragraph(text) for text in part.paragraphs)
        if part.items:
            html += '<ul class="facts">' + "".join(_item(what, text) for what, text in part.items) + "</ul>"
        if part.rows:
            html += table(part.head, part.rows, caption=part.title)
    return Section("card", "Model card", html)


def _item(what: str, text: str) -> str:
    return f"<li><b>{escape(what)}</b>: {escape(text)}</li>" if what else f"<li>{escape(text)}</li>"
