from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from crossfield.errors import InputError
from crossfield.train.config import SamplingConfig
from crossfield.train.sampler import Sampler, head_shares

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
    with pytest.raises(InputError, match=r"needs sampling\.kind=ratios"):
        sampler(ratios={"a": 1, "b": 1, "c": 1})
