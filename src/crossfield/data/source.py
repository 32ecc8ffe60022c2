"""What to read: files, and the names under which they store their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ase.data import chemical_symbols
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from crossfield.errors import InputError


class Keys(BaseModel):
    """Names of labels in a file. None: deliberately not read, whatever the file holds.

    A label that sits in a frame under another likely name (`REF_energy` while `energy` is "energy") is an
    error, not silently unread; so is a name given here that no frame of the source has.

    Attributes:
        energy: total energy, eV.
        forces: column of forces, eV/Å.
        stress: stress, eV/Å^3, tensile positive; 9 numbers, or 6 in the order xx yy zz yz xz xy.
        virial: virial, eV, read as stress = -virial / volume where a frame has no stress.
        charge: total charge, e.
        spin: multiplicity 2S+1.
        theory: name of the level of theory.
        domain: crystals, surfaces, molecules, ...
        group: what is never split between training and test; without it, the reduced formula.
        weight: factor on all terms of the loss.
        energy_weight: factor on the energy term.
        forces_weight: factor on the force term.
        stress_weight: factor on the stress term.
        inputs: keys of the further numbers that the theory declares, by name of the input; without an entry,
            the key is that name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    energy: str | None = "energy"
    forces: str | None = "forces"
    stress: str | None = "stress"
    virial: str | None = None
    charge: str | None = "charge"
    spin: str | None = "spin"
    theory: str | None = "theory"
    domain: str | None = "domain"
    group: str | None = "system"
    weight: str | None = "weight"
    energy_weight: str | None = "energy_weight"
    forces_weight: str | None = "forces_weight"
    stress_weight: str | None = "stress_weight"
    inputs: dict[str, str] = Field(default_factory=dict)

    @property
    def by_role(self) -> dict[str, str | None]:
        """Every key by what is read under it: "energy", ..., "inputs.NAME"."""
        own: dict[str, str | None] = self.model_dump(exclude={"inputs"})
        return own | {f"inputs.{name}": key for name, key in self.inputs.items()}

    def of_input(self, name: str) -> str:
        """The key of an input.

        Raises:
            InputError: something else is read under its name.
        """
        key = self.inputs.get(name, name)
        other = next(
            (role for role, own in self.by_role.items() if own == key and role != f"inputs.{name}"), None
        )
        if other is not None:
            raise InputError(
                f"{key!r} is read as keys.{other}: name the key of {name!r} in keys.inputs.{name}"
            )
        return key

    @model_validator(mode="after")
    def _distinct(self) -> Keys:
        names = [name for name in self.by_role.values() if name is not None]
        if any(not name.strip() for name in names):
            raise ValueError("a key cannot be empty; null leaves a label unread")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is named for two different things")
        return self


class Source(BaseModel):
    """Files that are read in one way, all of one level of theory.

    Attributes:
        files: extended XYZ files, gzipped or not; one name or a list.
        keys: names under which the labels are stored.
        domain: domain of frames that do not state one.
        stress_not_for: leave the stress out where one of these elements is present, as when the basis is too
            small for them: stress then follows neither from the energies nor from anything else of use.
        bad_frames: "stop" at the first frame that cannot be used, or "list" such frames with the reason.
        check_units: compare the frames with each other to find mixed units. Off only for data that is
            known to be right and trips the check.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: tuple[Path, ...] = Field(min_length=1)
    keys: Keys = Keys()
    domain: str | None = None
    stress_not_for: tuple[str, ...] = ()
    bad_frames: Literal["stop", "list"] = "stop"
    check_units: bool = True

    @field_validator("stress_not_for")
    @classmethod
    def _elements(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [symbol for symbol in symbols if symbol not in chemical_symbols[1:]]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not an element")
        return symbols

    @field_validator("files", mode="before")
    @classmethod
    def _one_or_many(cls, files: object) -> object:
        return (files,) if isinstance(files, str | Path) else files
