"""The card of a trained model, with the results that stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from crossfield.errors import InputError
from crossfield.train.folder import RunFolder
from crossfield.zoo import checkpoint
from crossfield.zoo.card import Card, Forgotten, Results, read_card

File = TypeVar("File", Results, Forgotten)


def card_of(path: Path, *, name: str | None = None) -> Card:
    """The card of a model; results of the run in its folder are on it if they are of these weights.

    Args:
        path: a checkpoint.
        name: what the model is called; None: the folder of its run, else the file.

    Raises:
        InputError: not a checkpoint, or a damaged file of results; naming the file.
    """
    folder = RunFolder(path.absolute().parent)
    in_run = folder.config.is_file() and path.name in (folder.best.name, folder.last.name)
    called = name or (folder.path.name if in_run else path.stem)
    results, forgotten = _read(folder.errors, Results), _read(folder.forgetting, Forgotten)
    provenance = checkpoint.read_metadata(path).get("provenance")
    if results is None or not isinstance(provenance, dict) or not _same_weights(results, provenance):
        return read_card(path, name=called)
    return read_card(path, name=called, results=results, forgotten=forgotten)


def _same_weights(results: Results, provenance: Mapping[str, object]) -> bool:
    return (results.step, results.score) == (provenance.get("step"), provenance.get("score"))


def _read(path: Path, kind: type[File]) -> File | None:
    if not path.is_file():
        return None
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise InputError(f"is damaged ({where or 'JSON'}: {fault['msg']}); delete it", file=path) from error
