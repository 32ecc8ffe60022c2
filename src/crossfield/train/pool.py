"""The base as it reads structures: which of them, how they differ, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossfield.data.frame import Frame
from crossfield.data.read import read_structures
from crossfield.errors import InputError
from crossfield.inference.potential import Potential
from crossfield.messages import progress
from crossfield.model.fingerprint import fingerprint
from crossfield.model.model import Model
from crossfield.replay.descriptors import describe
from crossfield.replay.fingerprint import structure_digest
from crossfield.replay.labels import pseudo_label
from crossfield.replay.selection import Selection, SelectionConfig, select
from crossfield.replay.structures import check_frame, inputs_of
from crossfield.theory import Head

BUNDLED = ("crystals_pbe", "surfaces_rpbe", "molecules_wb97m", "reactions_wb97x")


@dataclass(frozen=True)
class Answer(Frame):
    """A structure that has what a head of the base says of it as labels.

    An error on it is how far a model has drifted from the base, right or wrong.
    """


@cache
def bundled_structures() -> tuple[Frame, ...]:
    """The structures that ship with the package, without labels."""
    frames: list[Frame] = []
    folder = resources.files("crossfield.demo").joinpath("labelled")
    for name in BUNDLED:
        with resources.as_file(folder.joinpath(f"{name}.xyz.gz")) as path:
            found = read_structures(path).frames
            frames += [replace(frame, file=f"crossfield:{path.name}") for frame in found]
    return tuple(frames)


class Pool:
    """Structures as the base reads them.

    Args:
        base: the model; its weights ask for no gradients afterwards.
    """

    def __init__(self, base: Model) -> None:
        self._base = base
        self.fingerprint = fingerprint(base)
        self._features: dict[str, NDArray[np.float32]] = {}  # by digest, for all heads alike

    def digest(self, frame: Frame, head: Head) -> str:
        """SHA-256 of a structure as the model sees it when a head is asked: it is equal for equal structures.

        What a frame states besides and the model does not read is no part of it.

        Args:
            frame: the structure.
            head: of the base; its theory has the defaults of what the frame does not state.

        Raises:
            InputError: a number that is not stated and has no default, naming file and frame.
        """
        try:
            inputs = inputs_of(frame, self._base, head)
        except InputError as error:
            raise InputError(error.message, file=frame.file, frame=frame.index) from error
        read = {name: inputs[name] for name in self._base.config.extra_inputs}
        return structure_digest(replace(frame, inputs=read))

    def readable(
        self, frames: Sequence[Frame], head: Head, what: str, notes: list[str] | None = None
    ) -> list[Frame]:
        """The frames that a head can answer for.

        Args:
            frames: structures.
            head: of the base.
            what: they are, in the note on how many are left out.
            notes: where this goes.
        """
        elements, known, reasons = sorted(head.E0), [], []
        for frame in frames:
            try:
                check_frame(frame, self._base, head, elements=elements, what="it")
            except InputError as error:
                reasons.append(error.message)
            else:
                known.append(frame)
        if reasons and notes is not None:
            notes.append(
                f"{len(reasons)} of {len(frames)} {what} are not replayed, it has no answer for them (the "
                f"first: {reasons[0]})"
            )
        return known

    def select(
        self, frames: Sequence[Frame], config: SelectionConfig, head: Head, elements: set[int]
    ) -> Selection:
        """A choice of structures.

        Args:
            frames: structures.
            config: how to choose.
            head: that is to answer.
            elements: in the new data.

        Raises:
            InputError: see `crossfield.replay.select`.
        """
        return select(
            frames,
            config,
            elements=elements,
            answered=set(head.E0),
            descriptors=lambda some: self._described(some, head),
        )

    def _described(self, frames: Sequence[Frame], head: Head) -> NDArray[np.float32]:
        digests = [self.digest(frame, head) for frame in frames]
        missing = {d: frame for d, frame in zip(digests, frames, strict=True) if d not in self._features}
        if missing:
            with progress("comparing structures", len(missing)) as advance:
                potential = Potential(self._base, head.name)
                rows = describe(potential, list(missing.values()), head=head.name, advance=advance)
            self._features |= dict(zip(missing, rows, strict=True))
        return np.stack([self._features[digest] for digest in digests])

    def label(self, frames: Sequence[Frame], head: Head, path: Path, *, relabel: bool) -> tuple[Answer, ...]:
        """The frames with the answers of a head as labels.

        Args:
            frames: structures; none are none.
            head: of the base.
            path: file of the labels.
            relabel: make those anew that are of something else.

        Raises:
            InputError: see `crossfield.replay.pseudo_label`.
        """
        if not frames:
            return ()
        with progress(f"labels of head {head.name}", len(frames)) as advance:
            potential = Potential(self._base, head.name)
            labelled = pseudo_label(potential, head.name, frames, path, overwrite=relabel, advance=advance)
        return tuple(Answer(**vars(frame)) for frame in labelled)
