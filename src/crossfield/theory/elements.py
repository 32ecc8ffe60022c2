"""Chemical elements, which are atomic numbers everywhere but in what people read."""

from __future__ import annotations

from collections.abc import Iterable

from ase.data import chemical_symbols


def symbols(numbers: Iterable[int]) -> tuple[str, ...]:
    """Symbols of elements, in the order of their atomic numbers."""
    return tuple(chemical_symbols[Z] for Z in sorted(numbers))
