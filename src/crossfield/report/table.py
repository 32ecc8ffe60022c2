"""Tables on the page, which the reader can sort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table."""

    text: str  # plain
    value: float | str | None = None  # what it is sorted by; the text if None. Numbers stand on the right
    css: str = ""  # class: good, bad, warn or muted
    hint: str = ""  # shown when hovered, and read aloud


def number(value: float | None, text: str = "", *, css: str = "", hint: str = "") -> Cell:
    """A number in a table; a dash where there is none.

    Args:
        value: sorted by.
        text: how it is written, as in `str.format`; empty: with three digits that count.
        css: class.
        hint: shown when hovered.
    """
    if value is None or value != value:
        return Cell("–", float("inf"), "muted", hint=hint)
    return Cell(text.format(value) if text else three_digits(value), value, css, hint=hint)


def three_digits(value: float) -> str:
    """Three digits that count, and all before the point."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str | Cell]],
    *,
    caption: str,
    heads: int = 1,
) -> str:
    """A table as HTML; everything in it is escaped.

    Args:
        head: names of the columns.
        rows: a cell for each column.
        caption: what it shows.
        heads: number of columns, from the left, that name the row.
    """
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    if any(len(row) != len(head) for row in cells):
        raise ValueError(f"every row of the table {caption!r} needs {len(head)} cells")
    right = [
        i >= heads and bool(cells) and all(_is_number(row[i]) for row in cells) for i in range(len(head))
    ]
    columns = "".join(_column(name, at_right) for name, at_right in zip(head, right))
    body = "".join(
        "<tr>" + "".join(_cell(cell, i < heads, right[i]) for i, cell in enumerate(row)) + "</tr>"
        for row in cells
    )
    return (
        f'<div class="table" role="region" aria-label="{escape(caption)}" tabindex="0">'
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _is_number(cell: Cell) -> bool:
    return isinstance(cell.value, int | float)


def _column(name: str, right: bool) -> str:
    text = f'<button type="button" class="sort">{escape(name)}</button>' if name else ""
    return f'<th scope="col"{" class=number" if right else ""}>{text}</th>'


def _cell(cell: Cell, heads_row: bool, right: bool) -> str:
    classes = " ".join(part for part in ("number" if right else "", cell.css) if part)
    attributes = f' class="{escape(classes)}"' if classes else ""
    if cell.value is not None:
        attributes += f' data-value="{escape(str(cell.value))}"'
    text = escape(cell.text)
    if cell.hint:  # no key leads to a cell, so that a title alone would be for those with a mouse only
        attributes += f' title="{escape(cell.hint)}"'
        text += f'<span class="unseen"> ({escape(cell.hint)})</span>'
    return f'<th scope="row"{attributes}>{text}</th>' if heads_row else f"<td{attributes}>{text}</td>"
