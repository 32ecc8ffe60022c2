"""Heads of the base that are kept alive: what is replayed of each, and with which labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crossfield.data.frame import Frame
from crossfield.data.read import Rejected, read_source, read_structures
from crossfield.data.source import Source
from crossfield.data.split import Split, split_frames
from crossfield.errors import InputError, nearest
from crossfield.model.model import Model
from crossfield.replay.fingerprint import structure_digest
from crossfield.replay.selection import SelectionConfig
from crossfield.replay.written import write_selection
from crossfield.theory import Head
from crossfield.train.config import Config, ReplaySource
from crossfield.train.head_data import SPLITS, HeadData, check_covered, elements_of, loss_weights, named
from crossfield.train.pool import Pool, bundled_structures
from crossfield.zoo.download import file_sha256

COMPARED = 100  # structures on which a head that is not replayed is compared, before and after
NOTHING = Split((), (), ())


def base_heads(
    config: Config, base: Model, taught: Sequence[HeadData], *, relabel: bool = False
) -> list[HeadData]:
    """All heads of the base but those under `heads:`, in its order, with what is replayed of them.

    Args:
        config: of the run.
        base: the model to start from.
        taught: the heads under `heads:`, whose structures may be replayed with the base's labels.
        relabel: make labels anew where those in the output folder are of something else.

    Raises:
        InputError: a head that the base does not have, unreadable data, or labels of another model.
    """
    names = [head.name for head in base.heads]
    own = {h.head.name for h in taught}
    wanted = _sources(config, names, own)
    pool = Pool(base)
    found = []
    for head in base.heads:
        if head.name in own:
            continue
        with named(head.name):
            found.append(
                _replayed(head, wanted[head.name], config, pool, taught, relabel=relabel)
                if head.name in wanted
                else _kept(head, config, pool, taught, relabel=relabel)
            )
    return found


def _sources(config: Config, names: list[str], own: set[str]) -> Mapping[str, ReplaySource]:
    if config.replay == "off":
        return {}
    if config.replay == "auto":
        # where neither the backbone nor these readouts change, there is nothing to forget
        return {} if config.adapt.kind == "heads" else {n: ReplaySource() for n in names if n not in own}
    for name in config.replay:
        if name not in names:
            raise InputError(
                f"replay.{name}: the base has no head {name!r}{nearest(name, names)} "
                f"(it has: {', '.join(names)})"
            )
        if name in own:
            raise InputError(f"replay.{name}: this head is under `heads:` and trained on its data there")
    return config.replay


def _replayed(
    head: Head,
    source: ReplaySource,
    config: Config,
    pool: Pool,
    taught: Sequence[HeadData],
    *,
    relabel: bool,
) -> HeadData:
    """One head with what is replayed of it: frames with labels, structures with the base's own answers."""
    true = NOTHING
    rejected: list[Rejected] = []
    notes: list[str] = []
    selections: dict[str, Any] = {}
    if source.data is not None:
        reading = read_source(source.data, head.theory, base=config.root)
        rejected += reading.rejected
        for frame in reading.frames:
            check_covered(frame, head)
        selection = pool.select(reading.frames, source.select, head, _elements(taught))
        selections["data"] = selection.record.model_dump(mode="json")
        if len(selection.indices) < len(reading.frames):
            written = _replay_file(head, config, ".xyz.gz")
            written.parent.mkdir(parents=True, exist_ok=True)
            origin = {"head": head.name, "model": pool.fingerprint}
            write_selection(written, reading.frames, selection, origin)
            notes += [*selection.record.lines(), f"these are in {written}"]
        true = _divided([reading.frames[k] for k in selection.indices], config)
    own = _own(taught, head, pool, notes) if source.own else NOTHING
    structures: list[Frame] = []
    if source.structures is not None:
        found, aside = _structures(source.structures, head, config.root)
        structures += found
        rejected += aside
    if source.with_bundled:
        structures += pool.readable(bundled_structures(), head, "bundled structures", notes)
    if structures:
        selection = pool.select(structures, source.select, head, _elements(taught))
        selections["structures"] = selection.record.model_dump(mode="json")
        notes += selection.record.lines()
        # what is kept aside of the new data must not be trained on from here
        already = {structure_digest(frame) for frame in (*own.train, *own.validation, *own.test)}
        chosen = [structures[k] for k in selection.indices]
        structures = [frame for frame in chosen if structure_digest(frame) not in already]
    path, mine = _replay_file(head, config, ".safetensors"), source.labels is None
    if source.labels is not None:
        path = config.root / source.labels
    # a file that the user named may serve other runs
    labelled = _labelled(structures, own, head, path, config, pool, relabel=relabel and mine)
    pseudo = len(labelled.train) + len(labelled.validation) + len(labelled.test)
    if pseudo:
        notes.append(f"{pseudo} structures have the answers of the base as labels")
    frames = Split(
        train=true.train + labelled.train,
        validation=true.validation + labelled.validation,
        test=true.test + labelled.test,
    )
    if not frames.train:
        raise InputError("nothing of this head can be replayed: give data or structures, or leave it out")
    return HeadData(
        head=head,
        weights=loss_weights(source.weight, source.weights),
        frames=frames,
        rejected=tuple(rejected),
        files={
            str(f): file_sha256(config.root / f)
            for part in (source.data, source.structures)
            if part is not None
            for f in part.files
        },
        role="replayed",
        own_answers=not true.train,
        selections=selections,
        notes=tuple(notes),
    )


