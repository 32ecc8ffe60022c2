"""Heads of the base that are kept alive: what is replayed of each, and with which labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crossfield.data.composition import elements_of
from crossfield.data.frame import Frame, Weights
from crossfield.data.read import Rejected, read_source, read_structures
from crossfield.data.source import Source
from crossfield.data.split import Split
from crossfield.errors import InputError, nearest
from crossfield.model.model import Model
from crossfield.replay.selection import SelectionConfig
from crossfield.replay.written import write_selection
from crossfield.theory import Head
from crossfield.train.config import Config, ReplaySource
from crossfield.train.folder import RunFolder
from crossfield.train.head_data import SPLITS, HeadData, check_covered, loss_weights, named
from crossfield.train.parts import NOTHING, divided, frames_of, joined, without_repeats
from crossfield.train.pool import Answer, Pool, bundled_structures
from crossfield.zoo.download import file_sha256

COMPARED = 100  # structures on which a head that is not replayed is compared, before and after


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
                _Replay(head, wanted[head.name], config, pool, taught).gather(relabel=relabel)
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


class _Replay:
    """Gathers what is replayed of one head: frames with labels, structures with the base's own answers."""

    def __init__(
        self, head: Head, source: ReplaySource, config: Config, pool: Pool, taught: Sequence[HeadData]
    ) -> None:
        self.head, self.source, self.config, self.pool, self.taught = head, source, config, pool, taught
        self.rejected: list[Rejected] = []
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.selections: dict[str, Any] = {}

    def gather(self, *, relabel: bool) -> HeadData:
        true = self._true()
        own = _own(self.taught, self.head, self.pool, self.notes) if self.source.own else NOTHING
        there = {self._digest(frame) for split in (true, own) for frame in frames_of(split)}
        # whatever is there already is not divided a second time
        chosen = [frame for frame in self._structures() if self._digest(frame) not in there]
        sources = [true, own, divided(chosen, self.config.split)]
        kept = without_repeats(sources, self._digest)
        if repeats := sum(1 for s in sources for _ in frames_of(s)) - sum(
            1 for s in kept for _ in frames_of(s)
        ):
            self.notes.append(
                f"{repeats} frames are there more than once: one of each stays, and is not trained on if any "
                "of them is kept aside"
            )
        frames = joined([kept[0], self._labelled(kept[1:], [*chosen, *frames_of(own)], relabel=relabel)])
        if not frames.train:
            raise InputError("nothing of this head can be replayed: give data or structures, or leave it out")
        compared = [*frames.validation, *frames.test]
        self._warn(frames.train, compared)
        sources_of_files = ("data", "validation_data", "test_data", "structures")
        files = [getattr(self.source, key) for key in sources_of_files]
        return HeadData(
            head=self.head,
            weights=loss_weights(self.source.weight, self.source.weights),
            frames=frames,
            rejected=tuple(self.rejected),
            files={
                str(f): file_sha256(self.config.root / f)
                for one in files
                if one is not None
                for f in one.files
            },
            role="replayed",
            own_answers=all(isinstance(frame, Answer) for frame in compared or frames.train),
            selections=self.selections,
            notes=tuple(self.notes),
            warnings=tuple(self.warnings),
        )

    def _true(self) -> Split:
        """Frames with labels: named for validation and test, or else fractions of those to train on."""
        source, name = self.source, self.head.name
        data = () if source.data is None else self._of_data(source.data)
        others = {"validation": source.validation_data, "test": source.test_data}
        read = {k: self._read(f"{k}_data", one) for k, one in others.items() if one is not None}
        if read:
            return Split(data, read.get("validation", ()), read.get("test", ()))
        parts = divided(data, self.config.split)
        if aside := len(parts.validation) + len(parts.test):
            self.warnings.append(
                f"{aside} frames of replay.{name}.data are kept aside to compare before and after; if the "
                "base was trained on them, its error on them is a training error, and that after the run is "
                f"not: name frames that it has not seen (replay.{name}.validation_data, test_data)"
            )
        return parts

    def _of_data(self, source: Source) -> tuple[Frame, ...]:
        frames = self._read("data", source)
        chosen = self._select("data", frames)
        if len(chosen) < len(frames):
            self.notes.append(f"these are in {_replay_file(self.head, self.config, '.xyz.gz')}")
        return tuple(chosen)

    def _read(self, key: str, source: Source) -> tuple[Frame, ...]:
        reading = read_source(source, self.head.theory, base=self.config.root)
        self.rejected += reading.rejected
        if reading.isolated:
            self.notes.append(
                f"{len(reading.isolated)} isolated atoms in replay.{self.head.name}.{key} are not used: the "
                "head has its E0 already"
            )
        for frame in reading.frames:
            check_covered(frame, self.head)
        return reading.frames

    def _structures(self) -> list[Frame]:
        """Those that the base labels, besides the ones of the new data."""
        source, found = self.source.structures, list[Frame]()
        for file in () if source is None else source.files:
            assert source is not None
            reading = read_structures(
                self.config.root / file,
                theory=self.head.theory,
                keys=source.keys,
                bad_frames=source.bad_frames,
            )
            found += reading.frames
            self.rejected += reading.rejected
        if self.source.with_bundled:
            found += self.pool.readable(bundled_structures(), self.head, "bundled structures", self.notes)
        return self._select("structures", found) if found else []

    def _select(self, key: str, frames: Sequence[Frame]) -> list[Frame]:
        selection = self.pool.select(frames, self.source.select, self.head, _elements(self.taught))
        record = selection.record
        self.selections[key] = record.model_dump(mode="json")
        if key == "structures" or record.chosen < record.given:
            self.notes += record.lines()
        if key == "data" and record.chosen < record.given:
            written = _replay_file(self.head, self.config, ".xyz.gz")
            written.parent.mkdir(parents=True, exist_ok=True)
            origin = {"head": self.head.name, "model": self.pool.fingerprint}
            write_selection(written, frames, selection, origin)
        return [frames[k] for k in selection.indices]

    def _labelled(self, answers: Sequence[Split], order: Sequence[Frame], *, relabel: bool) -> Split:
        """Structures with the answers of the base as labels, which are stored in an order of their own."""
        kept = {id(frame) for split in answers for frame in frames_of(split)}
        every = [frame for frame in order if id(frame) in kept]
        if not every:
            return NOTHING
        self.notes.append(f"{len(every)} structures have the answers of the base as labels")
        own_file = self.source.labels is None
        path = _replay_file(self.head, self.config, ".safetensors")
        if self.source.labels is not None:
            path = self.config.root / self.source.labels
        try:
            # a file that the user named may serve other runs
            found = self.pool.label(every, self.head, path, relabel=relabel and own_file)
        except InputError as error:
            if own_file or error.file != path:
                raise
            what = error.message.partition(";")[0]  # what follows is advice for a file of this run
            raise InputError(
                f"{what}; delete this file if no other run needs it (--overwrite leaves it as it is, because "
                f"replay.{self.head.name}.labels names it), or name another one there",
                file=path,
            ) from error
        labelled = dict(zip(map(id, every), found, strict=True))
        merged = joined(answers)
        return Split(**{part: tuple(labelled[id(f)] for f in getattr(merged, part)) for part in SPLITS})

    def _warn(self, trained: Sequence[Frame], compared: Sequence[Frame]) -> None:
        """Tell what the report on forgetting will not be able to say."""
        better = f"name some (replay.{self.head.name}.validation_data)"
        if not compared:
            self.warnings.append(
                f"no frame is kept aside, so that it cannot be compared before and after: {better}"
            )
        elif all(isinstance(f, Answer) for f in compared) and not all(isinstance(f, Answer) for f in trained):
            self.warnings.append(
                "no frame with labels is kept aside: the comparison before and after is with the base's own "
                f"answers alone; {better}"
            )

    def _digest(self, frame: Frame) -> str:
        return self.pool.digest(frame, self.head)


