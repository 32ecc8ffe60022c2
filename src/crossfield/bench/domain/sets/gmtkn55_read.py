"""GMTKN55 as ML-PEG distributes it: one YAML file of reactions with their molecules, one table of subsets."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import yaml
from ase import Atoms
from ase.data import atomic_numbers

from crossfield.bench.domain.benchmark import Inputs, Item
from crossfield.bench.domain.sets.reactions import ROLE, Reaction, located, molecule, with_quick
from crossfield.bench.domain.sets.reading import text
from crossfield.bench.domain.sources import Place, Sources
from crossfield.errors import InputError

# everything is text at first: half the time, and nitric oxide, called "no", is not false
try:
    from yaml import CBaseLoader as _BaseLoader
except ImportError:  # PyYAML was built without libyaml; ten times slower
    from yaml import BaseLoader as _BaseLoader  # type: ignore[assignment]

SOURCE = "gmtkn55"
SCALE = 56.84  # kcal/mol: mean of the 55 mean energies, in the definition of WTMAD-2
QUICK = 3  # reactions per subset
# a hydrogen atom, which the file calls a singlet: unpaired electrons as they must be
CORRECTED = {"SIE4x4/h": 1}


@dataclass(frozen=True)
class Subset:
    """A subset.

    Attributes:
        name: as the paper calls it.
        category: one of five, in full; "" where the table lacks it.
        left_out: whether ML-PEG does without it; None: the table does not say.
        stated_weight: of its errors, as the file has it.
        closed_shell: whether all its molecules are neutral and have no unpaired electrons.
        reactions: those that could be read.
    """

    name: str
    category: str
    left_out: bool | None
    stated_weight: float
    closed_shell: bool
    reactions: tuple[Reaction, ...]

    @property
    def weight(self) -> float:
        """Of its errors in WTMAD-2: 56.84 kcal/mol over the mean size of its reference energies."""
        return SCALE * len(self.reactions) / sum(abs(r.reference) for r in self.reactions)


def read_subsets(sources: Sources, wanted: Collection[str] | None = None) -> Inputs:
    """Molecules, and subsets as the context.

    Args:
        sources: of the set.
        wanted: names of subsets; None: all.

    Raises:
        InputError: there is no set, or its main file cannot be read at all.
    """
    folder = sources.open(SOURCE)
    place = folder / "GMTKN55.yaml"
    with located(place):
        document = _document(text(place))
    if not isinstance(document, Mapping) or not all(isinstance(v, Mapping) for v in document.values()):
        raise InputError("has no subsets with reactions", file=str(place))
    found = Inputs(context=[])
    table: dict[str, dict[str, str]] = {}
    with found.reading("subsets.csv"):
        table = _table(folder / "subsets.csv")
    for name in wanted or [row["subset"] for row in table.values()]:
        if name.lower() not in {str(key).lower() for key in document}:
            with found.reading(name):
                raise InputError(f"has no subset {name}", file=str(place))
    for name, reactions in document.items():
        if wanted is None or name in wanted:
            _read_subset(str(name), reactions, table.get(str(name).lower(), {}), place, found)
    return found


def _read_subset(
    name: str, listed: Mapping[Any, Any], row: Mapping[str, str], place: Place, found: Inputs
) -> None:
    items: dict[str, Item] = {}
    reactions: list[Reaction] = []
    weights: list[float] = []
    for number, fields in listed.items():
        label = f"{name} {number}"
        with found.reading(label), located(place):
            new = {
                f"{name}/{key}": (_species(f"{name}/{key}", values), _integer(values, "Count"))
                for key, values in _field(fields, "Species", Mapping).items()
            }
            if not new or any(count == 0 for _, count in new.values()):
                raise InputError(f"{label}: a molecule with Count 0, or no molecule")
            for key, (item, _) in new.items():
                if key in items and not _equal(items[key], item):
                    raise InputError(f"{key} is another molecule here than in an earlier reaction")
            energy, weight = (_number(fields, key) for key in ("Energy", "Weight"))
            reactions.append(Reaction(label, energy, {key: count for key, (_, count) in new.items()}, name))
            weights.append(weight)
            items.update({key: item for key, (item, _) in new.items()})
    with found.reading(name), located(place):
        if row and row.get("num") != str(len(listed)):
            raise InputError(
                f"{len(listed)} reactions in {name}, and {row.get('num')} by the table of subsets"
            )
    with found.reading(name), located(place):
        if not any(r.reference for r in reactions):
            raise InputError(f"subset {name} has no energy that can be read")
        found.items += with_quick([*items.values()], reactions, QUICK)
        molecules = [item.structures[ROLE] for item in items.values()]
        closed = all(a.info["charge"] == 0 and a.info["spin"] == 1 for a in molecules)
        left_out = {"true": True, "false": False}.get(row.get("excluded", "").lower())
        found.context.append(
            Subset(name, row.get("category", ""), left_out, weights[0], closed, tuple(reactions))
        )


def _species(name: str, fields: Any) -> Item:
    """A molecule of a reaction."""
    elements, positions = _field(fields, "Elements", list), _field(fields, "Positions", list)
    unknown = [e for e in elements if e not in atomic_numbers or e == "X"]
    if unknown or not elements:
        raise InputError(f"{name}: {unknown[0]!r} is no element" if unknown else f"{name} has no atoms")
    try:
        places = np.array(positions, dtype=float)
    except (ValueError, TypeError):
        raise InputError(f"{name}: Positions are no numbers, or rows of several lengths") from None
    if places.shape != (len(elements), 3) or not np.isfinite(places).all():
        raise InputError(
            f"{name}: Positions are not three finite numbers for each of {len(elements)} Elements"
        )
    if (stated := _integer(fields, "Number")) != len(elements):
        raise InputError(f"{name}: Number is {stated}, and there are {len(elements)} Elements")
    unpaired = CORRECTED.get(name, _integer(fields, "UHF"))
    return molecule(name, Atoms(elements, places), charge=_integer(fields, "Charge"), spin=unpaired + 1)


def _field(fields: Any, key: str, kind: type) -> Any:
    if not isinstance(fields, Mapping) or key not in fields:
        raise InputError(f"a reaction or molecule has no {key}")
    if not isinstance(fields[key], kind):
        raise InputError(f"{key} is {str(fields[key])[:40]!r}")
    return fields[key]


def _integer(fields: Any, key: str) -> int:
    value = _field(fields, key, str)
    try:
        return int(value)
    except ValueError:
        raise InputError(f"{key} is {value[:40]!r}, which is no whole number") from None


def _number(fields: Any, key: str) -> float:
    value = _field(fields, key, str)
    try:
        found = float(value)
    except ValueError:
        raise InputError(f"{key} is {value[:40]!r}, which is no number") from None
    if not math.isfinite(found):
        raise InputError(f"{key} is {value}")
    return found


def _equal(a: Item, b: Item) -> bool:
    first, second = a.structures[ROLE], b.structures[ROLE]
    return bool(first == second and first.info == second.info)


def _table(place: Place) -> dict[str, dict[str, str]]:
    """Rows by name of subset in small letters; the table and the main file differ in some capitals."""
    rows: dict[str, dict[str, str]] = {}
    for row in csv.DictReader(io.StringIO(text(place))):
        name = (row.get("subset") or "").lower()
        if not name or name in rows:
            raise InputError(f"subset {name!r} stands twice or has no name", file=str(place))
        rows[name] = {key: value for key, value in row.items() if isinstance(value, str)}
    return rows


@lru_cache(maxsize=1)  # eight benchmarks read this file, which takes seconds
def _document(content: str) -> Any:
    """What a YAML file holds; not to be changed.

    Raises:
        InputError: it is no YAML, or has a key twice.
    """
    try:
        return yaml.load(content, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"is no YAML, or cut off: {error}") from error


class _Loader(_BaseLoader):
    """Refuses keys that stand twice, of which YAML readers otherwise keep the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise yaml.constructor.ConstructorError(None, None, f"{twice!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)
