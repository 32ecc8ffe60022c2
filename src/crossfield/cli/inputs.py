"""What the commands that read structures have in common: names of labels, and frames that are not used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from crossfield.errors import InputError, nearest

if TYPE_CHECKING:
    from rich.console import Console

    from crossfield.data.frame import Frame
    from crossfield.data.read import Rejected
    from crossfield.data.source import Keys
    from crossfield.inference.potential import Potential


def parse_keys(pairs: Sequence[str]) -> Keys:
    """Names of labels from `LABEL=NAME` each, of inputs from `inputs.X=NAME`; null leaves a label unread.

    Raises:
        InputError: no such label, a label or a name given twice, or no name.
    """
    from pydantic import ValidationError

    from crossfield.data.source import Keys

    names: dict[str, str | None] = {}
    inputs: dict[str, str] = {}
    for pair in pairs:
        label, _, name = pair.partition("=")
        if label.startswith("inputs.") and name and label not in inputs:
            inputs[label.removeprefix("inputs.")] = name
            continue
        if label not in Keys.model_fields:
            known = list(Keys.model_fields)
            hint = nearest(label, known) or f" (there are: {', '.join(known)})"
            raise InputError(f"--key {pair}: unknown label {label!r}{hint}")
        if not name:
            raise InputError(f"--key {pair}: write {label}=NAME")
        if label in names:
            raise InputError(f"--key {pair}: {label} is given twice")
        names[label] = None if name == "null" else name
    try:
        return Keys.model_validate({**names, "inputs": inputs})
    except ValidationError as error:
        raise InputError(f"--key: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error


def usable_frames(
    frames: Iterable[Frame], potential: Potential, *, skip: bool
) -> tuple[list[Frame], list[Rejected]]:
    """The frames that the default head can answer for; the others, if they may be skipped, with the reason.

    Raises:
        InputError: one that it cannot answer for, and `skip` is false; or all of them.
    """
    from crossfield.data.read import Rejected

    usable: list[Frame] = []
    rejected: list[Rejected] = []
    first: InputError | None = None
    for frame in frames:
        try:
            check_frames([frame], potential)
        except InputError as error:
            if not skip:
                raise
            first = first or error
            rejected.append(Rejected(frame.file, frame.index, error.message))
        else:
            usable.append(frame)
    if first is not None and not usable:
        raise first
    return usable, rejected


def check_frames(frames: Iterable[Frame], potential: Potential) -> None:
    """Check that the head has a reference energy for every atom, and the model every number that it reads.

    Raises:
        InputError: naming the file and the frame.
    """
    from crossfield.theory import check_elements

    head, config = potential.theory_head(), potential.model.config
    covered = sorted(head.E0)
    for frame in frames:
        try:
            check_elements(frame.Z.tolist(), covered, f"head {head.name!r}")
            extra = {
                name: head.theory.input_value(name, frame.inputs.get(name), where=f"{name}=... of the frame")
                for name in config.extra_inputs
            }
            config.check_inputs(charge=frame.charge, spin=frame.spin, extra=extra)
        except InputError as error:
            raise InputError(error.message, file=frame.file, frame=frame.index) from error


def show_rejected(console: Console, rejected: Iterable[Rejected]) -> None:
    """One line per file and reason, with the numbers of the frames."""
    found: dict[tuple[str, str], list[int]] = {}
    for file, index, reason in rejected:
        found.setdefault((file, reason), []).append(index)
    for (file, reason), indices in found.items():
        frames = f"frame{'s' if len(indices) > 1 else ''} {_ranges(indices)}"
        console.print(f"not used: {file}, {frames}: {reason}", highlight=False, markup=False)


def _ranges(indices: Sequence[int]) -> str:
    """As "0-3, 7"; frames of a file come in ascending order."""
    parts = []
    for _, run in groupby(enumerate(indices), key=lambda pair: pair[1] - pair[0]):
        numbers = [index for _, index in run]
        parts.append(str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}")
    return ", ".join(parts)
