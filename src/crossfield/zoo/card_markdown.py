"""A model card as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from crossfield.zoo.card import Card
from crossfield.zoo.card_parts import parts


def markdown(card: Card) -> str:
    """The card as Markdown; no name in it can be more than text."""
    lines = [f"# Model card: {plain(card.name)}"]
    for part in parts(card):
        lines += ["", f"## {plain(part.title)}"]
        for paragraph in part.paragraphs:
            lines += ["", plain(paragraph)]
        if part.items:
            lines += ["", *(f"- **{plain(k)}**: {plain(v)}" if k else f"- {plain(v)}" for k, v in part.items)]
        if part.rows:
            lines += ["", *(_line(row) for row in (part.head, ["---"] * len(part.head)))]
            lines += [_line([plain(cell) for cell in row]) for row in part.rows]
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """Text in one line in which nothing means anything to a reader of Markdown."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = re.sub(r"([\\`*\[\]<>|~&$])", r"\\\1", text)
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # inside of a word it is a letter
    text = re.sub(r"^(#+|[+-]+|=+)(?=\s|$)", r"\\\1", text)  # headings, lists, rules
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", text)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
