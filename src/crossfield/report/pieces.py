"""Small pieces of HTML that several tabs are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from crossfield.report.palette import DASHES, SYMBOLS, look

_STROKES = {
    "solid": "",
    "dash": "7 4",
    "dot": "2 3",
    "dashdot": "7 3 2 3",
    "longdash": "11 4",
    "longdashdot": "11 3 2 3",
}
_MARKS = {  # around (0, 0)
    "circle": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "square": "M-4 -4h8v8h-8z",
    "diamond": "M0 -5L5 0L0 5L-5 0z",
    "triangle-up": "M0 -5L5 4H-5z",
    "cross": "M-1.7 -5h3.4v3.3h3.3v3.4h-3.3v3.3h-3.4v-3.3h-3.3v-3.4h3.3z",
    "x": "M-5 -3L-3 -5L0 -2L3 -5L5 -3L2 0L5 3L3 5L0 2L-3 5L-5 3L-2 0z",
    "star": "M0 -6L1.8 -2H5.8L2.6 .7L3.8 5L0 2.4L-3.8 5L-2.6 .7L-5.8 -2H-1.8z",
    "triangle-down": "M0 5L5 -4H-5z",
}
assert set(_STROKES) == set(DASHES)
assert set(_MARKS) == set(SYMBOLS)


def legend(heads: Sequence[str]) -> str:
    """Buttons that show and hide the traces of a head: those whose `legendgroup` is its name."""
    return (
        '<div class="legend" role="group" aria-label="Heads shown in the figures">'
        + "".join(
            f'<button type="button" aria-pressed="true" data-group="{escape(name)}">{swatch(i)}'
            f"<span>{escape(name)}</span></button>"
            for i, name in enumerate(heads)
        )
        + "</div>"
    )


def swatch(position: int) -> str:
    """Line and mark of the head at a position."""
    colour, dash, symbol = look(position)
    return (
        '<svg class="swatch" width="34" height="14" viewBox="-17 -7 34 14" aria-hidden="true">'
        f'<path d="M-16 0H16" stroke="{colour}" stroke-width="2" stroke-dasharray="{_STROKES[dash]}"/>'
        f'<path d="{_MARKS[symbol]}" fill="{colour}"/></svg>'
    )


def cards(items: Iterable[tuple[str, str, str]]) -> str:
    """Key numbers: name, value and a remark each, plain text."""
    return (
        '<dl class="cards">'
        + "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}"
            + (f"<small>{escape(remark)}</small>" if remark else "")
            + "</dd></div>"
            for name, value, remark in items
        )
        + "</dl>"
    )


def notes(items: Sequence[tuple[str, str]]) -> str:
    """What the reader should know: its kind (good, warn, bad or plain) and plain text."""
    words = {"good": "Good", "warn": "Note", "bad": "Attention", "plain": "Note"}
    return (
        '<ul class="notes">'
        + "".join(
            f'<li class="{escape(kind)}"><b>{words[kind]}</b> {escape(text)}</li>' for kind, text in items
        )
        + "</ul>"
        if items
        else ""
    )


def paragraph(text: str) -> str:
    """Plain text."""
    return f"<p>{escape(text)}</p>"


def heading(text: str) -> str:
    """Of a part of a tab; plain text."""
    return f"<h3>{escape(text)}</h3>"


def details(summary: str, html: str) -> str:
    """What is folded away; the summary is plain text."""
    return f"<details><summary>{escape(summary)}</summary>{html}</details>"


def grid(parts: Iterable[str]) -> str:
    """Figures side by side where there is room."""
    return f'<div class="grid">{"".join(parts)}</div>'
