"""`crossfield replay show`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from crossfield.data.frame import Frame
    from crossfield.replay import Labelled, WrittenSelection

HELP = """Show what is in a file of labels, or in a written selection.

How many structures of which elements, where they come from, and what they
were made from or chosen by.

[bold]Examples[/bold]
  crossfield replay show labels.safetensors
  crossfield replay show kept.xyz.gz
"""
FEW = 12  # groups, files that are shown


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP, short_help="Show what is in a file of labels or a selection.")
    def show(
        file: Annotated[
            Path,
            typer.Argument(metavar="FILE", help="Labels, or a selection (.xyz).", show_default=False),
        ],
    ) -> None:
        from rich.console import Console

        from crossfield.replay import read_labels, read_record
        from crossfield.replay.written import record_path

        console = Console(soft_wrap=True, highlight=False, markup=False)
        console.print(str(file), style="bold")
        if record_path(file).exists() or {".xyz", ".extxyz"} & set(file.suffixes):
            lines = _of_selection(file, read_record(file))
        else:
            lines = _of_labels(read_labels(file))
        for what, text in lines:
            console.print(f"  {what:<12}{text}")


def _of_labels(labels: Labelled) -> Iterator[tuple[str, str]]:
    made_from = labels.fingerprint
    frames = labels.frames
    yield "labels of", f"head {made_from.head}, theory {labels.theory.name}"
    yield "structures", _counted(frames)
    yield "stress", f"of {sum(frame.stress is not None for frame in frames)} structures"
    yield from _contents(frames)
    weights = {frame.weights for frame in frames}
    if len(weights) == 1:
        (own,) = weights
        text = f"{own.structure:g}, energy {own.energy:g}, forces {own.forces:g}, stress {own.stress:g}"
    else:
        text = f"of {len(weights)} kinds"
    yield "weights", text
    yield "from", _most(Counter(file for file, _ in labels.sources))
    yield "model", made_from.model
    yield "data", made_from.data
    yield "computed", f"in {made_from.dtype}, {made_from.radial}, with crossfield {made_from.version}"


def _of_selection(file: Path, written: WrittenSelection) -> Iterator[tuple[str, str]]:
    from crossfield.data.read import read_structures

    frames = read_structures(file).frames
    chosen = written.selection
    yield "selection", f"by method {chosen.config.method}, seed {chosen.config.seed}"
    yield "structures", f"{_counted(frames)}, of {chosen.given}"
    if chosen.new_elements:
        yield "filter", f"{chosen.config.elements} of {' '.join(chosen.new_elements)}"
    yield from _contents(frames)
    for line in chosen.lines():
        yield "chosen", line
    for source, digest in written.files.items():
        yield "from", f"{source} ({digest[:12] if digest else 'was not there any more'})"
    versions = ", ".join(f"{name} {number}" for name, number in written.versions.items())
    yield "written", f"{written.written} with {versions}"


def _counted(frames: Iterable[Frame]) -> str:
    atoms = [frame.num_atoms for frame in frames]
    return f"{len(atoms)} with {sum(atoms)} atoms, from {min(atoms)} to {max(atoms)}"


def _contents(frames: Iterable[Frame]) -> Iterator[tuple[str, str]]:
    from ase.data import chemical_symbols

    elements: Counter[int] = Counter()
    domains: Counter[str] = Counter()
    for frame in frames:
        elements.update(set(frame.Z.tolist()))
        domains[frame.domain or "none stated"] += 1
    yield "elements", ", ".join(f"{chemical_symbols[Z]} {elements[Z]}" for Z in sorted(elements))
    yield "domains", _most(domains)


def _most(counts: Counter[str]) -> str:
    shown = ", ".join(f"{name} {count}" for name, count in counts.most_common(FEW))
    return shown + (f" and {len(counts) - FEW} more" if len(counts) > FEW else "")
