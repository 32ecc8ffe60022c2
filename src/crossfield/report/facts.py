"""What a model file says of itself: its heads, and what they were taught."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ase.data import atomic_numbers
from pydantic import ValidationError

from crossfield.errors import InputError
from crossfield.model import Model, ModelConfig
from crossfield.theory import Head, dispersion_of
from crossfield.train.restart import KIND as RESTART
from crossfield.zoo import checkpoint, container


@dataclass(frozen=True)
class Reference:
    """E0 of one element."""

    E0: float  # eV
    uncertainty: float | None = None  # eV
    origin: str = ""
    frames: int | None = None  # training frames with an energy and the element
    spread: float | None = None  # eV/atom, of the energies of these frames after E0


@dataclass(frozen=True)
class HeadFacts:
    """One head."""

    name: str
    theory: str
    method: str = ""
    dispersion: str = ""
    elements: Mapping[int, Reference] = field(default_factory=dict)  # by atomic number
    scale: float | None = None  # eV
    shift: float | None = None  # eV
    role: str = ""  # taught, replayed or kept; empty if unknown
    start: str | None = None  # the head of a base that it started from
    rejected: int = 0  # frames
    remarks: tuple[str, ...] = ()  # about the fit of E0


@dataclass(frozen=True)
class ModelFacts:
    """A model without its weights."""

    heads: tuple[HeadFacts, ...]
    config: ModelConfig | None = None
    parameters: int | None = None
    default_head: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)


def read_model(path: Path) -> ModelFacts:
    """The facts in a checkpoint; its weights are not read.

    Raises:
        InputError: not a checkpoint, or damaged.
    """
    document = checkpoint.read_metadata(path)
    try:
        config = ModelConfig.model_validate(document["config"])
        heads = [Head.model_validate(head) for head in document["heads"]]
        provenance = dict(document.get("provenance") or {})
        data = provenance.get("data") or {}
        return ModelFacts(
            heads=tuple(_head(head, data.get(head.name) or {}) for head in heads),
            config=config,
            parameters=Model.skeleton(config, heads).num_parameters,
            default_head=document.get("default_head"),
            provenance=provenance,
        )
    except (AttributeError, KeyError, TypeError, ValidationError) as error:
        raise InputError(f"the description of the model is damaged: {error}", file=path) from error


def read_restart(path: Path) -> tuple[ModelFacts, Mapping[str, Any]]:
    """The facts in a restart file, and where the run is.

    Raises:
        InputError: not a restart file, of another version, or damaged.
    """
    document = container.read_document(path, RESTART)
    try:
        data, heads = document["data"], document["heads"]
        known = [
            _head(Head(name=name, theory={"name": data[name]["theory"]}, **values), data[name])
            for name, values in heads.items()
        ]
        return ModelFacts(heads=tuple(known), provenance={"base": document["base"]}), document["state"]
    except (AttributeError, KeyError, TypeError, ValidationError) as error:
        raise InputError(f"the description of the run is damaged: {error}", file=path) from error


def _head(head: Head, data: Mapping[str, Any]) -> HeadFacts:
    """A head, with what is known of its data (`Setup.summary`); files of older versions know less."""
    fit = data.get("reference") or {}
    by_number = {atomic_numbers.get(symbol, 0): e for symbol, e in (fit.get("elements") or {}).items()}
    elements = {}
    for Z, E0 in sorted(head.E0.items()):
        e = by_number.get(Z, {})
        elements[Z] = Reference(
            E0, e.get("uncertainty"), e.get("origin", ""), e.get("frames"), e.get("residual_spread")
        )
    theory = head.theory
    return HeadFacts(
        name=head.name,
        theory=theory.name,
        method=" / ".join(part for part in (theory.method, theory.basis) if part),
        dispersion=dispersion_of(theory),
        elements=elements,
        scale=head.scale,
        shift=head.shift,
        role=data.get("role", ""),
        start=data.get("start"),
        rejected=int(data.get("rejected") or 0),
        remarks=tuple(_remarks(fit)),
    )


def _remarks(reference: Mapping[str, Any]) -> list[str]:
    found = [str(reference["conditioning"])] if reference.get("conditioning") else []
    for name, term in ((reference.get("fit") or {}).get("charges") or {}).items():
        error = "" if term.get("uncertainty") is None else f" ± {term['uncertainty']:.2g}"
        found.append(
            f"{name}: {term['value']:+.2f}{error} eV per charge ({term['frames']} frames), not part of E0"
        )
    return found
