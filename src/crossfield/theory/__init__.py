"""Levels of theory, heads, units."""

from crossfield.theory.electrons import check_parity
from crossfield.theory.head import Head, HeadName, check_elements, head_index
from crossfield.theory.theory import Theory, TheoryDescription, get_theory, known_theories

__all__ = [
    "Head",
    "HeadName",
    "Theory",
    "TheoryDescription",
    "check_elements",
    "check_parity",
    "get_theory",
    "head_index",
    "known_theories",
]