def _kept(head: Head, config: Config, pool: Pool, taught: Sequence[HeadData], *, relabel: bool) -> HeadData:
    """A head that nothing is done for, with structures on which the report can tell what becomes of it."""
    frames: tuple[Frame, ...] = ()
    if config.adapt.kind != "heads":  # which changes nothing of it
        own = _own(taught, head, pool)
        bundled = tuple(pool.readable(bundled_structures(), head, ""))
        # the backbone learns the training frames from another head, by which they are no test of this one
        trained = {pool.digest(frame, head) for frame in own.train}
        aside = Split((), (), (*own.validation, *own.test, *bundled))
        (aside,) = without_repeats([aside], lambda frame: pool.digest(frame, head))
        structures = [frame for frame in aside.test if pool.digest(frame, head) not in trained]
        if structures:
            some = SelectionConfig(method="random", count=COMPARED)
            chosen = pool.select(structures, some, head, _elements(taught)).indices
            path = _replay_file(head, config, ".safetensors")
            frames = pool.label([structures[k] for k in chosen], head, path, relabel=relabel)
    return HeadData(head, (1.0, 1.0, 1.0), Split((), (), frames), role="kept", own_answers=True)


def _own(taught: Sequence[HeadData], head: Head, pool: Pool, notes: list[str] | None = None) -> Split:
    """Structures of the heads under `heads:` that another one can answer for, divided as they are there.

    Weights of a frame are about its labels, which are not those of this head.
    """
    parts = {
        part: [replace(frame, weights=Weights()) for h in taught for frame in getattr(h.frames, part)]
        for part in SPLITS
    }
    every = [frame for frames in parts.values() for frame in frames]
    known = {id(frame) for frame in pool.readable(every, head, "structures of the new data", notes)}
    return Split(**{part: tuple(f for f in frames if id(f) in known) for part, frames in parts.items()})


def _elements(taught: Sequence[HeadData]) -> set[int]:
    return set(elements_of(frame for h in taught for frame in h.frames.train))


def _replay_file(head: Head, config: Config, suffix: str) -> Path:
    """A file of a head in the output folder."""
    return RunFolder(config.folder).replay_file(head.name, suffix)
