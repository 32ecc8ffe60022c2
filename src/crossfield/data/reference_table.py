"""Reference energies as a table."""

from __future__ import annotations

from ase.data import chemical_symbols
from rich import box
from rich.table import Table

from crossfield.data.reference import ReferenceEnergies


def reference_table(reference: ReferenceEnergies, *, title: str = "Reference energies") -> Table:
    """Table with one row for each element: E0, how well it is known, and what it leaves to be learnt.

    Below it stand the energies of charge that were fitted beside E0, and a word on values of the base head.
    """
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("element")
    table.add_column("E0\neV", justify="right", no_wrap=True)
    table.add_column("±\neV", justify="right", no_wrap=True)
    table.add_column("origin", no_wrap=True)
    table.add_column("frames\nwith it", justify="right", no_wrap=True)
    table.add_column("residual spread\neV/atom", justify="right", no_wrap=True)
    for z, E0 in reference.E0.items():
        table.add_row(
            chemical_symbols[z],
            f"{E0:.4f}",
            _digits(reference.uncertainty.get(z)),
            reference.origin[z],
            f"{reference.frames.get(z, 0)}",
            _digits(reference.spread.get(z)),
        )
    table.caption = "\n".join(_remarks(reference)) or None
    table.caption_justify = "left"
    return table


def _remarks(reference: ReferenceEnergies) -> list[str]:
    remarks = []
    for name, term in (reference.fit.charges if reference.fit is not None else {}).items():
        error = "" if term.uncertainty is None else f" ± {_digits(term.uncertainty)}"
        remarks.append(
            f"{name}: {term.value:+.2f}{error} eV per charge ({term.frames} frames), not part of E0"
        )
    if "base head" in reference.origin.values():
        remarks.append("base head: of the base's theory; energies with these elements are on no common scale")
    return remarks


def _digits(value: float | None) -> str:
    """Two digits that count; what is not known is a dash."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    return f"{value:.1e}" if value < 1e-4 else f"{value:.2g}" if value < 10 else f"{value:.0f}"
