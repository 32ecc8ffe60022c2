"""Levels of theory: what a label means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from crossfield.errors import InputError, nearest


class InputMeaning(BaseModel):
    """A number per structure, besides charge and spin, that tells apart what a theory computes.

    Attributes:
        meaning: what the number is, with its unit ("electric field along z, V/Å").
        default: its value in frames that do not state one; None: they must state it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    meaning: str = Field(min_length=1)
    default: FiniteFloat | None = None


def _not_charge_or_spin(name: str) -> str:
    if name in ("charge", "spin"):
        raise ValueError(f"{name} has fields of its own: describe it as {name} and default_{name}")
    return name


InputName = Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_]*$"), AfterValidator(_not_charge_or_spin)]


class TheoryDescription(BaseModel):
    """What is known of a level of theory besides its name.

    Attributes:
        method: functional or wave-function method.
        basis: basis set, pseudopotentials or setups, and cutoff.
        dispersion: dispersion correction contained in the labels, or "none".
        charge: what the total charge of a frame means, or "ignored".
        spin: what the spin of a frame means (for instance "2S+1"), or "ignored".
        default_charge: charge (e) of frames that do not state one; None: they must state it.
        default_spin: spin multiplicity of frames that do not state one; None: they must state it.
        inputs: further numbers per structure, by name, that a model may read (`model.inputs`).
        reference: zero of energy, and where the method is described.
        data: the data set that labels of this theory come from.
        notes: known limits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = ""
    basis: str = ""
    dispersion: str = "none"
    charge: str = "ignored"
    spin: str = "ignored"
    default_charge: int | None = 0
    default_spin: int | None = 1
    inputs: dict[InputName, InputMeaning] = Field(default_factory=dict)
    reference: str = ""
    data: str = ""
    notes: str = ""

    @model_serializer(mode="wrap")
    def _without_empty_inputs(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Few theories have inputs, and files of those that have none stay readable to older versions."""
        fields: dict[str, Any] = plain(self)
        if not self.inputs:
            fields.pop("inputs", None)
        return fields


class Theory(TheoryDescription):
    """A level of theory. A label without one is not training data.

    Attributes:
        name: short identifier, used in files and on the command line.
    """

    name: str

    def input_value(self, name: str, stated: float | None, *, where: str) -> float:
        """The number that a model reads of a structure.

        Args:
            name: name of the input.
            stated: what the structure states; None: nothing.
            where: the place where it would be stated, for the message.

        Raises:
            InputError: nothing is stated, and this theory has no default for it or does not know it.
        """
        if stated is not None:
            return stated
        if name not in self.inputs:
            raise InputError(
                f"the model reads {name!r} of every structure, which theory {self.name!r} does not declare: "
                f"describe it under `theories:` (inputs.{name}, with its meaning and perhaps a default), "
                f"or state it as {where}"
            )
        known = self.inputs[name]
        if known.default is None:
            raise InputError(
                f"theory {self.name!r} needs {name!r} ({known.meaning}) of every structure: "
                f"state it as {where}, or give it a default under `theories:`"
            )
        return known.default

    def check_declares(self, names: Iterable[str]) -> None:
        """Check that this theory says what the inputs of a model mean.

        Args:
            names: inputs besides charge and spin (`ModelConfig.extra_inputs`).

        Raises:
            InputError: naming the first that it does not declare.
        """
        for name in names:
            if name not in self.inputs:
                raise InputError(
                    f"the model reads {name!r} of every structure, and theory {self.name!r} does not say "
                    f"what that is: describe it under `theories:` (inputs.{name}, with its meaning and "
                    "perhaps a default)"
                )


@cache
def known_theories() -> Mapping[str, Theory]:
    """Theories that ship with the package, by name."""
    text = resources.files("crossfield.theory").joinpath("known.yaml").read_text("utf-8")
    return {name: Theory(name=name, **fields) for name, fields in yaml.safe_load(text).items()}


def get_theory(name: str) -> Theory:
    """The known theory of this name.

    Raises:
        InputError: no such theory; the message lists those there are.
    """
    theories = known_theories()
    if name not in theories:
        raise InputError(
            f"unknown theory {name!r}{nearest(name, list(theories))} "
            f"(known: {', '.join(sorted(theories))}; a new one can be described in the "
            "configuration under `theories:`)"
        )
    return theories[name]
