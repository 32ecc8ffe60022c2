"""Pseudo-labels: what a head of the base model says about structures, computed once and kept in a file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from importlib.metadata import version
from pathlib import Path

from crossfield.data.frame import Frame, Weights
from crossfield.errors import InputError
from crossfield.inference import Potential
from crossfield.model import fingerprint
from crossfield.replay import artefact
from crossfield.replay.artefact import Labelled
from crossfield.replay.fingerprint import Fingerprint, structures_digest, weights_digest
from crossfield.replay.labelling import Labelling
from crossfield.replay.lock import locked
from crossfield.replay.parts import Parts

BEGINNING = 256  # bytes of a file, among which its kind is named


def read_labels(path: Path) -> Labelled:
    """Read a file of pseudo-labels, of whatever model and structures.

    Raises:
        InputError: no such file, of another kind, or damaged.
    """
    return artefact.load(path)


def pseudo_label(
    potential: Potential,
    head: str | None,
    frames: Sequence[Frame],
    path: Path,
    *,
    weights: Weights | None = None,
    batch_size: int | None = None,
    overwrite: bool = False,
    advance: Callable[[int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> tuple[Frame, ...]:
    """Label frames with what a head of a model says about them, or read that from a file made before.

    Labels are those of the model to round-off, computed as in training: radial functions are evaluated, not
    taken from tables, whatever the potential does. Their file is written whole or not at all, by one process;
    others that ask for it meanwhile wait for it. If labelling is interrupted, the next call goes on where it
    was, and gives the same bytes as one that was not.

    Args:
        potential: the base model.
        head: the head that answers; None: the potential's default or only one.
        frames: structures; labels they have are not looked at.
        path: the file of labels; its folder is made.
        weights: weights of all frames in the loss; None: those that each frame has.
        batch_size: no more structures at once than that; None: as many as fit.
        overwrite: labels in the file that are of something else, or damaged, are made anew. Those that are
            asked for are read all the same.
        advance: is told how many more frames are done.
        stop: is asked between batches whether to stop.

    Returns:
        The frames in their order, of the theory of the head, with energy, forces and, where all three axes
        are periodic, stress. File and index are those of the frames given.

    Raises:
        InputError: the file has labels of another model, head, set of structures or weights, of another
            precision or version (the message says which), or is damaged; or a frame that cannot be labelled,
            naming it, after which no file of labels is there.
        Interrupted: `stop` said so.
    """
    frames = tuple(frames)
    if not frames:
        raise InputError("there are no structures to label")
    chosen = potential.theory_head(head)
    wanted = [frame.weights if weights is None else weights for frame in frames]
    _check_weights(wanted, frames)
    made_from = Fingerprint(
        model=fingerprint(potential.model),
        head=chosen.name,
        theory=chosen.theory.name,
        structures=len(frames),
        data=structures_digest(frames),
        weights=weights_digest(wanted),
        dtype=str(potential.model.dtype).removeprefix("torch."),
        version=version("crossfield"),
    )
    found = _existing(path, made_from, overwrite)
    if found is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):
            found = _existing(path, made_from, overwrite)  # another process may have made it meanwhile
            if found is None:
                parts = Parts(path, made_from)
                labelling = Labelling(potential, chosen, batch_size, advance, stop)
                labelled = labelling.label([replace(f, weights=w) for f, w in zip(frames, wanted)], parts)
                artefact.save(path, labelled, chosen.theory, made_from)
                parts.discard()
                return labelled
    if advance is not None:
        advance(len(frames))
    pairs = zip(found.frames, frames, strict=True)
    return tuple(replace(stored, file=frame.file, index=frame.index) for stored, frame in pairs)


def _check_weights(weights: Sequence[Weights], frames: Sequence[Frame]) -> None:
    for own, frame in zip(weights, frames, strict=True):
        if not all(math.isfinite(w) and w >= 0 for w in astuple(own)):
            raise InputError(f"weights must be numbers from 0 on: {own}", file=frame.file, frame=frame.index)


def _existing(path: Path, made_from: Fingerprint, overwrite: bool) -> Labelled | None:
    """The labels in a file, if it is there and they are those that are asked for.

    Raises:
        InputError: they are not, and may not be overwritten.
    """
    if not path.exists():
        return None
    try:
        found = artefact.load(path)
        if changes := found.fingerprint.changes(made_from):
            raise InputError(
                f"these labels were made from something else: {', '.join(changes)}; choose another file, or "
                "have them made anew: delete this one, or have it overwritten (--overwrite)",
                file=path,
            )
    except InputError:
        if overwrite and _are_labels(path):
            return None
        raise
    return found


def _are_labels(path: Path) -> bool:
    """Whether a file, damaged or not, holds labels: what else there is under its name stays."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return artefact.KIND.key.encode() in file.read(BEGINNING)
