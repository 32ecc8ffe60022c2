"""What can be configured in a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from ase.data import atomic_numbers, chemical_symbols
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    field_serializer,
    model_validator,
)

from crossfield.data.source import Source
from crossfield.model.config import ModelConfig
from crossfield.theory import TheoryDescription

EVERY_ELEMENT = tuple(range(1, 119))  # stands in `Config.model` until the data are read

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]
HeadName = Annotated[str, Field(pattern=r"^[\w\-]+$")]  # dots separate keys in overrides


def _source(value: Any) -> Any:
    """A file name, or a list of them, is short for a source with default keys."""
    return {"files": value} if isinstance(value, (str, Path, list, tuple)) else value


def _reference(value: Any) -> Any:
    """Element symbols become atomic numbers; method names stay."""
    methods = ("auto", "atoms", "least_squares")
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
    Literal["auto", "atoms", "least_squares"] | dict[int, float], BeforeValidator(_reference)
]


class Section(BaseModel):
    """A part of the configuration: cannot be changed, refuses names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SplitConfig(Section):
    """How frames are divided where no file is named for it.

    Attributes:
        validation: fraction of the frames used to choose the best weights.
        test: fraction of the frames kept aside for the final table.
        by: "group" keeps frames of one group together, "frame" only equal structures, which flatters the
            errors where frames are snapshots of one system.
        seed: another seed gives another split.
    """

    validation: float = Field(0.1, ge=0, lt=1)
    test: float = Field(0.1, ge=0, lt=1)
    by: Literal["group", "frame"] = "group"
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _something_left(self) -> SplitConfig:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave no frame to train on")
        return self


class HeadConfig(Section):
    """One head: a level of theory and the data that teach it.

    Attributes:
        theory: a known level of theory, or one described under `theories`.
        data: file, list of files, or source (files, keys, domain) to train on.
        validation_data: source for validation; without it a fraction of `data` is taken.
        test_data: source for the final test; without it a fraction of `data` is taken.
        isolated_atoms: source with one frame per isolated atom, for E0.
        train_isolated: train on the isolated atoms too. It ties the energy of an atom without neighbours to
            E0, so that the energy of a compound is that of its bonds, and not of elements in any other way.
        split: overrides the common `split` for this head.
        E0: reference energies: "atoms" (isolated atoms), "least_squares", "auto" (atoms where there are
            any, least squares for the rest), or energies by element symbol, eV (the rest as in "auto").
        weight: factor on this head's terms of the loss.
        scale: factor on the network's energy, eV; "auto": RMS force of the training frames.
        shift: constant energy per atom, eV; "auto": mean of the training frames after E0.
    """

    theory: str
    data: SourceField
    validation_data: SourceField | None = None
    test_data: SourceField | None = None
    isolated_atoms: SourceField | None = None
    train_isolated: bool = True
    split: SplitConfig | None = None
    E0: ReferenceField = "auto"
    weight: Positive = 1.0
    scale: Literal["auto"] | Positive = "auto"
    shift: Literal["auto"] | FiniteFloat = 0.0

    @field_serializer("E0")
    def _symbols(self, value: str | dict[int, float]) -> str | dict[str, float]:
        return value if isinstance(value, str) else {chemical_symbols[Z]: E for Z, E in value.items()}


class SamplingConfig(Section):
    """How often each head is drawn. A batch mixes the heads in these shares.

    Attributes:
        kind: "proportional" to the number of frames, "uniform" over heads, "temperature" (proportional to
            the number of frames to the power 1/temperature), or fixed "ratios".
        temperature: 1 is proportional, large is uniform (kind "temperature").
        ratios: relative number of frames drawn, by head (kind "ratios").
    """

    kind: Literal["proportional", "uniform", "temperature", "ratios"] = "proportional"
    temperature: Positive = 2.0
    ratios: dict[str, Positive] = Field(default_factory=dict)


class LateWeights(Section):
    """Weights for the last part of a run, when forces are good and energies are polished.

    Attributes:
        start: progress at which they take over, from 0 (start of the run) to 1 (its end).
        energy: weight of the energy per atom; null: as before.
        forces: weight of the forces; null: as before.
        stress: weight of the stress; null: as before.
    """

    start: float = Field(0.6, ge=0, lt=1)
    energy: NotNegative | None = None
    forces: NotNegative | None = None
    stress: NotNegative | None = None


class LossConfig(Section):
    """The loss; `crossfield.train.loss` has the equations.

    Attributes:
        kind: "universal" (Huber with a smaller delta on large forces), "huber", "l1" or "l2".
        energy: weight of the energy per atom.
        forces: weight of the forces.
        stress: weight of the stress, where there is one.
        delta: where Huber turns from quadratic to linear: eV for energies per atom, eV/Å, eV/Å^3.
        late: other weights for the last part of the run; null: the same to the end. A large weight on
            energies from the start can hold the forces at zero.
    """

    kind: Literal["universal", "huber", "l1", "l2"] = "universal"
    energy: NotNegative = 1.0
    forces: NotNegative = 10.0
    stress: NotNegative = 1.0
    delta: Positive = 0.01
    late: LateWeights | None = None

    @model_validator(mode="after")
    def _something_counts(self) -> LossConfig:
        for part in (self, self.at(1.0)):
            if not (part.energy or part.forces or part.stress):
                raise ValueError("energy, forces and stress all have weight 0, nothing would be learnt")
        return self

    def at(self, progress: float) -> LossConfig:
        """The loss at this progress, from 0 to 1."""
        if self.late is None or progress < self.late.start:
            return self
        return self.model_copy(update=self.late.model_dump(exclude={"start"}, exclude_none=True))


