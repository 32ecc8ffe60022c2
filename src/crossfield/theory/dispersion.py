"""Whether the labels of two theories contain dispersion, and what follows where they differ."""

from __future__ import annotations

import re
from collections.abc import Sequence

from crossfield.theory.head import Head
from crossfield.theory.theory import Theory

NONE = "none"
UNKNOWN = "not stated"

_VAGUE = frozenset(("", "na", "notstated", "notknown", "notgiven", "unknown", "unstated", "unspecified"))

# how dispersion is written in the name of a method
_ADDED = re.compile(r"(?:[-+]\s*|\s)D(?P<version>[234])[\s(-]*(?P<damping>BJ|zero|0|M)?(?!\w)", re.IGNORECASE)
_INSIDE = (
    (re.compile(r"r?VV10\b|-NL\b|97[MX]-r?V\b", re.IGNORECASE), "VV10"),
    (re.compile(r"vdW-?DF|-vdW\b|\bBEEF", re.IGNORECASE), "vdW-DF"),
    (re.compile(r"97X-D\b", re.IGNORECASE), "D2"),
    (re.compile(r"[-+@]\s*MBD\b", re.IGNORECASE), "MBD"),
    (re.compile(r"[-+]\s*TS\b"), "TS"),
    (re.compile(r"[-+]\s*XDM\b", re.IGNORECASE), "XDM"),
    (re.compile(r"\w-3c\b", re.IGNORECASE), "that of a 3c method"),
    (re.compile(r"\bMP[234]\b|CCSD|\bQCISD|\bRPA\b", re.IGNORECASE), "that of correlated wave functions"),
)


def dispersion_of(theory: Theory) -> str:
    """The dispersion that labels of a theory contain: "none", or "not stated" where that cannot be known.

    What the theory states counts; where it states none, so does what the name of its method says, because
    "PBE-D3" is often all that is filled in. Where there is no method either, "none" is but the default of a
    field that nobody filled in.
    """
    stated = theory.dispersion.strip()
    if stated.lower() != NONE and _plain(stated) not in _VAGUE:
        return stated
    if match := _ADDED.search(theory.method):
        damping = f"({match['damping']})" if match["damping"] else ""
        return f"D{match['version']}{damping}"
    for pattern, name in _INSIDE:
        if pattern.search(theory.method):
            return name
    stated_unknown = stated != "" and stated.lower() != NONE
    return UNKNOWN if stated_unknown or _plain(theory.method) in _VAGUE else NONE


def dispersion_differs(a: Theory, b: Theory) -> str | None:
    """A sentence on what follows if labels of two theories do not contain the same dispersion; else None.

    Where it is not known of one of them, nothing is said. The sentence says how energies of heads of the two
    theories compare, and to which of them a calculator may add a correction such as D3 without counting
    dispersion twice.
    """
    first, second = dispersion_of(a), dispersion_of(b)
    if _plain(first) == _plain(second) or UNKNOWN in (first, second):
        return None
    if NONE in (first, second):
        (with_it, name), without = ((a, first), b) if second == NONE else ((b, second), a)
        return (
            f"labels of theory {with_it.name} contain dispersion ({name}) and those of {without.name} do "
            "not: the energies of two such heads differ by it, most for large molecules, layers and "
            f"adsorbates, and a calculator may add D3 to heads of {without.name} only, since with "
            f"{with_it.name} dispersion would be counted twice"
        )
    return (
        f"labels of theories {a.name} and {b.name} contain different dispersion ({first} and {second}): the "
        "energies of two such heads differ by more than the functional, and a calculator must add D3 to "
        "neither, since dispersion would be counted twice"
    )


def dispersion_beside(theory: Theory, heads: Sequence[Head]) -> str | None:
    """A sentence on those heads of a model whose labels contain another dispersion than a theory; else None.

    Args:
        theory: of one more head.
        heads: the others; of those whose dispersion is not known nothing is said.
    """
    own = dispersion_of(theory)
    found = [(head.name, dispersion_of(head.theory)) for head in heads]
    apart = [(name, what) for name, what in found if what != UNKNOWN and _plain(what) != _plain(own)]
    if own == UNKNOWN or not apart:
        return None
    differ = "energies of such heads differ by it, most for large molecules, layers and adsorbates"
    if own == NONE:
        names = ", ".join(f"{name} ({what})" for name, what in apart)
        return (
            f"labels of theory {theory.name} contain no dispersion, and those of {names} do: {differ}; a "
            "calculator may add D3 to the one, and not to the others, where it would be counted twice"
        )
    without = ", ".join(name for name, what in apart if what == NONE)
    other = ", ".join(f"{name} ({what})" for name, what in apart if what != NONE)
    parts = [f"those of {without} none"] * bool(without) + [f"those of {other} another"] * bool(other)
    only = f"to {without} only" if without else "to none of them"
    return (
        f"labels of theory {theory.name} contain dispersion ({own}), {' and '.join(parts)}: {differ}; a "
        f"calculator may add D3 {only}, elsewhere it would be counted twice"
    )


def _plain(name: str) -> str:
    """Without the signs that are written or left out at will: D3(BJ) is D3BJ and D3-BJ."""
    return re.sub(r"[\W_]", "", name).lower()
