"""Labels that sit under other names, and units that are not ours: nothing is silently misread."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from crossfield.data.source import Keys
from crossfield.errors import InputError

Quantity = Literal["energy", "forces", "stress", "charge", "spin"]

# what a name for the quantity contains, and what shows that it is something else
_LIKELY: dict[Quantity, tuple[re.Pattern[str], re.Pattern[str]]] = {
    "energy": (
        re.compile(r"energy|etot|toten|^e$|^e0$"),
        re.compile(r"per_?atom|formation|binding|adsorption|cohesive|atomi[sz]ation|kinetic|zero_?point|gap"
                   r"|hull|fermi|cutoff|std|var|uncert|error|interaction|relative"),
    ),
    "forces": (
        re.compile(r"force|grad"),
        re.compile(r"mask|constraint|constant|std|var|uncert|error|field"),
    ),
    "stress": (re.compile(r"stress|virial"), re.compile(r"std|var|uncert|error|stresses")),
    "charge": (re.compile(r"charge"), re.compile(r"state|density|spin|charges|transfer|neutral")),
    "spin": (
        re.compile(r"spin|multiplicity|^mult$"),
        re.compile(r"polari|orbit|nspin|ispin|contamination|spins|component"),
    ),
}  # fmt: skip
_NEVER_A_LABEL = re.compile(r"unit|weight|source|method|key|type")

_WEIGHT = re.compile(r"weight")
_NOT_A_LOSS_WEIGHT = re.compile(r"mol|atom|k_?point|mass")
_WEIGHT_ROLES = {
    "energy": "energy_weight",
    "force": "forces_weight",
    "stress": "stress_weight",
    "virial": "stress_weight",
}

# units as declared in comment lines, lower case without spaces and carets
_OURS: dict[str, frozenset[str]] = {
    "energy": frozenset({"ev"}),
    "forces": frozenset({"ev/a", "ev/å", "ev/ang", "ev/angstrom"}),
    "stress": frozenset({"ev/a3", "ev/å3", "ev/ang3", "ev/angstrom3"}),
    "length": frozenset({"a", "å", "ang", "angstrom", "angstroms"}),
}
_UNIT_KEY = re.compile(r"^(?:(?P<what>.*?)_?units?|units?_?(?P<after>.*))$")
_QUANTITY = {
    "energy": re.compile(r"energ|^e$"),
    "forces": re.compile(r"force|grad|^f$"),
    "stress": re.compile(r"stress|virial|pressure"),
    "length": re.compile(r"length|pos|coord|distance|cell|lattice"),
}


def is_likely(quantity: Quantity, name: str) -> bool:
    """Whether a key of the comment line, or a column, may hold this quantity, going by its name."""
    low = name.lower()
    likely, unlikely = _LIKELY[quantity]
    return bool(likely.search(low)) and not (_NEVER_A_LABEL.search(low) or unlikely.search(low))


def weight_role(name: str) -> str | None:
    """Which of `Keys` a key is that holds a weight in the loss, going by its name; None: it is no weight."""
    low = name.lower()
    if not _WEIGHT.search(low) or _NOT_A_LOSS_WEIGHT.search(low) or "unit" in low:
        return None
    return next((role for part, role in _WEIGHT_ROLES.items() if part in low), "weight")


def check_not_elsewhere(quantity: Quantity, names: Iterable[str], keys: Keys) -> None:
    """Check that a label which the frame lacks is not there under another name.

    Args:
        quantity: what is missing.
        names: keys of the comment line, or columns for forces.
        keys: names the user has given; they are never taken for something else.

    Raises:
        InputError: naming the key found and the one to set.
    """
    wanted = getattr(keys, quantity)
    if wanted is None or (quantity == "stress" and keys.virial is not None):
        return
    given = set(keys.by_role.values())
    for name in names:
        low = name.lower()
        if name in given or not is_likely(quantity, name):
            continue
        reason = f"there is no {quantity} under {wanted!r}, but the file has {name}: set keys.{quantity}"
        if quantity == "stress" and "virial" in low:
            raise InputError(f"{reason} to null, or keys.virial to {name} if it is a virial in eV")
        if "grad" in low:
            raise InputError(f"{reason} to null and store forces, which are minus the gradient")
        raise InputError(f"{reason} to {name}, or to null to leave the {quantity} unread")


def check_weights_read(names: Iterable[str], keys: Keys) -> None:
    """Check that no weight sits under a name that is not read.

    Raises:
        InputError: naming the key.
    """
    given = set(keys.by_role.values())
    for name in names:
        role = weight_role(name)
        if name not in given and role is not None and getattr(keys, role) is not None:
            raise InputError(f"the weight {name} is not read: set keys.{role} to {name}, or to null")


def check_units(info: Mapping[str, str]) -> frozenset[str]:
    """Check units that a comment line declares; the quantities whose units are declared to be ours.

    Raises:
        InputError: units other than eV, Å, eV/Å, eV/Å^3, naming the key.
    """
    declared = set()
    for key, value in info.items():
        match = _UNIT_KEY.match(key.lower())
        if match is None or key.lower().endswith("unit_cell"):
            continue
        what = match["what"] or match["after"] or ""
        quantity = next((q for q, pattern in _QUANTITY.items() if pattern.search(what)), None)
        if quantity is not None:
            if _plain(value) not in _OURS[quantity]:
                ours = {"energy": "eV", "forces": "eV/Å", "stress": "eV/Å^3", "length": "Å"}[quantity]
                raise InputError(f"{key}={value[:40]} is not {ours}: convert the file")
            declared.add(quantity)
        elif not what:
            _check_general(key, value)
    return frozenset(declared)


def _check_general(key: str, value: str) -> None:
    known = frozenset[str]().union(*_OURS.values()) | {"ase", "metal", *_OURS, "force", "positions"}
    strange = [part for part in re.split(r"[\s,;:=]+", value) if part and _plain(part) not in known]
    if strange:
        raise InputError(f"{key}={value[:40]} is not eV, Å, eV/Å, eV/Å^3: convert the file")


def _plain(unit: str) -> str:
    return re.sub(r"[\s^*{}()]", "", unit).lower().replace("\u212b", "å").replace("a\u030a", "å")
