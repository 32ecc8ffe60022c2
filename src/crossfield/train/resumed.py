"""A run that goes on has the reference energies with which it began, to the last bit."""

from __future__ import annotations

from dataclasses import replace

from crossfield.heads import replace_head
from crossfield.theory import Head
from crossfield.train.config import Config
from crossfield.train.restart import Restart
from crossfield.train.setup import Setup, score_of


def as_begun(setup: Setup, restart: Restart, config: Config) -> Setup:
    """The setup with E0, scale and shift of all heads as they were when the run began.

    They are found anew from the data whenever a run starts, and fits to what a base predicts in float32
    depend on the number of threads in the last digits.

    Args:
        setup: of the run that goes on; its model may be changed no more.
        restart: of the run, checked to belong to it.
        config: of the run.
    """
    stored = [_as_stored(h.head, restart) for h in setup.heads]
    if stored == [h.head for h in setup.heads]:
        return setup
    model = setup.model
    for head in stored:
        model = replace_head(model, head.name, head)
    heads = tuple(replace(h, head=head) for h, head in zip(setup.heads, stored, strict=True))
    return replace(setup, heads=heads, model=model, score=score_of(heads, config))


def _as_stored(head: Head, restart: Restart) -> Head:
    return Head.model_validate({**head.model_dump(), **restart.heads[head.name]})
