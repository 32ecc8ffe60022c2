"""Optimiser, schedule of the learning rate, and running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from crossfield.train.restart import RunState
from crossfield.train.sections import ScheduleConfig, TrainingConfig


def build_optimiser(
    parameters: Mapping[str, nn.Parameter], config: TrainingConfig, rate: Callable[[str], float]
) -> torch.optim.Optimizer:
    """Adam or AdamW; only matrices decay, biases, norms and scalars do not.

    Args:
        parameters: what is trained, by name.
        config: kind and constants.
        rate: factor on the learning rate, by name of the parameter; groups keep it as "factor".
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        groups.setdefault((parameter.ndim >= 2, rate(name)), []).append(parameter)
    kind = torch.optim.AdamW if config.optimiser == "adamw" else torch.optim.Adam
    return kind(
        [
            {"params": members, "weight_decay": config.weight_decay if matrix else 0.0, "factor": factor}
            for (matrix, factor), members in sorted(
                groups.items(), key=lambda item: (not item[0][0], item[0])
            )
        ],
        lr=config.learning_rate,
        amsgrad=config.amsgrad,
        fused=True,
    )


class Schedule:
    """Factor on the learning rate; `plateau` follows validation scores, the others follow progress.

    Args:
        config: kind and constants.
        state: of the run; it keeps what `plateau` remembers.
    """

    def __init__(self, config: ScheduleConfig, state: RunState) -> None:
        self._config, self._state = config, state

    def factor(self, progress: float) -> float:
        """The factor for the step that brings the run to this progress (0 to 1)."""
        c = self._config
        if c.kind == "constant":
            return 1.0
        if c.kind == "plateau":
            return self._state.plateau_factor
        progress = min(max(progress, 0.0), 1.0)
        warmup = c.warmup if c.kind == "warmup_cosine" else 0.0
        if progress < warmup:
            return progress / warmup
        fall = (progress - warmup) / (1.0 - warmup)
        return c.final + (1.0 - c.final) * 0.5 * (1.0 + math.cos(math.pi * fall))

    def validated(self, score: float) -> None:
        """Take note of a validation score."""
        state = self._state
        if state.plateau_best is None or score < state.plateau_best:
            state.plateau_best, state.plateau_waited = score, 0
            return
        state.plateau_waited += 1
        if state.plateau_waited > self._config.patience:
            state.plateau_factor *= self._config.factor
            state.plateau_waited = 0


class Average:
    """Exponential moving average of the weights.

    The decay after t steps is min(decay, (1 + t) / (10 + t)): early on the average forgets the
    initial weights quickly.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self._parameters = list(parameters.values())
        self._decay = decay
        self.weights = {name: p.detach().clone() for name, p in parameters.items()}
        self._averaged: list[Tensor] = list(self.weights.values())

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step (from 0)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        current: list[Tensor] = list(self._parameters)
        get_ema_multi_avg_fn(decay)(self._averaged, current, step)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the averaged weights inside the block, and its own ones back after it."""
        own = [p.detach().clone() for p in self._parameters]
        self._copy(self._averaged)
        try:
            yield
        finally:
            self._copy(own)

    @torch.no_grad()
    def _copy(self, source: list[Tensor]) -> None:
        for parameter, value in zip(self._parameters, source, strict=True):
            parameter.copy_(value)
