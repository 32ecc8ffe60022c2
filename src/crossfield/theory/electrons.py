"""What a number of electrons allows."""

from __future__ import annotations

from crossfield.errors import InputError


def check_parity(protons: int, charge: int, spin: int) -> None:
    """Check that so many electrons can have this multiplicity.

    Args:
        protons: sum of the atomic numbers.
        charge: total charge, e.
        spin: multiplicity 2S+1.

    Raises:
        InputError: fewer than no electrons, more unpaired electrons than electrons, or the wrong parity.
    """
    electrons = protons - charge
    if electrons < 0:
        raise InputError(f"charge {charge} is more than all {protons} electrons")
    if spin - 1 > electrons or (spin - 1) % 2 != electrons % 2:
        raise InputError(f"spin {spin} is impossible with {electrons} electrons (charge {charge})")
