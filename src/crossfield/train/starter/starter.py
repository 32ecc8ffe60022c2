"""From data, and perhaps a base, to a configuration that `crossfield train` runs as it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from crossfield.files import replacing
from crossfield.theory import Head, symbols
from crossfield.train.config import Config
from crossfield.train.overrides import load_config
from crossfield.train.starter.look import Look, look
from crossfield.train.starter.odd import warnings
from crossfield.train.starter.request import Request
from crossfield.train.starter.text import configuration

_STATES: tuple[Literal["charge", "spin"], ...] = ("charge", "spin")
AXES = ("molecules and clusters", "wires", "slabs", "crystals")  # by number of periodic axes


@dataclass(frozen=True)
class Starter:
    """A first configuration, and what it was made from.

    Attributes:
        text: the file.
        facts: what was seen, as pairs of what and text.
        warnings: what is odd, a line each.
    """

    text: str
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]

    def write(self, path: Path) -> Config:
        """Write the file, and read it as `crossfield train` does; nothing is left of one that cannot be read.

        Raises:
            InputError: it is no configuration.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(self.text, "utf-8")
            return load_config(temporary)


def starter(request: Request) -> Starter:
    """Look at data and base, and propose a configuration.

    Raises:
        InputError: either cannot be read, or a run could not train on these data.
    """
    found = look(request)
    return Starter(configuration(found), tuple(_facts(found)), tuple(warnings(found)))


def _facts(found: Look) -> list[tuple[str, str]]:
    frames, names, theory = found.reading.frames, found.names, found.level.theory
    sizes = [frame.num_atoms for frame in frames]
    systems = len({frame.group for frame in frames})
    kinds = Counter(AXES[int(frame.pbc.sum())] for frame in frames)
    facts = [
        ("frames", f"{len(frames)}, of {systems} system{'s' if systems > 1 else ''}"),
        ("structures", ", ".join(f"{count} {kind}" for kind, count in kinds.items())),
        ("atoms", f"{min(sizes)} to {max(sizes)} each, {found.mean_atoms:.1f} on average"),
        ("elements", " ".join(symbols(found.elements))),
        ("isolated atoms", " ".join(symbols(found.from_atoms)) or "none"),
        ("labels", ", ".join(_label(found, name) for name in ("energy", "forces", "stress"))),
        ("forces", _forces(found)),
    ]
    for name in _STATES:
        values = sorted({getattr(frame, name) for frame in frames})
        if names.stated[name]:
            facts.append((name, f"{values[0]} to {values[-1]}" if len(values) > 1 else f"{values[0]} in all"))
    described = "described in the file" if found.level.described else theory.method
    facts.append(("theory", f"{theory.name} ({described})"))
    parts = found.parts.split
    facts.append(
        ("split", f"{len(parts.train)} train, {len(parts.validation)} validation, {len(parts.test)} test")
    )
    if found.base is not None:
        facts += [(f"base head {h.name}", _of_base(found, h)) for h in found.base.heads]
    return facts


def _label(found: Look, name: Literal["energy", "forces", "stress"]) -> str:
    """As "energy (REF_energy) in 198 of 200"."""
    frames = found.reading.frames
    count = sum(getattr(frame, name) is not None for frame in frames)
    if not count:
        return f"no {name}"
    key = found.names.name(name)
    named = name if key == name else f"{name} ({key})"
    return named if count == len(frames) else f"{named} in {count}"


def _forces(found: Look) -> str:
    forces = [frame.forces for frame in found.reading.frames if frame.forces is not None]
    if not forces:
        return "none"
    every = np.concatenate(forces)
    largest = np.linalg.norm(every, axis=1).max()
    return f"RMS {np.sqrt(np.mean(every**2)):.3g} eV/Å, largest {largest:.3g}"


def _of_base(found: Look, head: Head) -> str:
    """What a head of the base knows of the elements, and how much of it is replayed."""
    missing = found.elements - set(head.E0)
    covers = f"no E0 for {' '.join(symbols(missing))}" if missing else "E0 for all elements"
    if head.name == found.head:
        return f"{covers}; trained on"
    return f"{covers}; about {found.replayed[head.name]} structures replayed"
