"""The model card: what a model is, what it was taught, how well, and under which terms it may be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crossfield.errors import InputError
from crossfield.model import ModelConfig, fingerprint
from crossfield.theory import Head
from crossfield.zoo import checkpoint
from crossfield.zoo.origin import Origin, origins

Quantity = Literal["energy", "forces", "stress"]
# of the machine, not of the result
_NOT_TOLD = ("threads", "device", "backend", "checkpoint_minutes", "checkpoint_steps")
_UNSAID = ("operation", "file", "weights_sha256", "provenance")  # of a step of surgery, among its facts
_SECTIONS = ("training", "loss", "schedule", "sampling", "split", "adapt")


class _Part(BaseModel):
    """Part of a file that newer versions may have more in."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Taught(_Part):
    """What one head was taught; the summary of its data in a checkpoint.

    Attributes:
        role: "taught", "replayed" or "kept".
        start: the head of a base that it started from.
        own_answers: whether labels are answers of the base.
        files: SHA-256 by name of the file.
        frames: number of frames by split.
        isolated_atoms: isolated atoms among the training data.
        rejected: frames that are not used.
        E0_origin: where reference energies come from, by atomic number.
    """

    role: str = ""
    start: str | None = None
    own_answers: bool = False
    files: dict[str, str] = Field(default_factory=dict)
    frames: dict[str, int] = Field(default_factory=dict)
    isolated_atoms: int = 0
    rejected: int = 0
    E0_origin: dict[int, str] = Field(default_factory=dict)


class Error(_Part):
    """Error of one property; eV/atom, eV/Å or eV/Å^3; None: not finite."""

    mae: float | None
    rmse: float | None
    labels: int


class Errors(_Part):
    """Errors of one head on one split."""

    frames: int
    energy: Error | None = None
    forces: Error | None = None
    stress: Error | None = None


class Results(_Part):
    """Errors of a run, by head: its `errors.json`.

    Attributes:
        fingerprint: of the weights; older versions did not write it.
        step: of the weights.
        score: of the weights.
        test, validation: errors on these frames.
        baseline: of a guess that sees no structure.
    """

    fingerprint: str | None = None
    step: int | None = None
    score: float | None = None
    test: dict[str, Errors] = Field(default_factory=dict)
    validation: dict[str, Errors] = Field(default_factory=dict)
    baseline: dict[str, Errors] = Field(default_factory=dict)


class Changed(_Part):
    """Error of one head and property before and after; eV/atom, eV/Å or eV/Å^3; None: not finite."""

    head: str
    quantity: Quantity
    frames: int
    before: float | None
    after: float | None
    allowed: float | None
    own_answers: bool = False
    worse: bool = False


class Forgotten(_Part):
    """What was forgotten of a base: the `forgetting.json` of a run."""

    tolerance: float
    changes: tuple[Changed, ...] = ()
    unchanged: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """All that is known of a model."""

    name: str
    fingerprint: str  # SHA-256
    config: ModelConfig
    parameters: int
    dtype: str
    heads: tuple[Head, ...]
    default_head: str | None
    taught: Mapping[str, Taught]  # by head; those of unknown training are left out
    settings: tuple[tuple[str, str], ...]  # of training, by key
    base: str | None  # name of the model that training started from
    base_fingerprint: str | None
    imported: str | None  # the file that was imported
    origins: tuple[Origin, ...]
    surgery: tuple[str, ...]  # what `crossfield heads` did to the trained model, in order
    results: Results | None
    forgotten: Forgotten | None
    step: int | None  # of training
    epoch: float | None
    score: float | None  # on validation frames, if these weights were chosen by it
    versions: Mapping[str, str]
    written: str  # date and time


def read_card(
    path: Path,
    *,
    name: str,
    results: Results | None = None,
    forgotten: Forgotten | None = None,
) -> Card:
    """The card of a model.

    Args:
        path: a checkpoint.
        name: what the model is called.
        results: of these weights, if errors are known.
        forgotten: of these weights, if they came from a base.

    Raises:
        InputError: not a checkpoint, or a damaged description.
    """
    model, document = checkpoint.load(path), checkpoint.read_metadata(path)
    provenance = _mapping(document.get("provenance"))
    base, imported = _mapping(provenance.get("base")), _mapping(provenance.get("imported"))
    data = _mapping(provenance.get("data"))
    step, epoch, score = (provenance.get(key) for key in ("step", "epoch", "score"))
    try:
        return Card(
            name=name,
            fingerprint=fingerprint(model),
            config=model.config,
            parameters=model.num_parameters,
            dtype=str(model.dtype).removeprefix("torch."),
            heads=model.heads,
            default_head=model.default_head,
            taught={h.name: Taught.model_validate(data[h.name]) for h in model.heads if h.name in data},
            settings=_settings(_mapping(provenance.get("config"))),
            base=_text(base.get("name")),
            base_fingerprint=_text(base.get("fingerprint")),
            imported=_text(imported.get("file")),
            origins=origins(provenance),
            surgery=surgery(provenance),
            results=results,
            forgotten=forgotten,
            step=step if isinstance(step, int) else None,
            epoch=epoch if isinstance(epoch, int | float) else None,
            score=score if isinstance(score, int | float) else None,
            versions={str(k): str(v) for k, v in _mapping(document.get("versions")).items()},
            written=_text(document.get("written")) or "at an unknown time",
        )
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise InputError(
            f"the description of the model is damaged ({error.title}.{where}: {fault['msg']})", file=path
        ) from error


def surgery(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """What `crossfield heads` did to a model since it was trained, one text for each command.

    Args:
        provenance: of its checkpoint.
    """
    steps = provenance.get("surgery")
    return tuple(_step(step) for step in steps if isinstance(step, dict)) if isinstance(steps, list) else ()


def _step(step: Mapping[str, Any]) -> str:
    facts = [f"{key} {said}" for key, value in step.items() if key not in _UNSAID and (said := _said(value))]
    facts += [f"of {step['file']}"] if _text(step.get("file")) else []
    return f"{step.get('operation')}: {'; '.join(facts)}"


def _said(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return str(value["file"]) if "file" in value else ", ".join(f"{k}={v}" for k, v in value.items())
    return "" if value is None else str(value)


def _settings(config: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Keys and values of the training configuration that the weights depend on."""
    return tuple(pair for section in _SECTIONS for pair in _flat(section, config.get(section)))


def _flat(key: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in _NOT_TOLD:
                yield from _flat(f"{key}.{name}", item)
    elif value is not None and value != []:
        yield key, str(value)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