class ScheduleConfig(Section):
    """How the learning rate changes with progress, from 0 at the start to 1 at the end.

    Attributes:
        kind: "constant", "plateau" (multiply by `factor` where validations bring no better
            score), "cosine", or "warmup_cosine" (linear rise, then cosine).
        factor: of "plateau".
        patience: of "plateau": more validations than this without a better score lower the rate.
        warmup: fraction of the progress spent rising ("warmup_cosine").
        final: fraction of the learning rate that is left at the end ("cosine", "warmup_cosine").
    """

    kind: Literal["constant", "plateau", "cosine", "warmup_cosine"] = "warmup_cosine"
    factor: float = Field(0.8, gt=0, lt=1)
    patience: Count = 5
    warmup: float = Field(0.05, ge=0, lt=1)
    final: float = Field(0.01, ge=0, le=1)


class TrainingConfig(Section):
    """How the weights are found.

    Attributes:
        epochs: passes over the data.
        steps_per_epoch: length of an epoch in steps; null: as many as all training frames need.
        minutes: stop after this long, and let the schedule end there; such a run cannot be repeated
            bit for bit, because it depends on the speed of the machine.
        batch_size: structures per step.
        optimiser: "adam" or "adamw".
        learning_rate: its highest value; the schedule multiplies it.
        weight_decay: on weight matrices only, not on biases, norms and scalars.
        amsgrad: use the largest second moment seen so far.
        clip: largest norm of the gradient; null: no limit.
        ema: decay of the running average of the weights that is validated and saved; 0: no averaging.
        validate_every: epochs between validations.
        early_stop: stop after this many validations without a better score; null: never.
        seed: of initial weights and of sampling.
        threads: of the processor; null: as PyTorch chooses. The result depends on it in the last bits.
        device: "auto" takes a GPU where there is one.
        backend: what computes: "reference" is plain torch, "numba" kernels compiled for the CPU, "auto" the
            fastest that runs on the device.
        precision: "32-true" or "64-true".
        checkpoint_minutes: time between restart files inside an epoch.
        checkpoint_steps: also write one every so many steps; null: by time only.
    """

    epochs: Count = 100
    steps_per_epoch: Count | None = None
    minutes: Positive | None = None
    batch_size: Count = 16
    optimiser: Literal["adam", "adamw"] = "adam"
    learning_rate: Positive = 0.005
    weight_decay: NotNegative = 1e-8
    amsgrad: bool = True
    clip: Positive | None = 10.0
    ema: float = Field(0.995, ge=0, lt=1)
    validate_every: Count = 1
    early_stop: Count | None = None
    seed: int = Field(0, ge=0)
    threads: Count | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    backend: Literal["auto", "reference", "numba"] = "auto"
    precision: Literal["32-true", "64-true"] = "32-true"
    checkpoint_minutes: Positive = 2.0
    checkpoint_steps: Count | None = None


class Config(Section):
    """A training run. Relative paths start at `base`.

    Attributes:
        heads: the heads, by name.
        theories: levels of theory that do not ship with the package, by name.
        model: size of the model; its elements come from the data.
        training: how the weights are found.
        sampling: how often each head is drawn.
        loss: what is minimised.
        schedule: how the learning rate changes.
        split: how frames are divided into training, validation and test.
        output: folder of the run.
        base: folder that relative paths start from; in a file: relative to the folder of the file.
    """

    heads: dict[HeadName, HeadConfig] = Field(min_length=1)
    theories: dict[str, TheoryDescription] = Field(default_factory=dict)
    model: Annotated[ModelConfig, BeforeValidator(_without_elements)] = ModelConfig(elements=EVERY_ELEMENT)
    training: TrainingConfig = TrainingConfig()
    sampling: SamplingConfig = SamplingConfig()
    loss: LossConfig = LossConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    split: SplitConfig = SplitConfig()
    output: Path
    base: Path = Path()

    @model_validator(mode="after")
    def _frames_have_the_inputs(self) -> Config:
        for name in self.model.extra_inputs:
            raise ValueError(f"model.inputs.{name}: must be 'charge' or 'spin', which are what frames state")
        return self

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return self.base / self.output

    def model_for(self, elements: tuple[int, ...]) -> ModelConfig:
        """The model's configuration with the elements that the data have."""
        return ModelConfig.model_validate({**self.model.model_dump(), "elements": elements})

    def as_dict(self) -> dict[str, Any]:
        """Plain values for YAML and JSON, every default spelled out, without `base`."""
        return self.model_dump(mode="json", exclude={"base": True, "model": {"elements"}})
