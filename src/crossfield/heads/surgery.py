"""Add, take away, rename and order the heads of a model.

Nothing changes but what is said: all other weights are the same bit for bit, and so are the energies of all
other heads on the reference back end. The number of heads that is in the scale of some weights is kept in
`ModelConfig.scaled_for_heads`; where it is the number there is, it is left out, so that adding a head and
removing it gives back the same configuration, heads and weights.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from crossfield.errors import InputError
from crossfield.heads.entries import State, check_names, separate, silence, take, weights_of_heads
from crossfield.heads.rebuild import rebuilt
from crossfield.model import Model
from crossfield.theory import Head, head_index


def add_head(model: Model, head: Head, *, start: str | None) -> Model:
    """A model with one more head, the last one.

    Args:
        model: the model; it is not changed.
        head: the new head.
        start: the head whose weights it starts with; None: it reads out nothing, and answers E0, shift, and
            scale times the pair energy. Its hidden layers are those of the first head then: from zeros
            everywhere no gradient would lead away.

    Raises:
        InputError: its name is taken, `start` is unknown, or it has reference energies outside the model.
    """
    check_free(model, head.name)
    count = len(model.heads)
    source = 0 if start is None else head_index(model.heads, start)
    divisions = weights_of_heads(model)
    state = take(model.state_dict(), divisions, count, [*range(count), source])
    for name, division in divisions.items():
        state[name] = separate(state[name], division, count, count + 1)
        if start is None:
            state[name] = silence(state[name], division, count, count + 1)
    return rebuilt(model, state, heads=[*model.heads, head], default_head=model.default_head)


def keep_heads(model: Model, names: Sequence[str]) -> Model:
    """A model with these heads only, in this order; the default head stays if it is among them.

    Args:
        model: the model; it is not changed.
        names: the heads.

    Raises:
        InputError: no names, unknown ones, or one twice.
    """
    order = check_names(model, names)
    return rebuilt(
        model,
        take(model.state_dict(), weights_of_heads(model), len(model.heads), order),
        heads=[model.heads[i] for i in order],
        default_head=model.default_head,
    )


def remove_heads(model: Model, names: Sequence[str]) -> Model:
    """A model without these heads; if the default head is one of them, there is none any more.

    Args:
        model: the model; it is not changed.
        names: the heads.

    Raises:
        InputError: no names, unknown ones, one twice, or all there are.
    """
    gone = set(check_names(model, names))
    kept = [head.name for i, head in enumerate(model.heads) if i not in gone]
    if not kept:
        raise InputError(f"a model needs at least one head, and these are all it has: {', '.join(names)}")
    return keep_heads(model, kept)


def rename_head(model: Model, old: str, new: str) -> Model:
    """A model with another name for a head; it stays the default if it was.

    Args:
        model: the model; it is not changed.
        old: the head.
        new: its new name.

    Raises:
        InputError: `old` is unknown, `new` is taken, or cannot be a name.
    """
    return replace_head(model, old, renamed(model.heads[head_index(model.heads, old)], new))


def replace_head(model: Model, name: str, head: Head) -> Model:
    """A model in which a head has another theory, other E0, scale, shift or name; its weights stay.

    Args:
        model: the model; it is not changed.
        name: the head to replace.
        head: what it becomes.

    Raises:
        InputError: there is no such head, the new name is taken, or there are reference energies outside the
            model.
    """
    position = head_index(model.heads, name)
    if head.name != name:
        check_free(model, head.name)
    heads = list(model.heads)
    heads[position] = head
    default = head.name if name == model.default_head else model.default_head
    return rebuilt(model, _state(model), heads=heads, default_head=default)


def with_default(model: Model, name: str | None) -> Model:
    """A model with another default head.

    Args:
        model: the model; it is not changed.
        name: the head that answers where none is asked for; None: one must be.

    Raises:
        InputError: there is no such head.
    """
    if name is not None:
        head_index(model.heads, name)
    return rebuilt(model, _state(model), default_head=name)


def check_free(model: Model, name: str) -> None:
    """Check that no head has this name.

    Raises:
        InputError: one has; the message lists those there are.
    """
    names = [head.name for head in model.heads]
    if name in names:
        raise InputError(f"there is a head {name!r} already (this model has: {', '.join(names)})")


def renamed(head: Head, name: str) -> Head:
    """The head under another name.

    Raises:
        InputError: this cannot be a name.
    """
    try:
        return Head.model_validate({**head.model_dump(), "name": name})
    except ValidationError as error:
        fault = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"{name!r} cannot be the name of a head: {fault}") from error


def _state(model: Model) -> State:
    return dict(model.state_dict())
