"""Published models that can be fetched by name, and the licences they come under."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Literal, NamedTuple, Self

import yaml
from ase.data import chemical_symbols
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    model_validator,
)

from crossfield.errors import InputError, nearest
from crossfield.theory import Theory, get_theory


class Licence(NamedTuple):
    """Terms that the weights of a model come under."""

    title: str
    url: str
    terms: str  # in our words; the text at the URL is what holds
    ask: bool  # whether it forbids things that users take for granted, so that they must accept it


LICENCES: Mapping[str, Licence] = {
    "MIT": Licence(
        title="MIT License",
        url="https://opensource.org/license/mit",
        terms="Any use is allowed, as long as the copyright notice stays with copies.",
        ask=False,
    ),
    "ASL": Licence(
        title="Academic Software License",
        url="https://github.com/gabor1/ASL",
        terms=(
            "Academic, non-commercial use only: research and scholarship at an educational, non-profit, "
            "charitable or governmental institution. It forbids work that is meant to lead to products for "
            "sale, to improve a product or service in commerce, or to be a service for a fee; that needs "
            "another licence from the authors. Copies, and what is made from the model (converted or "
            "fine-tuned weights), may be passed on only free of charge, under this same licence, with its "
            "text and notices and a note of the changes. There is no warranty."
        ),
        ask=True,
    ),
}


def _numbers(text: object) -> object:
    """Atomic numbers of ranges such as "1-83, 89-94"."""
    if not isinstance(text, str):
        raise ValueError('elements are ranges of atomic numbers, as "1-83, 89-94"')
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        span = range(int(first), int(last if dash else first) + 1)
        if not span or span[0] <= (numbers[-1] if numbers else 0) or span[-1] >= len(chemical_symbols):
            raise ValueError(
                f"elements {text!r}: {part.strip()!r} is no range, or not above the one before it"
            )
        numbers += span
    return tuple(numbers)


class Published(BaseModel):
    """A model that others have published.

    Attributes:
        name: what users call it.
        description: what it is for, in one line.
        url: where its file is.
        sha256: of that file; None: not known, so the first download is trusted.
        size: of that file, bytes; None: not known.
        licence: key of `LICENCES`.
        elements: atomic numbers it covers.
        parameters: about how many; None: not known.
        heads: name of the theory by name of the head in the file.
        default_head: the head that answers if none is named; None: one must be.
        reference: what to cite.
        notes: known limits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    url: Annotated[str, Field(pattern=r"^https://[^\s/]+/\S+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None
    size: PositiveInt | None
    licence: Literal["MIT", "ASL"]
    elements: Annotated[tuple[int, ...], BeforeValidator(_numbers)]
    parameters: PositiveInt | None
    heads: Annotated[dict[str, str], Field(min_length=1)]
    default_head: str | None
    reference: str
    notes: str = ""

    @model_validator(mode="after")
    def _default_exists(self) -> Self:
        if self.default_head is not None and self.default_head not in self.heads:
            raise ValueError(f"default_head {self.default_head!r} is none of the heads")
        return self

    def theories(self) -> dict[str, Theory]:
        """The level of theory of every head."""
        return {head: get_theory(theory) for head, theory in self.heads.items()}


@cache
def published() -> Mapping[str, Published]:
    """All published models, by name."""
    text = resources.files("crossfield.zoo").joinpath("published.yaml").read_text("utf-8")
    return {name: Published(name=name, **fields) for name, fields in yaml.safe_load(text).items()}


def get_published(name: str) -> Published:
    """The published model of this name.

    Raises:
        InputError: no such model; the message lists those there are.
    """
    models = published()
    if name not in models:
        raise InputError(
            f"unknown model {name!r}{nearest(name.lower(), list(models))} (published: {', '.join(models)})"
        )
    return models[name]