def _labelled(
    chosen: Sequence[Frame], own: Split, head: Head, path: Path, config: Config, pool: Pool, *, relabel: bool
) -> Split:
    """Structures with the answers of the base; those of the new data are divided already."""
    every = [*chosen, *own.train, *own.validation, *own.test]
    frames = pool.label(every, head, path, relabel=relabel)
    parts = _divided(frames[: len(chosen)], config) if chosen else NOTHING
    rest = frames[len(chosen) :]
    a, b = len(own.train), len(own.train) + len(own.validation)
    return Split(
        train=(*parts.train, *rest[:a]),
        validation=(*parts.validation, *rest[a:b]),
        test=(*parts.test, *rest[b:]),
    )


def _kept(head: Head, config: Config, pool: Pool, taught: Sequence[HeadData], *, relabel: bool) -> HeadData:
    """A head that nothing is done for, with structures on which the report can tell what becomes of it."""
    frames: tuple[Frame, ...] = ()
    if config.adapt.kind != "heads":  # which changes nothing of it
        own = _own(taught, head, pool)
        structures = [*own.validation, *own.test, *pool.readable(bundled_structures(), head, "")]
        if structures:
            some = SelectionConfig(method="random", count=COMPARED)
            chosen = pool.select(structures, some, head, _elements(taught)).indices
            path = _replay_file(head, config, ".safetensors")
            frames = pool.label([structures[k] for k in chosen], head, path, relabel=relabel)
    return HeadData(head, (1.0, 1.0, 1.0), Split((), (), frames), role="kept", own_answers=True)


def _own(taught: Sequence[HeadData], head: Head, pool: Pool, notes: list[str] | None = None) -> Split:
    """Structures of the heads under `heads:` that another one can answer for, divided as they are there."""
    parts = {part: [frame for h in taught for frame in getattr(h.frames, part)] for part in SPLITS}
    every = [frame for frames in parts.values() for frame in frames]
    known = {id(frame) for frame in pool.readable(every, head, "structures of the new data", notes)}
    found = {part: tuple(f for f in frames if id(f) in known) for part, frames in parts.items()}
    return Split(**found)


def _elements(taught: Sequence[HeadData]) -> set[int]:
    return elements_of(frame for h in taught for frame in h.frames.train)


def _divided(frames: Sequence[Frame], config: Config) -> Split:
    """Training, validation and test frames; whatever is too little to divide is trained on."""
    split = config.split
    if (len(frames) if split.by == "frame" else len({frame.group for frame in frames})) <= 3:
        return Split(tuple(frames), (), ())
    return split_frames(frames, validation=split.validation, test=split.test, seed=split.seed, by=split.by)


def _structures(source: Source, head: Head, root: Path) -> tuple[list[Frame], list[Rejected]]:
    frames: list[Frame] = []
    rejected: list[Rejected] = []
    for file in source.files:
        reading = read_structures(
            root / file, theory=head.theory, keys=source.keys, bad_frames=source.bad_frames
        )
        frames += reading.frames
        rejected += reading.rejected
    return frames, rejected


def _replay_file(head: Head, config: Config, suffix: str) -> Path:
    """A file of a head in the output folder; heads of a base may be called anything."""
    name = re.sub(r"[^\w\-]", lambda sign: f"%{ord(sign[0]):02x}", head.name)
    return config.folder / "replay" / (name + suffix)
