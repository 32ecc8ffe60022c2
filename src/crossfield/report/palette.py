"""Colours, dashes and marks that together tell heads apart, on light and on dark."""

from __future__ import annotations

from typing import NamedTuple


class Look(NamedTuple):
    """How a head is drawn, in every figure alike."""

    colour: str
    dash: str
    symbol: str


COLOURS = ("#3d7fd0", "#c8641b", "#2a8f6c", "#b4519f", "#8a7a1f", "#7a6bd6", "#c94f5f", "#4e8790")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "triangle-down")
NEUTRAL = "#7d8590"  # lines for comparison: y = x, tolerances
GOOD, BAD = "#2a8f6c", "#c94f5f"


def look(position: int) -> Look:
    """The look of the head at a position; 8 colours and 6 dashes make 24 that differ."""
    return Look(
        COLOURS[position % len(COLOURS)], DASHES[position % len(DASHES)], SYMBOLS[position % len(SYMBOLS)]
    )
