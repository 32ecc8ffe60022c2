"""Published models that weights come from, directly or by fine-tuning: their licences travel along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from crossfield.zoo import checkpoint
from crossfield.zoo.published import published


class Origin(BaseModel):
    """A published model.

    Attributes:
        name: in the registry.
        licence: key of `crossfield.zoo.published.LICENCES`.
        reference: what to cite.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    licence: str
    reference: str = ""


def origins(provenance: Mapping[str, Any]) -> tuple[Origin, ...]:
    """The published models among those that a model was made from, each once.

    Args:
        provenance: of a checkpoint, whoever wrote it.
    """
    return tuple({origin.name: origin for origin in _found(provenance)}.values())


def origins_of(path: Path) -> tuple[Origin, ...]:
    """The published models that a checkpoint was made from.

    Raises:
        InputError: not a checkpoint, or damaged.
    """
    provenance = checkpoint.read_metadata(path).get("provenance")
    return origins(provenance) if isinstance(provenance, dict) else ()


def _found(provenance: Mapping[str, Any]) -> Iterator[Origin]:
    base = provenance.get("base")
    named = base if isinstance(base, dict) else {}
    stated = named.get("origins")
    if named.get("name") in published():
        yield from _read(published()[named["name"]].model_dump())
    for item in (provenance.get("published"), *(stated if isinstance(stated, list) else ())):
        yield from _read(item)
    surgery = provenance.get("surgery")
    for step in surgery if isinstance(surgery, list) else ():
        merged = step.get("provenance") if isinstance(step, dict) else None
        if isinstance(merged, dict):
            yield from _found(merged)


def _read(item: object) -> Iterator[Origin]:
    try:
        yield Origin.model_validate(item)
    except ValidationError:
        return  # nothing there, or of a later version
