"""What a run has written about itself, checked as it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, FiniteFloat, TypeAdapter, ValidationError

from crossfield.errors import InputError
from crossfield.zoo.card import Error, Results
from crossfield.zoo.card import Errors as ErrorsOfHead

Number = FiniteFloat | None  # runs write numbers that are not finite as null
ByHead = dict[str, ErrorsOfHead]


class _Written(BaseModel):
    """Keys that other versions add do not matter."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Epoch(_Written):
    """One line of the log."""

    epoch: int
    step: int
    loss: Number = None
    loss_by_head: dict[str, dict[str, Number]] = {}  # by head and property; their sum is the loss
    learning_rate: Number = None
    score: Number = None
    best: bool | None = None
    validation: ByHead | None = None
    train: ByHead | None = None  # of a few training frames
    seconds: FiniteFloat = 0.0  # since the run began


class Change(_Written):
    """Mean absolute error of one head and property before and after; eV/atom, eV/Å or eV/Å^3."""

    head: str
    role: str
    quantity: str
    frames: int
    before: Number
    after: Number
    interval: tuple[Number, Number]
    allowed: Number
    own_answers: bool
    worse: bool


class Crossed(_Written):
    """What every head says of the frames of one, before and after; eV/Å or eV/Å^3."""

    frames_of: str
    own_answers: bool
    quantity: str
    frames: int
    before: dict[str, Number]
    after: dict[str, Number]


class Forgetting(_Written):
    """The comparison of a model with the base it began as."""

    tolerance: FiniteFloat
    confidence: FiniteFloat = 0.95
    unchanged: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    changes: tuple[Change, ...]
    matrix: tuple[Crossed, ...] = ()


Splits = dict[str, dict[str, dict[str, list[int]]]]  # frame numbers by head, split and file
Rejected = dict[str, dict[str, dict[str, str]]]  # reasons by head, file and frame number
SPLITS: TypeAdapter[Splits] = TypeAdapter(Splits)
REJECTED: TypeAdapter[Rejected] = TypeAdapter(Rejected)
ERRORS, FORGETTING = TypeAdapter(Results), TypeAdapter(Forgetting)

T = TypeVar("T")


def read_log(path: Path) -> tuple[Epoch, ...]:
    """The epochs so far. A last line that is still being written is left for the next time.

    Raises:
        InputError: another line is damaged.
    """
    if not path.exists():
        return ()
    lines = path.read_bytes().split(b"\n")
    found = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            found.append(Epoch.model_validate_json(line))
        except ValidationError as error:
            raise InputError(f"line {number} is damaged: {fault(error)}", file=path) from error
    return tuple(found)


def read_json(path: Path, kind: TypeAdapter[T]) -> T | None:
    """What a JSON file holds; None where there is no such file.

    Raises:
        InputError: it is damaged, or holds something else.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return kind.validate_json(text)
    except ValidationError as error:
        raise InputError(f"is damaged: {fault(error)}", file=path) from error


def mae(errors: ErrorsOfHead, quantity: str) -> float | None:
    """Of "energy", "forces" or "stress"; None where there is no label, or where it is not finite."""
    found: Error | None = getattr(errors, quantity)
    return None if found is None else found.mae


def fault(error: ValidationError) -> str:
    """The first thing that is wrong."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else json.dumps(first["msg"], ensure_ascii=False).strip('"')
