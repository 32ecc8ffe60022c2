"""The heads of two models that share their backbone, in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from crossfield.errors import InputError
from crossfield.heads.entries import check_names, take, weights_of_heads
from crossfield.heads.rebuild import rebuilt
from crossfield.heads.surgery import keep_heads, renamed
from crossfield.model import Model
from crossfield.model.readout import OfHeads
from crossfield.theory import Head, symbols


def merge(first: Model, second: Model, *, renames: Mapping[str, str] | None = None) -> Model:
    """The heads of two models whose backbones are the same bit for bit, as after training heads alone.

    Heads of `first` come first and stay bit for bit, as does its default head. A head that both have under
    one name, the same in everything, is taken once. If the two are not scaled for the same number of heads,
    weights of the last readout of `second` are converted to the scale of `first`, which rounds them in the
    last place.

    Args:
        first, second: the models; they are not changed.
        renames: new names for heads of `second`.

    Raises:
        InputError: backbones, elements, configurations or precisions differ (the first weight that does is
            named, with the size of the difference), or two different heads have the same name.
    """
    _check_same_config(first, second)
    _check_same_backbone(first, second)
    heads = _renamed_heads(second, renames or {})
    divisions = weights_of_heads(first)
    mine = dict(first.state_dict())
    theirs = _rescaled(second, divisions, first)
    new = [
        i
        for i, head in enumerate(heads)
        if head not in first.heads
        or not _equal(
            _weights(mine, divisions, len(first.heads), first.heads.index(head)),
            _weights(theirs, divisions, len(heads), i),
        )
    ]
    _check_names(first, [heads[i] for i in new])
    if not new:
        return keep_heads(first, [head.name for head in first.heads])
    theirs = take(theirs, divisions, len(heads), new)
    joined = {name: _joined(mine[name], theirs[name], division) for name, division in divisions.items()}
    return rebuilt(
        first,
        {**mine, **joined},
        heads=[*first.heads, *(heads[i] for i in new)],
        default_head=first.default_head,
    )


def _renamed_heads(model: Model, renames: Mapping[str, str]) -> list[Head]:
    if renames:
        check_names(model, list(renames))
    return [renamed(head, renames[head.name]) if head.name in renames else head for head in model.heads]


def _check_names(first: Model, new: list[Head]) -> None:
    names = [head.name for head in first.heads]
    other = [head.name for head in new]
    clashes = sorted({name for name in other if name in names or other.count(name) > 1})
    if clashes:
        raise InputError(
            f"head {clashes[0]!r} would be there twice, and not the same; rename one "
            f"(the first model has: {', '.join(names)}; from the second would come: {', '.join(other)})"
        )


def _weights(
    state: Mapping[str, Tensor], divisions: Mapping[str, OfHeads], count: int, position: int
) -> list[Tensor]:
    """Those of one head alone, of `count` heads."""
    of_heads = {name: state[name] for name in divisions}
    return list(take(of_heads, divisions, count, [position]).values())


def _equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def _rescaled(model: Model, divisions: Mapping[str, OfHeads], like: Model) -> dict[str, Tensor]:
    """Weights of a model, those of heads in the scale of another one, on its device."""
    ours = model.config.head_scale(len(model.heads))
    theirs = like.config.head_scale(len(like.heads))
    state = {name: tensor.to(like.device) for name, tensor in model.state_dict().items()}
    if ours != theirs:
        state |= {name: state[name] * (theirs / ours) ** 0.5 for name, d in divisions.items() if d.scaled}
    return state


def _joined(a: Tensor, b: Tensor, division: OfHeads) -> Tensor:
    """Weights of the heads of both; zero from the ones to the others, where nothing counts."""
    if len(division.axes) == 1:
        return torch.cat([a, b], dim=division.axes[0])
    return torch.block_diag(a, b)


def _check_same_config(first: Model, second: Model) -> None:
    if first.config.elements != second.config.elements:
        ours, theirs = set(first.config.elements), set(second.config.elements)
        raise InputError(
            f"the two models know different elements (only the first: {_symbols(ours - theirs)}; only the "
            f"second: {_symbols(theirs - ours)}); add or take away elements first"
        )
    a, b = _comparable(first), _comparable(second)
    for key, value in a.items():
        if value != b[key]:
            raise InputError(f"the two models are not the same: {key} is {value!r} and {b[key]!r}")
    if first.dtype != second.dtype:
        raise InputError(f"the two models are of different precision: {first.dtype} and {second.dtype}")


def _comparable(model: Model) -> dict[str, Any]:
    """What must agree of a configuration."""
    values = model.config.model_dump(exclude={"scaled_for_heads"})
    return {**values, "scaled_for_elements": model.config.element_scale}


def _check_same_backbone(first: Model, second: Model) -> None:
    a, b, of_heads = first.state_dict(), second.state_dict(), weights_of_heads(first)
    backbone = [name for name in a if name not in of_heads]
    differ = [name for name in backbone if not torch.equal(a[name], b[name].to(first.device))]
    if differ:
        name = differ[0]
        size = float((a[name] - b[name].to(first.device)).abs().max())
        raise InputError(
            f"the backbones differ, so their heads cannot be joined: weight {name!r} by up to {size:.3g} "
            f"({len(differ)} of {len(backbone)} weights differ)"
        )


def _symbols(numbers: set[int]) -> str:
    return " ".join(symbols(numbers)) or "none"
