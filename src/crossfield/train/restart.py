"""The restart file: everything that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from crossfield.errors import InputError
from crossfield.theory import Head
from crossfield.zoo import container

KIND = container.Kind("crossfield_restart", "a restart file", version=3)
FREE = (  # keys that may change when a run goes on; schedules then end where the new length does
    "training.epochs",
    "training.minutes",
    "training.checkpoint_minutes",
    "training.checkpoint_steps",
    "output",
)
FITTED = ("E0", "reference")  # what a fit gives, and says of itself, in the summary of a head's data
CLOSE = 1e-6  # relative, or eV; a fit to predictions in float32 is no more exact


@dataclass
class RunState:
    """Where a run is; changes as it goes. With the weights it determines all that follows."""

    step: int = 0  # steps done
    closed: int = 0  # step after which an epoch was last validated and logged
    loss_sum: float = 0.0  # over the steps since then
    loss_steps: int = 0
    loss_by_head: list[list[float]] = field(default_factory=list)  # (heads, 3) sums over these steps
    learning_rate: float = 0.0  # of the last step
    seconds: float = 0.0  # of training, that before a resume included
    best_score: float | None = None
    best_step: int | None = None
    waited: int = 0  # validations since the best one
    plateau_factor: float = 1.0  # of the schedule "plateau"
    plateau_best: float | None = None
    plateau_waited: int = 0
    log_bytes: int = 0  # length of the log
    watch: dict[str, list[float]] = field(default_factory=dict)  # see `crossfield.train.watch`


@dataclass(frozen=True)
class Restart:
    """Contents of a restart file."""

    state: RunState
    config: dict[str, Any]
    base: dict[str, Any] | None  # which model it started from
    data: dict[str, Any]  # summary of the data, to recognise them
    heads: dict[str, dict[str, Any]]  # E0, scale and shift of each head
    tensors: dict[str, Tensor]


def save_restart(
    path: Path,
    *,
    state: RunState,
    config: Mapping[str, Any],
    base: Mapping[str, Any] | None,
    data: Mapping[str, Any],
    heads: Sequence[Head],
    parameters: Mapping[str, nn.Parameter],
    average: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write a restart file.

    Args:
        path: safetensors file.
        state: where the run is.
        config: the configuration as plain values.
        base: which model it started from, with its fingerprint; None: from random weights.
        data: summary of the data.
        heads: of the model.
        parameters: trained weights by name.
        average: their running average by name.
        optimiser: of these weights.
    """
    tensors = {f"weights.{name}": p.detach() for name, p in parameters.items()}
    tensors.update({f"average.{name}": a for name, a in average.items()})
    for name, parameter in parameters.items():
        for key, value in optimiser.state[parameter].items():
            tensors[f"optimiser.{key}.{name}"] = value
    document = {
        "state": asdict(state),
        "config": config,
        "base": base,
        "data": data,
        "heads": {h.name: h.model_dump(mode="json", include={"E0", "scale", "shift"}) for h in heads},
    }
    container.write(path, KIND, tensors, document)


def load_restart(path: Path) -> Restart:
    """Read a restart file.

    Raises:
        InputError: not a restart file, or damaged.
    """
    head, tensors = container.read(path, KIND)
    parts = {key: head[key] for key in ("config", "base", "data", "heads")}
    return Restart(RunState(**head["state"]), tensors=tensors, **parts)


def check_same_run(
    restart: Restart, config: Mapping[str, Any], base: Mapping[str, Any] | None, data: Mapping[str, Any]
) -> None:
    """Check that a run goes on with the configuration, the base and the data it began with.

    Raises:
        InputError: naming the first key or file that differs.
    """
    before, now = _flat(restart.config), _flat(config)
    for key in dict.fromkeys([*before, *now]):
        if key not in FREE and before.get(key) != now.get(key):
            raise InputError(
                f"cannot resume: {key} was {before.get(key)!r} when the run began and is {now.get(key)!r} "
                f"(only {', '.join(FREE)} may change)"
            )
    order, wanted = ", ".join(restart.config["heads"]), ", ".join(config["heads"])
    if order != wanted:  # weights belong to heads by their position
        raise InputError(f"cannot resume: the order of heads was {order} and is {wanted}")
    if _weights(restart.base) != _weights(base):  # weights that are not trained are not in the restart file
        raise InputError(f"cannot resume: the base {config['base']} is not the model any more that it was")
    for head in dict.fromkeys([*restart.data, *data]):
        before, now = _flat(restart.data.get(head, {})), _flat(data.get(head, {}))
        for key in dict.fromkeys([*before, *now]):
            if not _same(before.get(key), now.get(key), fitted=key.partition(".")[0] in FITTED):
                raise InputError(f"cannot resume: the data of head {head!r} have changed since then ({key})")


def _weights(base: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What says which weights a base has; the models that it came from itself say nothing of them."""
    return None if base is None else {key: value for key, value in base.items() if key != "origins"}


@torch.no_grad()
def restore(
    restart: Restart,
    parameters: Mapping[str, nn.Parameter],
    average: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> None:
    """Put weights, average and moments back in place, bit for bit."""
    for name, parameter in parameters.items():
        parameter.copy_(restart.tensors[f"weights.{name}"])
        average[name].copy_(restart.tensors[f"average.{name}"])
    for label, tensor in restart.tensors.items():
        kind, _, rest = label.partition(".")
        if kind == "optimiser":
            key, _, name = rest.partition(".")
            parameter = parameters[name]
            optimiser.state[parameter][key] = tensor.to(parameter.device, copy=True)


def _same(before: object, now: object, *, fitted: bool) -> bool:
    """Whether these are equal; what was fitted but for round-off, which depends on the number of threads."""
    if fitted and isinstance(before, float) and isinstance(now, float):
        return math.isclose(before, now, rel_tol=CLOSE, abs_tol=CLOSE)
    return before == now


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`."""
    if not isinstance(value, Mapping) or (path and not value):
        return {path: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found.update(_flat(item, f"{path}.{key}" if path else str(key)))
    return found
