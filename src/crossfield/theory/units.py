"""Units: eV, Å, eV/Å, eV/Å^3, amu, e, K everywhere; conversions for display only."""

from __future__ import annotations

GPA_PER_EV_A3 = 160.21766208  # CODATA 2014, as in ASE
MEV = 1000.0  # meV per eV


def digits(value: float) -> str:
    """A number as people read it: three digits that count, and no exponent for large ones."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
