"""Parts of a configuration that say how training goes, whatever is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from crossfield.kernels.backend import Choice
from crossfield.kernels.product import Kind

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """A part of the configuration: cannot be changed, refuses names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SectionOfKind(Section):
    """A part whose kind decides which of its other keys are read; those that are not cannot be given."""

    ONLY_FOR: ClassVar[Mapping[str, tuple[str, ...]]]  # kinds that read a key

    kind: str

    @property
    def idle(self) -> frozenset[str]:
        """Keys that this kind does not read."""
        return frozenset(key for key, kinds in self.ONLY_FOR.items() if self.kind not in kinds)

    @model_validator(mode="after")
    def _nothing_idle(self) -> Self:
        for key in sorted(self.idle & self.model_fields_set):
            kinds = " or ".join(self.ONLY_FOR[key])
            raise ValueError(f"{key} is for kind={kinds}, and has no effect with {self.kind}")
        return self


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


class SamplingConfig(SectionOfKind):
    """How often each head is drawn. A batch mixes the heads in these shares.

    Attributes:
        kind: "proportional" to the number of frames, "uniform" over heads, "temperature" (proportional to
            the number of frames to the power 1/temperature), "balanced" (a share for the heads under
            `heads:`, the rest for what is replayed, each shared out as with "temperature"), or fixed
            "ratios", which need not be said where they are given. With a base the default is "balanced".
        temperature: 1 is proportional, large is uniform (kinds "temperature" and "balanced").
        new: share of the heads under `heads:` (kind "balanced", where anything is replayed).
        ratios: relative number of frames drawn, by head (kind "ratios").
    """

    ONLY_FOR = {"temperature": ("temperature", "balanced"), "new": ("balanced",), "ratios": ("ratios",)}

    kind: Literal["proportional", "uniform", "temperature", "balanced", "ratios"] = "proportional"
    temperature: Positive = 2.0
    new: float = Field(0.5, gt=0, lt=1)
    ratios: dict[str, Positive] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _ratios_say_their_kind(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "ratios" in given:
            return {"kind": "ratios", **given}
        return given

    @model_validator(mode="after")
    def _has_ratios(self) -> Self:
        if self.kind == "ratios" and not self.ratios:
            raise ValueError("kind=ratios needs ratios, a number for each head")
        return self


class PropertyWeights(Section):
    """Factors of one head on the weights of the loss.

    Attributes:
        energy: factor on the energy term.
        forces: factor on the force term.
        stress: factor on the stress term.
    """

    energy: NotNegative = 1.0
    forces: NotNegative = 1.0
    stress: NotNegative = 1.0


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
        backend: what computes: "reference" is plain torch, "numba" kernels compiled for the CPU, "triton"
            kernels for a GPU, "auto" the fastest that has been run on such a device.
        precision: "32-true" or "64-true".
        tensor_cores: products with matrices whose factors a GPU rounds to ten bits (TF32) in training steps,
            gradients included: "linears" (maps of features), "radial" (radial networks, whose rounding moves
            forces some five times as much), or both. All else stays as `precision` says,
            validation and files, too. On a CPU it is an error.
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
    backend: Choice = "auto"
    precision: Literal["32-true", "64-true"] = "32-true"
    tensor_cores: tuple[Kind, ...] = ()
    checkpoint_minutes: Positive = 2.0
    checkpoint_steps: Count | None = None

    @field_validator("tensor_cores", mode="before")
    @classmethod
    def _one_or_several(cls, kinds: Any) -> Any:
        return [kinds] if isinstance(kinds, str) else kinds

    @model_validator(mode="after")
    def _rounds_single_precision(self) -> Self:
        if self.tensor_cores and self.precision != "32-true":
            raise ValueError(f"tensor_cores round numbers of 32 bits: leave them out with {self.precision}")
        return self


class AdaptConfig(SectionOfKind):
    """Which weights change, and how fast.

    Parts are named as in the checkpoint, by their beginning: "embedding", "interactions", "interactions.0",
    "products.1", "readouts", "interactions.1.radial", ...

    Attributes:
        kind: "full": all weights. "heads": only the readouts of heads that have data; the backbone stays as
            it is, bit for bit. "lora": these readouts, and for every matrix of the backbone a product of two
            thin ones that is added to it, and merged with it in all files that are written.
        freeze: parts that stay as they are.
        rank: of the thin matrices ("lora").
        alpha: their product counts alpha/rank times ("lora").
        learning_rates: factors on the learning rate, by part; the longest name that fits counts.
    """

    ONLY_FOR = {"rank": ("lora",), "alpha": ("lora",)}

    kind: Literal["full", "heads", "lora"] = "full"
    freeze: tuple[str, ...] = ()
    rank: Count = 8
    alpha: Positive = 16.0
    learning_rates: dict[str, NotNegative] = Field(default_factory=dict)


class ForgettingConfig(Section):
    """What is measured of every head of the base, before and after.

    Attributes:
        tolerance: a head has got worse if a mean absolute error rose by more than this fraction of what it
            was. Where the labels are the base's own answers, so that it was zero, the fraction is of the
            spread of the labels: standard deviation of energies per atom, mean size of a force component.
        fail: end with exit code 3 if a head has got worse.
        resamples: of the bootstrap that gives the intervals.
    """

    tolerance: Positive = 0.05
    fail: bool = True
    resamples: Count = 1000
