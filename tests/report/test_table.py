"""Tables."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from crossfield.report.table import Cell, number, table, three_digits
from tests.report.runs import HOSTILE


class Cells(HTMLParser):
    """Every cell: name of its element, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in ("th", "td", "caption"):
            self.found.append((tag, dict(attributes), ""))

    def handle_data(self, data: str) -> None:
        tag, attributes, text = self.found[-1]
        self.found[-1] = (tag, attributes, text + data)


def test_columns_and_rows_are_named_for_screen_readers() -> None:
    cells = Cells(table(["head", "MAE"], [["a", number(1.5)], ["b", number(0.25)]], caption="Errors")).found
    assert cells[0] == ("caption", {}, "Errors")
    assert [(tag, c.get("scope"), text) for tag, c, text in cells[1:]] == [
        ("th", "col", "head"),
        ("th", "col", "MAE"),
        ("th", "row", "a"),
        ("td", None, "1.5"),
        ("th", "row", "b"),
        ("td", None, "0.25"),
    ]


def test_columns_of_numbers_stand_on_the_right_and_sort_by_value() -> None:
    rows = [["a", number(1234.4), Cell("x", 1)], ["b", number(None), Cell("y")]]
    cells = Cells(table(["", "n", "mixed"], rows, caption="c")).found
    assert [c.get("class") for _, c, _ in cells[1:4]] == [None, "number", None]
    assert cells[5][1:] == ({"class": "number", "data-value": "1234.4"}, "1,234")
    assert cells[8][1:] == ({"class": "number muted", "data-value": "inf"}, "–")


def test_nothing_from_outside_becomes_markup() -> None:
    row = [Cell(HOSTILE, HOSTILE, HOSTILE, hint=HOSTILE), Cell(HOSTILE)]
    cells = Cells(table([HOSTILE, "b"], [row], caption=HOSTILE))
    assert "img" not in cells.tags
    assert "script" not in cells.tags
    texts = [text for _, _, text in cells.found]
    assert texts == [HOSTILE, HOSTILE, "b", f"{HOSTILE} ({HOSTILE})", HOSTILE]
    assert cells.found[3][1] == {"scope": "row", "class": HOSTILE, "data-value": HOSTILE, "title": HOSTILE}


def test_what_is_shown_when_hovered_is_read_aloud_too() -> None:
    html = table(["a", "b"], [["x", number(1.0, hint="of 3")]], caption="c")
    assert (
        '<td class="number" data-value="1.0" title="of 3">1<span class="unseen"> (of 3)</span></td>' in html
    )


def test_rows_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="needs 2 cells"):
        table(["a", "b"], [["x"]], caption="c")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123456, "0.0123"), (-999.4, "-999"), (1560.0, "1,560"), (3e9, "3e+09"), (0.0, "0")],
)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert three_digits(value) == text


def test_what_is_not_finite_is_a_dash() -> None:
    assert number(float("nan")).text == number(None).text == "–"
