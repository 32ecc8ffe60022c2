"""Which structures are replayed, by how their elements relate to those of the new data."""

from __future__ import annotations

from collections.abc import Set
from typing import Literal

Relation = Literal["none", "combinations", "inclusive", "exclusive"]


def fits(own: Set[int], new: Set[int], relation: Relation) -> bool:
    """Whether the elements of a structure stand in this relation to those of the new data.

    Args:
        own: atomic numbers in the structure.
        new: atomic numbers in the new data.
        relation: "combinations": no others than those; "inclusive": all of those, and perhaps others;
            "exclusive": exactly those; "none": whatever they are.
    """
    match relation:
        case "none":
            return True
        case "combinations":
            return own <= new
        case "inclusive":
            return own >= new
        case "exclusive":
            return own == new
