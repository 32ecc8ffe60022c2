"""Frames of one head from several sources, none of them twice, and none of them on two sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from crossfield.data.frame import Frame
from crossfield.data.split import Split, split_frames
from crossfield.train.head_data import SPLITS
from crossfield.train.sections import SplitConfig

NOTHING = Split((), (), ())
FEW = 3  # groups, of which none can be spared


def frames_of(split: Split) -> Iterator[Frame]:
    """All frames: of training, validation, test."""
    for part in SPLITS:
        yield from getattr(split, part)


def divided(frames: Sequence[Frame], config: SplitConfig) -> Split:
    """Training, validation and test frames; whatever is too little to divide is trained on.

    Args:
        frames: of one head.
        config: how they are divided.
    """
    if (len(frames) if config.by == "frame" else len({frame.group for frame in frames})) <= FEW:
        return Split(tuple(frames), (), ())
    return split_frames(
        frames, validation=config.validation, test=config.test, seed=config.seed, by=config.by
    )


def without_repeats(sources: Sequence[Split], digest: Callable[[Frame], str]) -> list[Split]:
    """Each source without what another has, so that every structure is there once.

    What is kept aside anywhere is trained on nowhere. Of several copies on one side, that of the earlier
    source stays, and within a source that of the test frames.

    Args:
        sources: frames of one head; those with the better labels first.
        digest: equal for structures that are the same.
    """
    kept: list[dict[str, tuple[Frame, ...]]] = [{} for _ in sources]
    seen: set[str] = set()
    for side in (("test", "validation"), ("train",)):
        for found, source in zip(kept, sources, strict=True):
            for part in side:
                found[part] = tuple(_new(getattr(source, part), seen, digest))
    return [Split(**found) for found in kept]


def joined(sources: Sequence[Split]) -> Split:
    """The frames of all sources, part by part."""
    return Split(**{part: tuple(f for s in sources for f in getattr(s, part)) for part in SPLITS})


def _new(frames: Sequence[Frame], seen: set[str], digest: Callable[[Frame], str]) -> Iterator[Frame]:
    for frame in frames:
        key = digest(frame)
        if key not in seen:
            seen.add(key)
            yield frame
