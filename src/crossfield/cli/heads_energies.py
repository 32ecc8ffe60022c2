"""Reference energies on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from pathlib import Path

from crossfield.errors import InputError


def read_energies(text: str) -> dict[int, float]:
    """Reference energies by atomic number, eV, from `H=-13.6,O=-2041.8` or the name of a YAML file.

    Raises:
        InputError: the file cannot be read, or something is no element, no finite number, or given twice.
    """
    path = Path(text)
    if "=" not in text or path.exists():
        try:
            return _checked(_from_file(path))
        except InputError as error:
            raise InputError(error.message, file=path) from error
    pairs = []
    for part in text.split(","):
        symbol, equals, energy = part.partition("=")
        if not equals:
            raise InputError(f"--E0 {part}: expected ELEMENT=ENERGY")
        pairs.append((symbol.strip(), energy.strip()))
    try:
        return _checked(pairs)
    except InputError as error:
        raise InputError(f"--E0: {error.message}") from error


def _from_file(path: Path) -> list[tuple[str, str]]:
    """Keys and values as they are written: to YAML, No is false and not nobelium."""
    import yaml

    if not path.is_file():
        raise InputError("no such file (--E0 takes a YAML file, or ELEMENT=ENERGY, joined by commas)")
    try:
        node = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("not valid YAML") from error
    if not isinstance(node, yaml.MappingNode):
        raise InputError("must hold ELEMENT: ENERGY lines")
    pairs = []
    for key, value in node.value:
        if not (isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)):
            raise InputError(f"line {key.start_mark.line + 1}: expected ELEMENT: ENERGY")
        pairs.append((key.value, value.value))
    return pairs


def _checked(pairs: Iterable[tuple[str, str]]) -> dict[int, float]:
    from ase.data import atomic_numbers

    energies: dict[int, float] = {}
    for symbol, text in pairs:
        number = atomic_numbers.get(symbol, 0)
        if number < 1:
            raise InputError(f"{symbol!r} is not an element")
        if number in energies:
            raise InputError(f"{symbol} is given twice")
        try:
            energies[number] = float(text)
        except ValueError as error:
            raise InputError(f"the energy of {symbol} must be a number (eV), not {text!r}") from error
        if not isfinite(energies[number]):
            raise InputError(f"the energy of {symbol} must be finite, not {text}")
    return energies
