"""The card of a trained model, with the results that stand beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from crossfield.errors import InputError
from crossfield.train.folder import RunFolder
from crossfield.zoo.card import Card, Forgotten, Results, read_card

File = TypeVar("File", Results, Forgotten)


def card_of(path: Path, *, name: str | None = None) -> Card:
    """The card of a model; results of the run that it is in are on it if they are of these weights.

    Args:
        path: a checkpoint.
        name: what the model is called; None: the folder of its run, else the file.

    Raises:
        InputError: not a checkpoint, or a damaged file of results; naming the file.
    """
    folder = RunFolder(path.absolute().parent)
    if not folder.holds(path):  # what stands beside a model may be of any program
        return read_card(path, name=name or path.stem)
    card = read_card(path, name=name or folder.path.name)
    results, forgotten = _read(folder.errors, Results), _read(folder.forgetting, Forgotten)
    if results is None or not _same_weights(results, card):
        return card
    return replace(card, results=results, forgotten=forgotten)


def _same_weights(results: Results, card: Card) -> bool:
    if results.fingerprint is not None:
        return results.fingerprint == card.fingerprint
    # older versions tell the step alone, which `crossfield heads` leaves as it was
    if results.step is None or card.surgery:
        return False
    return (results.step, results.score) == (card.step, card.score)


def _read(path: Path, kind: type[File]) -> File | None:
    if not path.is_file():
        return None
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise InputError(
            f"is damaged, or not of this run ({where or 'JSON'}: {fault['msg']}); move it elsewhere to go on "
            "without it",
            file=path,
        ) from error
