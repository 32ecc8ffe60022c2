"""The tab with the card has all that the Markdown has."""

from __future__ import annotations

from html import unescape
from pathlib import Path

from crossfield.report.card import _cells, card_section
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


def test_columns_of_numbers_have_their_numbers() -> None:
    """What stands for none is no text among them; a head that is called 1 does not make numbers of names."""
    rows = [("1", "1,234", "–", "0.5"), ("pbe", "-2.5e-05", "new", "cosine")]
    values = [[cell.value for cell in row] for row in _cells(rows)]
    assert values == [[None, 1234.0, None, None], [None, -2.5e-5, None, None]]
    ((number,), (none,), (word,)) = _cells([("12.3",), ("–",), ("new",)])
    assert (number.value, none.value, word.value) == (12.3, float("inf"), float("inf"))
    assert [number.text, none.text, word.text] == ["12.3", "–", "new"]
