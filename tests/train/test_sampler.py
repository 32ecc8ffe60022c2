from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from crossfield.errors import InputError
from crossfield.train.sampler import Sampler, head_shares
from crossfield.train.sections import SamplingConfig

COUNTS = {"a": 50, "b": 9, "c": 2}
HEADS = np.repeat([0, 1, 2], list(COUNTS.values()))


def sampler(*, steps: int | None = None, seed: int = 0, batch_size: int = 7, **config: object) -> Sampler:
    shares = head_shares(SamplingConfig.model_validate(config), COUNTS)
    return Sampler(HEADS, shares, batch_size=batch_size, seed=seed, steps=steps)


def drawn(s: Sampler, *epochs: int) -> list[int]:
    return [int(i) for e in epochs for batch in s.epoch(e) for i in batch]


def test_proportional_draws_every_frame_once_per_epoch() -> None:
    s = sampler()
    assert s.steps == len(s.epoch(0)) == 9
    for epoch in range(4):
        assert sorted(drawn(s, epoch)) == list(range(61))
    assert [len(batch) for batch in s.epoch(0)] == [7] * 8 + [5]


@pytest.mark.parametrize(
    ("config", "share"),
    [
        ({"kind": "uniform"}, [1 / 3, 1 / 3, 1 / 3]),
        ({"kind": "temperature", "temperature": 2.0}, np.sqrt([50, 9, 2]) / np.sqrt([50, 9, 2]).sum()),
        ({"kind": "temperature", "temperature": 1.0}, np.array([50, 9, 2]) / 61),
        ({"kind": "ratios", "ratios": {"c": 5, "a": 3, "b": 2}}, [0.3, 0.2, 0.5]),
    ],
)
def test_shares_are_respected(config: dict[str, object], share: list[float]) -> None:
    s = sampler(**config)
    for epoch in (0, 1, 7):
        count = Counter(HEADS[drawn(s, epoch)])
        assert sum(count.values()) == 61
        for head in range(3):
            assert abs(count[head] - 61 * share[head]) < 1


@pytest.mark.parametrize(
    ("config", "replayed", "share"),
    [
        ({}, {"a", "b"}, [0.5 * 50**0.5 / (50**0.5 + 3), 0.5 * 3 / (50**0.5 + 3), 0.5]),
        ({"new": 0.2, "temperature": 1.0}, {"a", "b"}, [0.8 * 50 / 59, 0.8 * 9 / 59, 0.2]),
        ({"new": 0.75, "temperature": 1e9}, {"a"}, [0.25, 0.375, 0.375]),
        ({"temperature": 1.0}, set(), np.array([50, 9, 2]) / 61),  # nothing is replayed
        ({"temperature": 1.0}, {"a", "b", "c"}, np.array([50, 9, 2]) / 61),  # nothing is new
    ],
)
def test_balanced_gives_new_heads_their_share(
    config: dict[str, object], replayed: set[str], share: list[float]
) -> None:
    """However few frames they have, and however many are replayed."""
    balanced = SamplingConfig.model_validate({"kind": "balanced", **config})
    assert head_shares(balanced, COUNTS, replayed) == pytest.approx(list(share), rel=1e-6)


@pytest.mark.parametrize("kind", ["proportional", "uniform", "temperature", "balanced", "ratios"])
def test_heads_without_frames_are_never_drawn(kind: str) -> None:
    """First, last or in between: they have no share, and the others have theirs as if alone."""
    counts = {"none": 0, "a": 50, "nor here": 0, "b": 9, "c": 2, "nothing": 0}
    ratios = {"ratios": {"a": 2, "b": 1, "c": 1}} if kind == "ratios" else {}
    config = SamplingConfig.model_validate({"kind": kind, **ratios})
    replayed = {"none", "a", "nor here"}
    shares = head_shares(config, counts, replayed)
    assert [shares[k] for k in (0, 2, 5)] == [0.0, 0.0, 0.0]
    assert [shares[k] for k in (1, 3, 4)] == pytest.approx(head_shares(config, COUNTS, {"a"}), rel=1e-12)
    of_head = np.repeat(np.arange(6), list(counts.values()))
    s = Sampler(of_head, shares, batch_size=7, seed=0)
    for epoch in range(3):
        found = Counter(of_head[drawn(s, epoch)])
        assert set(found) == {1, 3, 4}
        assert sum(found.values()) == 61


def test_replayed_heads_alone_without_frames_change_nothing() -> None:
    config = SamplingConfig(kind="balanced", temperature=1.0)
    assert head_shares(config, {"old": 0, "new": 7}, {"old"}) == [0.0, 1.0]


def test_ratios_are_of_heads_with_frames() -> None:
    counts = {"kept": 0, "a": 3, "b": 5}
    config = SamplingConfig(kind="ratios", ratios={"a": 1, "b": 3})
    assert head_shares(config, counts) == [0.0, 0.25, 0.75]
    with pytest.raises(InputError, match=r"unknown head 'kept' \(with frames: a, b\)"):
        head_shares(SamplingConfig(kind="ratios", ratios={"a": 1, "b": 3, "kept": 1}), counts)


@pytest.mark.parametrize("kind", ["uniform", "temperature"])
def test_nothing_is_dropped_and_nothing_repeated_early(kind: str) -> None:
    """Within a head, counts of frames never differ by more than one, however far the run is."""
    s = sampler(kind=kind)
    seen: Counter[int] = Counter()
    for epoch in range(12):
        seen.update(drawn(s, epoch))
        for head in range(3):
            counts = [seen[int(i)] for i in np.flatnonzero(np.equal(HEADS, head))]
            assert max(counts) - min(counts) <= 1
    assert min(seen[i] for i in range(61)) >= 1


def test_rare_head_is_never_lost() -> None:
    s = sampler(kind="ratios", ratios={"a": 1e6, "b": 1, "c": 1})
    assert {0, 1, 2} == set(HEADS[drawn(s, 0)])


def test_batches_mix_heads_evenly() -> None:
    s = sampler(kind="ratios", ratios={"a": 2, "b": 1, "c": 1}, batch_size=8, steps=50)
    for batch in s.epoch(3):
        count = Counter(HEADS[batch])
        assert abs(count[0] - 4) <= 2
        assert abs(count[1] - 2) <= 2
        assert abs(count[2] - 2) <= 2


def test_stated_steps() -> None:
    s = sampler(steps=3)
    assert s.steps == 3
    assert [len(batch) for batch in s.epoch(5)] == [7, 7, 7]
    seen = Counter(drawn(s, *range(12)))
    assert len(seen) == 61


def test_pure_function_of_seed_and_epoch() -> None:
    first, second = sampler(kind="uniform"), sampler(kind="uniform")
    second.epoch(0)
    assert drawn(first, 4) == drawn(second, 4)
    assert drawn(first, 4) != drawn(first, 5)
    assert drawn(first, 4) != drawn(sampler(kind="uniform", seed=1), 4)


def test_ratios_are_checked() -> None:
    with pytest.raises(InputError, match=r"unknown head 'aa'; did you mean 'a'"):
        sampler(kind="ratios", ratios={"aa": 1, "a": 1, "b": 1, "c": 1})
    with pytest.raises(InputError, match="no ratio for b, c"):
        sampler(kind="ratios", ratios={"a": 1})
