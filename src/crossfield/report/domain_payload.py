"""Data that the page unpacks when it is first looked at: compressed, in an element that is no code."""

from __future__ import annotations

import base64
import json
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from ase.data.colors import jmol_colors

from crossfield.bench.domain.results import BenchmarkResult, Curve, Entry, Problem, Structure

PER_ANGSTROM = 100  # a drawing needs no more than 0.01 Å
FAR = 1e6  # Å; a structure that is larger is none
DIGITS = 6  # significant ones of curves, in numbers below 1e6
ELEMENTS = frozenset(chemical_symbols[1:])
UNKNOWN = ("X", 0.5, "#ff1493")  # an atom of no element


def packed(value: Any, id: str) -> str:
    """Plain values as an element of the page: JSON, compressed (zlib), in base64.

    Args:
        value: plain values, all numbers finite.
        id: of the element.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    data = base64.b64encode(zlib.compress(text.encode())).decode()
    return f'<script type="application/octet-stream" id="{escape(id)}">{data}</script>'


def result_data(result: BenchmarkResult) -> dict[str, Any]:
    """Entries and problems by column; an entry that was not calculated says why, where that is known."""
    reasons = {p.name: f"{p.kind}: {p.reason}" for p in result.problems}
    return {
        "entries": {
            "name": [e.name for e in result.entries],
            "group": [e.group for e in result.entries],
            "quantity": [e.quantity for e in result.entries],
            "unit": [e.unit for e in result.entries],
            "reference": [e.reference for e in result.entries],
            "predicted": [e.predicted for e in result.entries],
            "items": [list(e.items) for e in result.entries],
            "note": [_note(e, reasons) for e in result.entries],
        },
        "problems": _columns(result.problems),
        "structures": bool(result.structures),
    }


def structure_data(structures: Mapping[str, Mapping[str, Structure]]) -> dict[str, Any]:
    """Structures by item and role, lengths in 0.01 Å, and how their elements are drawn.

    Returns:
        `elements`: symbol, covalent radius (Å) and colour by atomic number; `items`: by name and role, atomic
        numbers (N), positions (3 N) and the cell (9), or null where there is none.
    """
    seen = sorted({Z for roles in structures.values() for s in roles.values() for Z in s.Z})
    return {
        "elements": {Z: _drawn(Z) for Z in seen},
        "items": {
            item: {
                role: [list(s.Z), _lengths(s.positions), None if s.cell is None else _lengths(s.cell)]
                for role, s in roles.items()
            }
            for item, roles in structures.items()
        },
    }


def curve_data(results: Sequence[BenchmarkResult]) -> list[dict[str, Any]]:
    """Curves by benchmark; a grid of x that many have is there once. Pairs of elements are told apart."""
    found = []
    for result in results:
        if not result.curves:
            continue
        grids: dict[tuple[float, ...], int] = {}
        curves = [_curve(curve, grids) for curve in result.curves]
        found.append(
            {
                "name": result.name,
                "title": result.title,
                "reference": result.reference,
                "curves": curves,
                "grids": [_rounded(grid) for grid in grids],
                **_pairs(result),
            }
        )
    return found


def pair_of(name: str) -> tuple[str, str] | None:
    """The elements of a name such as "H-O"; None where it is no pair."""
    parts = name.replace("–", "-").split("-")
    if len(parts) != 2 or any(part not in ELEMENTS for part in parts):
        return None
    return parts[0], parts[1]


def _pairs(result: BenchmarkResult) -> dict[str, Any]:
    """What was found of every pair of elements, by quantity, for a map of them all; and these elements."""
    found: dict[tuple[str, str], list[tuple[str, str, float | None]]] = defaultdict(list)
    if all(pair_of(curve.name) for curve in result.curves):
        for entry in result.entries:
            if (pair := pair_of(entry.name)) is not None:
                found[entry.quantity, entry.unit].append((*pair, entry.predicted))
    names = [*(c.name for c in result.curves), *(e.name for e in result.entries)]
    seen = {symbol for name in names for symbol in pair_of(name) or ()}
    return {
        "pairs": [{"quantity": q, "unit": unit, "values": values} for (q, unit), values in found.items()],
        "elements": sorted(seen, key=chemical_symbols.index),
    }


def _curve(curve: Curve, grids: dict[tuple[float, ...], int]) -> dict[str, Any]:
    grid = grids.setdefault(curve.x, len(grids))
    reference = [_rounded(curve.reference_x), _rounded(curve.reference_y)] if curve.reference_x else None
    return {
        "name": curve.name,
        "group": curve.group,
        "labels": [curve.x_label, curve.y_label],
        "grid": grid,
        "y": _rounded(curve.y),
        "reference": reference,
        "pair": pair_of(curve.name),
    }


def _note(entry: Entry, reasons: Mapping[str, str]) -> str:
    if entry.predicted is not None:
        return entry.note
    known = dict.fromkeys(reasons[item] for item in (entry.name, *entry.items) if item in reasons)
    return "; ".join(text for text in (entry.note, *known) if text) or "not calculated"


def _columns(problems: Sequence[Problem]) -> dict[str, list[str]]:
    return {
        "kind": [p.kind for p in problems],
        "name": [p.name for p in problems],
        "reason": [p.reason for p in problems],
    }


def _drawn(Z: int) -> tuple[str, float, str]:
    """Symbol, covalent radius (Å) and colour of an element."""
    if not 0 < Z < min(len(chemical_symbols), len(jmol_colors)):
        return UNKNOWN
    colour = "#" + "".join(f"{round(255 * part):02x}" for part in jmol_colors[Z])
    return chemical_symbols[Z], round(float(covalent_radii[Z]), 2), colour


def _lengths(vectors: Sequence[Sequence[float]]) -> list[int]:
    bounded = np.clip(np.asarray(vectors, dtype=float).ravel(), -FAR, FAR)
    found: list[int] = np.rint(bounded * PER_ANGSTROM).astype(np.int64).tolist()
    return found


def _rounded(values: Sequence[float | None]) -> list[float | None]:
    """To some significant digits, so that they take less space."""
    given = np.array(values, dtype=float)  # (n), None as NaN
    with np.errstate(divide="ignore", invalid="ignore"):
        decimals = 10.0 ** np.clip(DIGITS - 1 - np.floor(np.log10(np.abs(given))), 0, 20)
    rounded = np.where(given == 0, 0.0, np.round(given * decimals) / decimals)
    return [None if v is None else r for v, r in zip(values, rounded.tolist())]
