"""Which weights a run changes, and how fast; thin matrices beside frozen ones (LoRA, arXiv 2106.09685)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from operator import attrgetter

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from crossfield.errors import InputError, nearest
from crossfield.heads import element_masks, head_masks
from crossfield.model.model import Model
from crossfield.train.sections import AdaptConfig


class LowRank(nn.Module):
    """W + alpha/rank * up @ down, which starts as W; leading axes of W have a product each.

    Args:
        W: (..., in, out).
        rank: of the product; at most the smaller of `in` and `out`.
        alpha: its weight is alpha/rank.
    """

    def __init__(self, W: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        *rows, n, m = W.shape
        self.factor = alpha / rank
        rank = min(rank, n, m)
        self.up = nn.Parameter(W.new_zeros(*rows, n, rank))
        self.down = nn.Parameter(torch.randn(*rows, rank, m, dtype=W.dtype).to(W.device) * n**-0.5)

    def forward(self, W: Tensor) -> Tensor:
        """The matrix that is used."""
        return W + self.factor * (self.up @ self.down)


class Adaptation:
    """The weights of a model that are trained; sets `requires_grad`, and adds low-rank products if asked.

    Args:
        model: changed in place.
        config: what to train.
        taught: heads whose readouts are trained; those of others stay bit for bit.
        new_elements: elements whose rows are trained even where the backbone is frozen.

    Raises:
        InputError: a name that no weight has, or nothing is left to train.
    """

    def __init__(
        self,
        model: Model,
        config: AdaptConfig,
        taught: Collection[str],
        new_elements: Collection[int] = (),
    ) -> None:
        self.model, self._config = model, config
        names = [name for name, _ in model.named_parameters()]
        _check_parts(names, config)
        self._masks: dict[str, Tensor] = {}  # True where an entry is trained; parameters in part only
        heads, rows = head_masks(model, list(taught)), element_masks(model, list(new_elements))
        for name, parameter in model.named_parameters():
            mask = None
            if name in heads:
                mask = heads[name]
            elif config.kind != "full":
                mask = rows.get(name, torch.zeros_like(parameter, dtype=torch.bool))
            frozen = _longest(name, config.freeze) is not None
            # a base that was asked for labels asks for no gradients any more, so this sets both
            parameter.requires_grad_(not frozen and (mask is None or bool(mask.any())))
            if parameter.requires_grad and mask is not None and not bool(mask.all()):
                self._masks[name] = mask
        if config.kind == "lora":
            for name in _add_products(model, [name for name in names if name not in heads], config):
                self._masks.pop(name, None)
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        if not self.parameters:
            raise InputError("adapt: no weight is left to train")
        self._kept = {name: self.parameters[name].detach().clone() for name in self._masks}

    @torch.no_grad()
    def clear(self) -> None:
        """Take the entries that are not trained out of the gradient, whose norm is limited."""
        for name, mask in self._masks.items():
            if (gradient := self.parameters[name].grad) is not None:
                gradient.masked_fill_(~mask, 0.0)

    @torch.no_grad()
    def restore(self) -> None:
        """Put back the entries that are not trained, after a step of the optimiser."""
        for name, mask in self._masks.items():
            parameter = self.parameters[name]
            parameter.copy_(torch.where(mask, parameter, self._kept[name]))

    def rate(self, name: str) -> float:
        """Factor on the learning rate of a parameter."""
        rates = self._config.learning_rates
        part = _longest(_plain(name), rates)
        return 1.0 if part is None else rates[part]

    def describe(self) -> str:
        """What is trained, in a line."""
        trained = sum(
            int(self._masks[n].sum()) if n in self._masks else p.numel() for n, p in self.parameters.items()
        )
        how = {"full": "all weights", "heads": "readouts only", "lora": f"low rank {self._config.rank}"}
        frozen = f", but {', '.join(self._config.freeze)}" if self._config.freeze else ""
        return f"{how[self._config.kind]}{frozen}: {trained:,} numbers are trained"

    def merged(self) -> Model:
        """The model as it is used, with products merged into the matrices; itself where there are none."""
        if not any(parametrize.is_parametrized(module) for module in self.model.modules()):
            return self.model
        with torch.random.fork_rng(devices=[]):  # the weights it starts with are not used
            plain = Model(self.model.config, self.model.heads, self.model.default_head)
        plain.to(self.model.dtype)
        with torch.no_grad():
            state = {name: attrgetter(name)(self.model).detach().cpu() for name in plain.state_dict()}
        plain.load_state_dict(state)
        return plain


def _add_products(model: Model, names: Sequence[str], config: AdaptConfig) -> list[str]:
    """Low-rank products beside those of these parameters that a Linear multiplies with; their names."""
    found = []
    for name in names:
        parent, _, attribute = name.rpartition(".")
        module = model.get_submodule(parent)
        W = getattr(module, attribute)
        if W.ndim < 2 or not _is_linear(name) or _longest(name, config.freeze) is not None:
            continue
        W.requires_grad_(False)
        parametrize.register_parametrization(
            module, attribute, LowRank(W.detach(), config.rank, config.alpha)
        )
        found.append(name)
    return found


def _is_linear(name: str) -> bool:
    """Not embeddings of elements and inputs, nor the weights of products, which multiply no vector."""
    return not (
        name.startswith(("embedding.", "inputs.embedders"))
        or name.endswith(("sender_embedding", "receiver_embedding"))
        or (name.startswith("products.") and ".linear." not in name)
    )


def _plain(name: str) -> str:
    """The name of a parameter in the checkpoint."""
    head, found, rest = name.partition(".parametrizations.")
    return f"{head}.{rest.partition('.')[0]}" if found else name.removeprefix("parametrizations.")


def _longest(name: str, parts: Collection[str]) -> str | None:
    """The longest of the parts that a parameter belongs to."""
    return max((part for part in parts if f"{name}.".startswith(f"{part}.")), key=len, default=None)


def _check_parts(names: Sequence[str], config: AdaptConfig) -> None:
    known = sorted({".".join(name.split(".")[: k + 1]) for name in names for k in range(name.count(".") + 1)})
    for key, parts in (("freeze", config.freeze), ("learning_rates", config.learning_rates)):
        for part in parts:
            if part not in known:
                short = [name for name in known if name.count(".") < 2]
                raise InputError(
                    f"adapt.{key}: this model has no part {part!r}{nearest(part, known)} (there are: "
                    f"{', '.join(short)}, ...)"
                )
