"""A first configuration as text, with the reason for every value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from crossfield.data.label_names import LabelNames
from crossfield.theory import TheoryDescription, symbols
from crossfield.train.starter.look import Look

WIDTH = 110
COLUMN = 38  # where comments begin, if the line is short enough
SECTION = object()  # in place of a value: keys follow


class Entry(NamedTuple):
    """One key, and why it has its value."""

    depth: int
    key: str
    value: Any
    why: str


def configuration(look: Look) -> str:
    """The text of the file."""
    entries = [*_heads(look), *_theories(look), *_base(look), *_training(look)]
    output = look.request.written_output(look.head)
    entries.append(Entry(0, "output", output, "folder of the run"))
    return "\n".join(_line(entry) for entry in entries) + "\n"


def _heads(look: Look) -> list[Entry]:
    request, level = look.request, look.level
    entries = []
    if look.base is not None:
        entries.append(Entry(0, "base", request.written_base(), "all its heads and elements stay"))
    if request.accept_licence:
        entries.append(Entry(0, "accept_licence", True, "of the base"))
    entries += [Entry(0, "heads", SECTION, ""), Entry(1, look.head, SECTION, "")]
    if look.own is None:
        why = "described below" if level.described else "a known level of theory"
        entries.append(Entry(2, "theory", level.theory.name, why))
    data = _source(look, request.data, look.names)
    entries.append(Entry(2, "data", data, _labels(look)))
    if request.isolated_atoms is not None and look.atom_names is not None:
        source = _source(look, (request.isolated_atoms,), look.atom_names)
        entries.append(Entry(2, "isolated_atoms", source, "for E0"))
    if look.own is None:
        entries.append(Entry(2, "E0", "auto", _energies(look)))
    if look.parts.settings:
        entries.append(Entry(2, "split", dict(look.parts.settings), look.parts.why))
    return entries


def _source(look: Look, files: Sequence[Path], names: LabelNames) -> Any:
    """A file name, where that is all there is to say."""
    written = [look.request.written(file) for file in files]
    source: dict[str, Any] = {"files": written if len(written) > 1 else written[0]}
    if names.keys:
        source["keys"] = dict(names.keys)
    if look.request.skip_bad:
        source["bad_frames"] = "list"
    if list(source) == ["files"]:
        return source["files"]
    return source


def _labels(look: Look) -> str:
    frames = look.reading.frames
    counts = {
        name: sum(getattr(frame, name) is not None for frame in frames)
        for name in ("energy", "forces", "stress")
    }
    return f"{len(frames)} frames: " + ", ".join(
        f"{name} in {'all' if count == len(frames) else count}" if count else f"no {name}"
        for name, count in counts.items()
    )


def _energies(look: Look) -> str:
    rest = look.elements - look.from_atoms
    fitted = "by least squares" if look.base is None else "estimated from the base's answers"
    parts = [f"isolated atoms for {' '.join(symbols(look.from_atoms))}"] if look.from_atoms else []
    parts += [f"{'the rest' if parts else 'no isolated atoms:'} {fitted}"] if rest else []
    return ", ".join(parts)


def _theories(look: Look) -> list[Entry]:
    theory = look.level.theory
    if not look.level.described:
        return []
    usual = TheoryDescription()
    described = {
        name: value
        for name, value in theory.model_dump(exclude={"name"}).items()
        if value != getattr(usual, name)
    }
    why = "charge and spin as the frames state them" if {"charge", "spin"} & set(described) else ""
    in_a_line = Entry(1, theory.name, described, why)
    if len(_line(in_a_line).rpartition("\n")[2]) <= WIDTH:
        return [Entry(0, "theories", SECTION, ""), in_a_line]
    fields = [Entry(2, name, value, "") for name, value in described.items()]
    return [Entry(0, "theories", SECTION, why), Entry(1, theory.name, SECTION, ""), *fields]


def _base(look: Look) -> list[Entry]:
    if look.base is None:
        return _model(look)
    kept = [name for name, count in look.replayed.items() if count]
    if len(kept) == len(look.replayed) and kept:
        why = f"the base's answers keep it as it is; own data of a head: {{{kept[0]}: {{data: old.xyz}}}}"
        return [Entry(0, "replay", "auto", why)]
    if kept:
        return [Entry(0, "replay", {name: {} for name in kept}, "of the others nothing can be, without data")]
    return [Entry(0, "replay", "off", "there is nothing to replay: the base may forget")]


def _model(look: Look) -> list[Entry]:
    """Without a base: its sizes, and what it reads besides the atoms."""
    entries = [
        Entry(0, "model", SECTION, ""),
        Entry(1, "cutoff", 5.0, "Å; a longer one sees further, and is slower"),
        Entry(1, "channels", 64, "more can be more accurate, and are slower"),
    ]
    inputs: dict[str, dict[str, int]] = {}
    for name in ("charge", "spin"):
        values = [getattr(frame, name) for frame in (*look.reading.frames, *look.atoms)]
        if len(set(values)) > 1:
            low, high = min(0, *values), max(values)
            inputs[name] = {"classes": high - low + 1, "offset": -low}
    if inputs:
        entries.append(Entry(1, "inputs", inputs, "which differ from frame to frame"))
    return entries


def _training(look: Look) -> list[Entry]:
    n = look.length
    draws = f"each new frame is drawn about {n.draws:.0f} times"
    each = f"about {look.mean_atoms:.0f} atoms each"
    entries = [
        Entry(0, "training", SECTION, ""),
        Entry(1, "batch_size", n.batch_size, f"structures per step, of {each}"),
        Entry(1, "epochs", n.epochs, f"about {n.steps:,} steps: {draws}"),
    ]
    if n.steps_per_epoch is not None:
        entries.append(Entry(1, "steps_per_epoch", n.steps_per_epoch, "less than one pass: often validated"))
    return entries


def _line(entry: Entry) -> str:
    indent = "  " * entry.depth
    line = f"{indent}{plain(entry.key)}:"
    if entry.value is not SECTION:
        line += f" {plain(entry.value)}"
    why = " ".join(entry.why.split())
    if not why:
        return line
    beside = f"{line:<{COLUMN}}  # {why}"
    return beside if len(beside) <= WIDTH else f"{indent}# {why}\n{line}"


def plain(value: Any) -> str:
    """A value in one line of YAML."""
    text = yaml.safe_dump(
        [value], default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return text.strip()[1:-1]
