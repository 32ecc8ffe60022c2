"""What can be configured in a training run: the heads, and what they are taught."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from ase.data import atomic_numbers, chemical_symbols
from pydantic import BeforeValidator, Field, FiniteFloat, field_serializer, model_validator

from crossfield.data.source import Source
from crossfield.model.config import ModelConfig
from crossfield.replay.selection import SelectionConfig
from crossfield.theory import TheoryDescription
from crossfield.train.sections import (
    AdaptConfig,
    ForgettingConfig,
    LossConfig,
    Positive,
    PropertyWeights,
    SamplingConfig,
    ScheduleConfig,
    Section,
    SplitConfig,
    TrainingConfig,
)

EVERY_ELEMENT = tuple(range(1, 119))  # stands in `Config.model` until the data are read

HeadName = Annotated[str, Field(pattern=r"^[\w\-]+$")]  # dots separate keys in overrides


def _source(value: Any) -> Any:
    """A file name, or a list of them, is short for a source with default keys."""
    return {"files": value} if isinstance(value, (str, Path, list, tuple)) else value


def _reference(value: Any) -> Any:
    """Element symbols become atomic numbers; method names stay."""
    methods = ("auto", "atoms", "least_squares", "estimated")
    if not isinstance(value, dict):
        if value not in methods:
            raise ValueError(f"must be {', '.join(methods)}, or an energy (eV) for each element")
        return value
    given = {}
    for name, energy in value.items():
        Z = name if isinstance(name, int) and not isinstance(name, bool) else atomic_numbers.get(name, 0)
        if not 1 <= Z <= 118:
            raise ValueError(f"{name!r} is not an element")
        if isinstance(energy, bool) or not isinstance(energy, int | float):
            raise ValueError(f"the energy of {name} must be a number (eV)")
        given[Z] = energy
    return given


def _without_elements(value: Any) -> Any:
    """A model before its elements are known, which are those of the reference energies."""
    if not isinstance(value, dict):
        return value
    if "elements" in value:
        raise ValueError("elements come from the data, leave them out")
    return {"elements": EVERY_ELEMENT, **value}


SourceField = Annotated[Source, BeforeValidator(_source)]
ReferenceField = Annotated[
    Literal["auto", "atoms", "least_squares", "estimated"] | dict[int, float], BeforeValidator(_reference)
]


class HeadConfig(Section):
    """One head: a level of theory and the data that teach it.

    Attributes:
        theory: a known level of theory, or one described under `theories`. A head of the base keeps its own,
            and may leave it out.
        data: file, list of files, or source (files, keys, domain) to train on.
        validation_data: source for validation; without it a fraction of `data` is taken.
        test_data: source for the final test; without it a fraction of `data` is taken.
        isolated_atoms: source with one frame per isolated atom, for E0.
        train_isolated: train on the isolated atoms too. It ties the energy of an atom without neighbours to
            E0, so that the energy of a compound is that of its bonds, and not of elements in any other way.
        split: overrides the common `split` for this head.
        E0: reference energies: "atoms" (isolated atoms), "least_squares", "estimated" (those of the head
            that it starts from, moved so that this head's answers fit best), "auto" (atoms where there are
            any; for the rest estimated with a base, least squares without), or energies by element symbol,
            eV (the rest as in "auto"). A head of the base keeps its own.
        weight: factor on this head's terms of the loss.
        weights: further factors, by property.
        scale: factor on the network's energy, eV; "auto": that of the head it starts from, or the RMS force
            of the training frames.
        shift: constant energy per atom, eV; "auto": mean of the training frames after E0; null: that of the
            head it starts from, or 0.
        start: with a base: the head whose readout this one starts from; "auto": that with the smallest force
            error on the training frames; "zero": none, the head starts as E0 and repulsion.
        freeze: its readout stays as it is.
    """

    theory: str | None = None
    data: SourceField
    validation_data: SourceField | None = None
    test_data: SourceField | None = None
    isolated_atoms: SourceField | None = None
    train_isolated: bool = True
    split: SplitConfig | None = None
    E0: ReferenceField = "auto"
    weight: Positive = 1.0
    weights: PropertyWeights = PropertyWeights()
    scale: Literal["auto"] | Positive = "auto"
    shift: Literal["auto"] | FiniteFloat | None = None
    start: str = "auto"
    freeze: bool = False

    @field_serializer("E0")
    def _symbols(self, value: str | dict[int, float]) -> str | dict[str, float]:
        return value if isinstance(value, str) else {chemical_symbols[Z]: E for Z, E in value.items()}


class ReplaySource(Section):
    """What is replayed of one head of the base, so that it is not forgotten.

    Attributes:
        data: frames with labels of the head's own theory, to train on.
        validation_data: frames with such labels that the base was not trained on, for validation and for the
            comparison before and after; all of them are used.
        test_data: likewise, for the final test and for the comparison. Where neither is named, fractions of
            `data` are kept aside.
        structures: structures of any origin, which the base's own head labels; labels in the files are not
            read.
        own: whether the frames of the heads under `heads:` are labelled by this head of the base, too, and
            replayed. Frames with a charge or spin that it does not know are left out, weights of frames are
            not taken over.
        bundled: whether the 2,000 structures that ship with the package are: crystals, slabs, molecules and
            reacting molecules of 20 elements; null: where neither data nor structures are given.
        select: which of the data, and which of the structures, are used; by default those 1,000 that differ
            most from each other.
        weight: factor on this head's terms of the loss.
        weights: further factors, by property.
        labels: file of the base's labels, which may serve several runs, and which none of them overwrites;
            null: in the output folder.
    """

    data: SourceField | None = None
    validation_data: SourceField | None = None
    test_data: SourceField | None = None
    structures: SourceField | None = None
    own: bool = True
    bundled: bool | None = None
    select: SelectionConfig = SelectionConfig(method="farthest", count=1000)
    weight: Positive = 1.0
    weights: PropertyWeights = PropertyWeights()
    labels: Path | None = None

    @property
    def with_bundled(self) -> bool:
        """Whether the structures that ship with the package are used."""
        return self.data is None and self.structures is None if self.bundled is None else self.bundled

    @model_validator(mode="after")
    def _something(self) -> ReplaySource:
        if not (self.data or self.structures or self.own or self.with_bundled):
            raise ValueError("nothing is replayed: give data or structures, or leave the head out")
        return self


def _replay(value: Any) -> Any:
    """YAML reads `off` as False; a head without settings has the defaults."""
    if value is False:
        return "off"
    if isinstance(value, dict):
        return {head: {} if settings is None else settings for head, settings in value.items()}
    return value


class Config(Section):
    """A training run. Relative paths start at `root`.

    Attributes:
        base: model to start from: a file, or the name of a published one. All its heads and elements stay.
            Without one, training starts from random weights.
        heads: the heads that are taught, by name: new ones, or heads of the base by the names they have.
        theories: levels of theory that do not ship with the package, by name.
        replay: with a base: what is replayed of each of its heads, by name. "auto": of all heads, the bundled
            structures and those of the new data, with the labels that the base gives them; but
            nothing with adapt.kind=heads, which leaves them as they are. "off": nothing.
        elements: "keep" all elements of the base, or only those of the "data".
        adapt: which weights change.
        forgetting: how heads of the base are compared before and after.
        accept_licence: you accept the licence of a published base, where that is not MIT.
        model: size of the model; its elements come from the data. A base brings its own.
        training: how the weights are found.
        sampling: how often each head is drawn.
        loss: what is minimised.
        schedule: how the learning rate changes.
        split: how frames are divided into training, validation and test.
        output: folder of the run.
        root: folder that relative paths start from; in a file: relative to the folder of the file.
    """

    base: Annotated[str, Field(min_length=1)] | None = None
    heads: dict[HeadName, HeadConfig] = Field(min_length=1)
    theories: dict[str, TheoryDescription] = Field(default_factory=dict)
    replay: Annotated[Literal["auto", "off"] | dict[str, ReplaySource], BeforeValidator(_replay)] = "auto"
    elements: Literal["keep", "data"] = "keep"
    adapt: AdaptConfig = AdaptConfig()
    forgetting: ForgettingConfig = ForgettingConfig()
    accept_licence: bool = False
    model: Annotated[ModelConfig, BeforeValidator(_without_elements)] = ModelConfig(elements=EVERY_ELEMENT)
    training: TrainingConfig = TrainingConfig()
    sampling: SamplingConfig = SamplingConfig()
    loss: LossConfig = LossConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    split: SplitConfig = SplitConfig()
    output: Path
    root: Path = Path()

    @model_validator(mode="after")
    def _base_or_not(self) -> Config:
        if self.base is not None:
            if "model" in self.model_fields_set:
                raise ValueError("model: the base brings its own sizes, leave this out")
            return self
        for name, head in self.heads.items():
            if head.theory is None:
                raise ValueError(f"heads.{name}.theory is missing")
            if head.E0 == "estimated":
                raise ValueError(f"heads.{name}.E0: energies can only be estimated from a base")
            if head.freeze or head.start != "auto":
                raise ValueError(f"heads.{name}: start and freeze need a base")
        for key in ("replay", "elements", "forgetting"):
            if key in self.model_fields_set:
                raise ValueError(f"{key}: this needs a base")
        if self.adapt.kind != "full":
            raise ValueError(f"adapt.kind={self.adapt.kind} needs a base")
        return self

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return self.root / self.output

    @property
    def reads(self) -> list[Path]:
        """All files that are read and not written: data, and the base where it is a file."""
        parts: list[Section] = [*self.heads.values(), *self._replayed]
        sources = [value for part in parts for _, value in part if isinstance(value, Source)]
        found = [file for source in sources for file in source.files]
        found += [Path(self.base)] if self.base is not None else []
        return [self.root / file for file in found]

    @property
    def named_labels(self) -> list[Path]:
        """Files of the base's labels that are named, and so perhaps those of other runs, too."""
        return [self.root / source.labels for source in self._replayed if source.labels is not None]

    @property
    def _replayed(self) -> list[ReplaySource]:
        return list(self.replay.values()) if isinstance(self.replay, dict) else []

    def model_for(self, elements: tuple[int, ...]) -> ModelConfig:
        """The model's configuration with the elements that the data have."""
        return ModelConfig.model_validate({**self.model.model_dump(), "elements": elements})

    def as_dict(self) -> dict[str, Any]:
        """Plain values for YAML and JSON, all defaults spelled out; without `root` and what has no effect."""
        without: dict[str, Any] = {
            "root": True,
            "model": {"elements"},
            "sampling": set(self.sampling.idle),
            "adapt": set(self.adapt.idle),
        }
        if self.base is not None:
            without["model"] = True
        else:
            without |= dict.fromkeys(("base", "replay", "elements", "forgetting", "accept_licence"), True)
        return self.model_dump(mode="json", exclude=without)
