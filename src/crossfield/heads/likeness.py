"""Which element is most like another one, for weights to start from."""

from __future__ import annotations

from collections.abc import Iterable

LAST_OF_PERIOD = (0, 2, 10, 18, 36, 54, 86, 118)
SERIES = (range(57, 72), range(89, 104))  # lanthanides, actinides


def most_alike(number: int, known: Iterable[int]) -> int:
    """The known element that is most like another.

    In the first of these that has one: the same group of the periodic table, nearest period; for lanthanides
    and actinides, the same series, nearest atomic number; all elements, nearest atomic number. Of two that
    are equally near, the lighter one.

    Args:
        number: atomic number of the element.
        known: atomic numbers to choose from; at least one.
    """
    known = sorted(known)
    column = [z for z in known if _column(z) == _column(number)]
    if column and not _series(number):
        return min(column, key=lambda z: abs(_period(z) - _period(number)))
    return min(column or known, key=lambda z: abs(z - number))


def _column(number: int) -> tuple[str, int]:
    """The group (1 to 18), or the series."""
    if series := _series(number):
        return "series", series
    period = _period(number)
    after, before = LAST_OF_PERIOD[period] - number, number - LAST_OF_PERIOD[period - 1]
    # counted from the alkali metal, else backwards from the noble gas
    return "group", before if before <= 2 and number != 2 else 18 - after


def _series(number: int) -> int:
    """The period of a lanthanide or actinide; 0 for all other elements."""
    return next((6 + i for i, series in enumerate(SERIES) if number in series), 0)


def _period(number: int) -> int:
    return next(i for i, last in enumerate(LAST_OF_PERIOD) if number <= last)
