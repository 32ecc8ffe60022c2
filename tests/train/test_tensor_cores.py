"""Products in TF32: in steps of training, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.console import Console

from crossfield.errors import InputError
from crossfield.kernels.product import Multiplying
from crossfield.train import Config, run, train, trainer
from crossfield.train.sections import TrainingConfig

Configure = Callable[..., Config]
BOTH = "training.tensor_cores=[linears,radial]"


def test_double_precision_is_not_rounded() -> None:
    with pytest.raises(ValueError, match="tensor_cores round numbers of 32 bits"):
        TrainingConfig(tensor_cores=("linears",), precision="64-true")


def test_one_kind_alone() -> None:
    assert TrainingConfig.model_validate({"tensor_cores": "linears"}).tensor_cores == ("linears",)
    with pytest.raises(ValueError, match="'linears' or 'radial'"):
        TrainingConfig.model_validate({"tensor_cores": "linear"})


def test_processors_refuse_before_anything_is_written(configure: Configure, console: Console) -> None:
    config = configure(BOTH)
    with pytest.raises(InputError, match="no tensor cores on cpu"):
        train(config, console=console)
    assert not config.folder.exists()


def test_steps_are_rounded_and_errors_are_those_of_single_precision(
    configure: Configure, console: Console, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is validated is what the saved weights give to whoever loads them."""
    seen: dict[str, set[bool]] = {"step": set(), "errors": set()}

    def watch(kind: str, function: Callable[..., object]) -> Callable[..., object]:
        def call(model: torch.nn.Module, *rest: object, **options: object) -> object:
            seen[kind] |= {m.in_tf32 for m in model.modules() if isinstance(m, Multiplying)}
            return function(model, *rest, **options)

        return call

    monkeypatch.setattr(run, "check_tensor_cores", lambda device: None)  # rounded step by step on the CPU
    monkeypatch.setattr(trainer, "evaluate", watch("step", trainer.evaluate))
    monkeypatch.setattr(trainer, "evaluate_dataset", watch("errors", trainer.evaluate_dataset))
    result = train(configure(BOTH, "training.epochs=2"), console=console)
    assert seen == {"step": {True}, "errors": {False}}
    plain = train(configure("training.epochs=2", f"output={tmp_path / 'plain'}"), console=console)
    assert result.score is not None
    assert plain.score is not None
    assert result.score != plain.score
    assert result.score == pytest.approx(plain.score, rel=0.02)
