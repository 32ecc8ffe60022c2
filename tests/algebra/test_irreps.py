from __future__ import annotations

import pytest

from crossfield.algebra import Irreps
from crossfield.errors import InputError


@pytest.mark.parametrize(
    ("text", "channels"),
    [
        ("128x0e+128x1o", (128, 128)),
        ("16x0e", (16,)),
        ("3x2e", (0, 0, 3)),
        ("4x0e+2x1o+1x2e+5x3o", (4, 2, 1, 5)),
    ],
)
def test_round_trip(text, channels):
    irreps = Irreps.parse(text)
    assert irreps.channels == channels
    assert str(irreps) == text
    assert Irreps.parse(str(irreps)) == irreps


def test_order_and_blanks_do_not_matter():
    assert Irreps.parse(" 2x1o + 1x0e ") == Irreps.parse("1x0e+2x1o")


def test_uniform_and_sizes():
    irreps = Irreps.uniform(8, 3)
    assert str(irreps) == "8x0e+8x1o+8x2e+8x3o"
    assert irreps.l_max == 3
    assert irreps.dim == 8 * 16
    assert Irreps.parse("3x2e").dim == 15
    assert Irreps.parse("3x2e").l_max == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", "cannot read irreps 'abc'"),
        ("128x0", "cannot read irreps '128x0'"),
        ("128x0e+", "cannot read irreps"),
        ("1x-1o", "cannot read irreps"),
        ("8x0o", "parity must be"),
        ("8x0e+8x1e", "parity must be"),
        ("1x0e+2x0e", "each l may appear once"),
        ("", "there must be some"),
        ("-1x0e", "counts from 0"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        Irreps.parse(text)
