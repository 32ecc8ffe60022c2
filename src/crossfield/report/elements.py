"""The periodic table: which head covers what, and how much it has seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

import numpy as np
from ase.data import atomic_names, chemical_symbols

from crossfield.report.facts import ModelFacts
from crossfield.report.palette import look
from crossfield.report.pieces import paragraph, swatch
from crossfield.report.section import Section
from crossfield.train.predictions import Predictions

Atoms = Mapping[str, Mapping[int, int]]  # training atoms by head and element

LAST = 118
LANTHANUM, ACTINIUM = 57, 89  # the rows below the table begin with these
ABOUT = (
    "A square has one mark for each head, in the order below: filled where the head has an E0 for the "
    "element. The shade tells how many training frames have it. Move with the arrow keys, or point."
)


def elements_section(model: ModelFacts, atoms: Atoms | None = None) -> Section:
    """The table as buttons, with a line that tells all about the chosen element.

    Args:
        model: whose heads.
        atoms: as of `training_atoms`; None: not known.
    """
    names = [head.name for head in model.heads]
    key = "".join(f"<li>{swatch(i)} {escape(name)}</li>" for i, name in enumerate(names))
    seen = {Z: _frames(model, Z) for Z in range(1, LAST + 1)}
    most = max((count for count in seen.values() if count), default=0)
    covered = [Z for Z in seen if any(Z in head.elements for head in model.heads)]
    first = covered[0] if covered else 1
    cells = "".join(_cell(model, Z, seen[Z], most, first, atoms or {}) for Z in seen)
    html = (
        paragraph(ABOUT)
        + f'<ol class="key">{key}</ol>'
        + '<p class="element-details" aria-live="polite">Point at an element.</p>'
        + f'<div class="elements" role="group" aria-label="Periodic table">{cells}</div>'
    )
    return Section("elements", "Elements", html)


def training_atoms(predictions: Predictions | None) -> Atoms:
    """Atoms of each element in the training frames of those heads that have all of them in the file."""
    if predictions is None:
        return {}
    p, of_atom, found = predictions, predictions.frame_of_atom, {}
    for head in p.heads:
        if not p.left_out("train", head):
            counts = np.bincount(p.Z[p.chosen("train", head)[of_atom]])
            found[head] = {Z: int(counts[Z]) for Z in np.flatnonzero(counts).tolist()}
    return found


def place(Z: int) -> tuple[int, int]:
    """Row and column, from 1; the f elements are in rows 9 and 10."""
    for row, start in ((9, LANTHANUM), (10, ACTINIUM)):
        if start <= Z < start + 15:
            return row, Z - start + 3
    for row, noble in enumerate((2, 10, 18, 36, 54, 86, 118), start=1):
        if noble >= Z:
            length = (2, 8, 8, 18, 18, 32, 32)[row - 1]
            position = Z - (noble - length)  # in the row, from 1
            left = {1: 1, 2: 2, 3: 2}.get(row, 18)  # elements on the left of the gap
            if length == 32 and position > 2:
                return row, position - 14
            return row, position if position <= left else 18 - (length - position)
    raise ValueError(f"there is no element {Z}")


def _frames(model: ModelFacts, Z: int) -> int | None:
    """Training frames with the element, of all heads; None where that is not known."""
    known = [head.elements[Z].frames for head in model.heads if Z in head.elements]
    counts = [count for count in known if count is not None]
    return sum(counts) if counts else None


def _cell(model: ModelFacts, Z: int, frames: int | None, most: int, first: int, atoms: Atoms) -> str:
    row, column = place(Z)
    kind = "covered" if any(Z in head.elements for head in model.heads) else "missing"
    shade = math.log1p(frames) / math.log1p(most) if frames and most else 0.0
    text = f"{atomic_names[Z]} ({chemical_symbols[Z]}, {Z}): {_coverage(model, Z, atoms)}"
    marks = "".join(
        f'<i style="--c:{look(i).colour}"{" class=on" if Z in head.elements else ""}></i>'
        for i, head in enumerate(model.heads)
    )
    return (
        f'<button type="button" class="{kind}" tabindex="{0 if first == Z else -1}" '
        f'style="grid-area:{row}/{column};--shade:{shade:.2f}" data-row="{row}" data-column="{column}" '
        f'aria-label="{escape(text)}"><small>{Z}</small><b>{chemical_symbols[Z]}</b>'
        f'<span class="marks">{marks}</span></button>'
    )


def _coverage(model: ModelFacts, Z: int, atoms: Atoms) -> str:
    parts = []
    for head in model.heads:
        if (e := head.elements.get(Z)) is not None:
            frames = "" if e.frames is None else f", {e.frames:,} training frames"
            count = atoms.get(head.name, {}).get(Z)
            frames += "" if count is None else f", {count:,} training atoms"
            parts.append(f"{head.name} (E0 {e.E0:.3f} eV{frames})")
    return "; ".join(parts) or "not covered by any head"
