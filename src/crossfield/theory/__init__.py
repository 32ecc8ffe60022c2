"""Levels of theory, heads, units."""

from crossfield.theory.dispersion import dispersion_beside, dispersion_differs, dispersion_of
from crossfield.theory.electrons import check_parity
from crossfield.theory.elements import symbols
from crossfield.theory.head import Head, HeadName, check_elements, head_index
from crossfield.theory.theory import InputMeaning, Theory, TheoryDescription, get_theory, known_theories

__all__ = [
    "Head",
    "HeadName",
    "InputMeaning",
    "Theory",
    "TheoryDescription",
    "check_elements",
    "check_parity",
    "dispersion_beside",
    "dispersion_differs",
    "dispersion_of",
    "get_theory",
    "head_index",
    "known_theories",
    "symbols",
]
