"""The tab with the card has all that the Markdown has."""

from __future__ import annotations

from html import unescape
from pathlib import Path

from crossfield.report.card import card_section
from crossfield.zoo.card import read_card
from crossfield.zoo.card_parts import parts
from tests.report.runs import HOSTILE, save_model


def test_everything_on_the_card_is_on_the_tab(tmp_path: Path) -> None:
    save_model(tmp_path / "m.safetensors", ("pbe", HOSTILE), step=7)
    card = read_card(tmp_path / "m.safetensors", name="m")
    section = card_section(card)
    assert section.id == "card"
    assert "<img" not in section.html
    shown = unescape(section.html)
    for part in parts(card):
        assert part.title in shown
        for text in (*part.paragraphs, *(v for _, v in part.items), *(c for row in part.rows for c in row)):
            assert text in shown
