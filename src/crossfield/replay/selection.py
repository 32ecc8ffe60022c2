"""Which earlier structures are kept in training while new heads are learnt."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from crossfield.data.composition import elements_of
from crossfield.data.frame import Frame
from crossfield.errors import InputError
from crossfield.replay.drawing import Candidate, candidates, draw, draw_stratified, strata
from crossfield.replay.farthest import farthest_points
from crossfield.replay.filters import Relation, fits
from crossfield.theory import symbols

Descriptors = Callable[[Sequence[Frame]], NDArray[np.floating]]


class SelectionConfig(BaseModel):
    """Which of many structures are chosen.

    Attributes:
        method: "farthest" (each is the one least like those chosen before, by descriptors of a model),
            "random", "stratified" (by composition and size, in proportion to the root of how many there are),
            or "all".
        count: how many to choose; null: all that pass the filter.
        elements: how the elements of a structure relate to those of the new data: "combinations" (no others),
            "inclusive" (all of them, and perhaps others), "exclusive" (exactly those), or "none": no filter.
        seed: another seed gives another selection (for "farthest", from another first structure).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["all", "random", "farthest", "stratified"] = "farthest"
    count: int | None = Field(None, gt=0)
    elements: Relation = "none"
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _all_is_all(self) -> SelectionConfig:
        if self.method == "all" and self.count is not None:
            raise ValueError("method 'all' takes no count; choose random, farthest or stratified")
        return self


class SelectionRecord(BaseModel):
    """How a selection came about; numbers are of structures, elements are symbols.

    Attributes:
        config: how it was to be chosen.
        new_elements: elements of the new data.
        given: structures there were.
        answered: those for whose elements the head has reference energies.
        fitting: those of them that pass the filter by elements.
        chosen: those of them that were chosen.
        strata: number of strata, where there are any.
        unanswered_elements: without a reference energy.
        filtered_elements: gone with what does not pass the filter.
        lost_elements: that fitting structures have, and none that was chosen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: SelectionConfig
    new_elements: tuple[str, ...]
    given: int
    answered: int
    fitting: int
    chosen: int
    strata: int | None
    unanswered_elements: tuple[str, ...]
    filtered_elements: tuple[str, ...]
    lost_elements: tuple[str, ...]

    def lines(self) -> list[str]:
        """What was chosen and what was left out, for people."""
        config, found = self.config, []
        if self.answered < self.given:
            elements = " ".join(self.unanswered_elements)
            found.append(
                f"{self.given - self.answered} of {self.given} structures left out: "
                f"no reference energy for {elements}"
            )
        if self.fitting < self.answered:
            found.append(
                f"{self.answered - self.fitting} of {self.answered} structures left out: elements are not "
                f"{config.elements} of {' '.join(self.new_elements)}"
            )
        if self.filtered_elements:
            found.append(
                f"elements in no structure that passes the filter: {' '.join(self.filtered_elements)}"
            )
        if config.count is not None and config.count > self.fitting:
            found.append(f"{config.count} structures were asked for, and there are only {self.fitting}")
        among = f" from {self.strata} strata" if self.strata else ""
        found.append(
            f"{self.chosen} of {self.fitting} structures chosen{among} ({config.method}, seed {config.seed})"
        )
        if self.lost_elements:
            found.append(f"elements in no structure that was chosen: {' '.join(self.lost_elements)}")
        return found


@dataclass(frozen=True)
class Selection:
    """What was chosen, and how."""

    indices: tuple[int, ...]  # positions in the sequence given, ascending
    record: SelectionRecord


def select(
    frames: Sequence[Frame],
    config: SelectionConfig,
    *,
    elements: Collection[int] = (),
    answered: Collection[int] | None = None,
    descriptors: Descriptors | None = None,
) -> Selection:
    """Choose structures for replay.

    The same structures and seed give the same selection, in whatever order they come.

    Args:
        frames: what there is to choose from.
        config: how to choose.
        elements: atomic numbers in the new data, for the filter.
        answered: atomic numbers for which the head has reference energies; structures with others can not be
            used. None: there is no head yet.
        descriptors: gives features (n, D) of n structures; asked by method "farthest" for all that pass the
            filter, unless all of them are chosen anyway.

    Raises:
        InputError: nothing is left, elements of new data or descriptors are needed and not given, or there is
            NaN in the descriptors.
    """
    if config.elements != "none" and not elements:
        raise InputError(f"elements = {config.elements} compares with new data, and there are none")
    own, new = [elements_of([frame]) for frame in frames], frozenset(elements)
    known = frozenset[int]().union(*own) if answered is None else frozenset(answered)
    usable = [k for k, present in enumerate(own) if present <= known]
    fitting = [k for k in usable if fits(own[k], new, config.elements)]
    _check_left(frames, usable, fitting, config, elements)
    pool = candidates(frames, fitting, config.seed)
    count = min(len(pool), config.count or len(pool))
    groups = strata(frames, pool) if config.method == "stratified" else None
    if count == len(pool):
        chosen = pool
    elif config.method == "farthest":
        chosen = _farthest(frames, pool, count, descriptors)
    elif groups is not None:
        chosen = draw_stratified(groups, count, config.seed)
    else:
        chosen = draw(pool, count)
    indices = tuple(sorted(c.position for c in chosen))
    there, answerable, passing, kept = (
        frozenset[int]().union(*(own[k] for k in some))
        for some in (range(len(frames)), usable, fitting, indices)
    )
    record = SelectionRecord(
        config=config,
        new_elements=symbols(elements),
        given=len(frames),
        answered=len(usable),
        fitting=len(fitting),
        chosen=len(indices),
        strata=None if groups is None else len(groups),
        unanswered_elements=symbols(there - known),
        filtered_elements=symbols(answerable - passing),
        lost_elements=symbols(passing - kept),
    )
    return Selection(indices, record)


def _check_left(
    frames: Sequence[Frame],
    usable: Sequence[int],
    fitting: Sequence[int],
    config: SelectionConfig,
    elements: Collection[int],
) -> None:
    if not frames:
        raise InputError("there are no structures to choose from")
    if not usable:
        raise InputError(f"none of the {len(frames)} structures has reference energies for all its elements")
    if not fitting:
        raise InputError(
            f"the elements of none of the {len(usable)} structures are {config.elements} of "
            f"{' '.join(symbols(elements))}: choose another filter (elements), or none"
        )


def _farthest(
    frames: Sequence[Frame], pool: Sequence[Candidate], count: int, descriptors: Descriptors | None
) -> list[Candidate]:
    if descriptors is None:
        raise InputError(
            "method 'farthest' compares descriptors of a model: give one, or choose another method"
        )
    features = np.asarray(descriptors([frames[c.position] for c in pool]))
    if features.ndim != 2 or len(features) != len(pool):
        raise InputError(f"{len(pool)} structures need as many rows of descriptors, not {features.shape}")
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        bad = frames[pool[int(np.argmin(finite))].position]
        raise InputError("the descriptors of the model are not finite", file=bad.file, frame=bad.index)
    start = min(range(len(pool)), key=lambda k: pool[k].ticket)
    return [pool[k] for k in farthest_points(features, count, start=start)]
