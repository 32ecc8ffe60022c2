from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfield.data.frame import Frame
from crossfield.data.split import ENOUGH, Split, split_frames
from crossfield.errors import InputError
from tests.data.frames import frame

# group sizes; all of water, so that elements restrict nothing
sizes = st.lists(st.integers(1, 20), min_size=3, max_size=25)
fractions = st.floats(0.0, 0.45)


def sets(counts: Sequence[int], symbols: Sequence[str] = "OHH") -> list[Frame]:
    return [frame(symbols, group=f"g{g}", index=100 * g + k) for g, n in enumerate(counts) for k in range(n)]


def parts(split: Split) -> list[tuple[Frame, ...]]:
    return [split.train, split.validation, split.test]


@given(sizes, fractions, fractions, st.integers(0, 5))
def test_a_partition_of_whole_groups(counts: list[int], validation: float, test: float, seed: int) -> None:
    frames = sets(counts)
    split = split_frames(frames, validation=validation, test=test, seed=seed)
    assert sorted(f.index for part in parts(split) for f in part) == [f.index for f in frames]
    train, held, tested = ({f.group for f in part} for part in parts(split))
    assert not train & held
    assert not train & tested
    assert not held & tested
    assert train
    assert bool(held) == (validation > 0)
    assert bool(tested) == (test > 0)


@given(sizes, fractions, st.integers(0, 5))
def test_sizes_are_near_the_fractions(counts: list[int], test: float, seed: int) -> None:
    """No group that could be spared is missing, or too many, by more than half its size."""
    split = split_frames(sets(counts), validation=0, test=test, seed=seed)
    target = test * sum(counts)
    off = abs(len(split.test) - target)
    alone = {f.group for f in split.test}
    smallest = len(alone) == 1 and len(split.test) == min(counts)
    # all frames have the same elements, which must stay in so many groups
    none_to_spare = len(split.test) < target and len({f.group for f in split.train}) == ENOUGH
    assert off <= max(counts) / 2 or smallest or none_to_spare


@pytest.mark.parametrize("seed", range(6))
def test_elements_stay_in_two_groups_though_a_fraction_suffers(seed: int) -> None:
    split = split_frames(sets([1, 1, 6, 6]), validation=0, test=0.375, seed=seed)
    assert len({f.group for f in split.train}) >= ENOUGH


@given(sizes, st.integers(0, 5))
def test_every_fraction_gets_a_group(counts: list[int], seed: int) -> None:
    """The first set leaves a group for the second, however small the groups are."""
    split = split_frames(sets(counts), validation=0.2, test=0.4, seed=seed)
    assert all(parts(split))
    with pytest.raises(InputError, match="2 groups cannot make 3 sets"):
        split_frames(sets(counts[:2]), validation=0.2, test=0.4, seed=seed)


@given(sizes, st.integers(0, 5), st.randoms())
def test_the_order_of_frames_does_not_matter(counts: list[int], seed: int, shuffle: random.Random) -> None:
    frames = sets(counts)
    shuffled = list(frames)
    shuffle.shuffle(shuffled)
    one = split_frames(frames, validation=0.2, test=0.2, seed=seed)
    two = split_frames(shuffled, validation=0.2, test=0.2, seed=seed)
    for a, b in zip(parts(one), parts(two), strict=True):
        assert {f.index for f in a} == {f.index for f in b}


def test_the_split_is_the_same_on_every_machine() -> None:
    split = split_frames(sets([5] * 10), validation=0.2, test=0.2, seed=0)
    assert sorted({f.group for f in split.test}) == ["g0", "g1"]
    assert sorted({f.group for f in split.validation}) == ["g6", "g8"]


def test_the_seed_matters() -> None:
    frames = sets([3] * 20)
    tests = {
        tuple(f.index for f in split_frames(frames, validation=0, test=0.2, seed=s).test) for s in range(8)
    }
    assert len(tests) == 8


@given(st.lists(st.sets(st.sampled_from("HCNOFS"), min_size=1, max_size=3), min_size=3, max_size=12))
def test_elements_of_the_test_are_in_training(compositions: list[set[str]]) -> None:
    frames = [frame(sorted(c), group=f"g{k}", index=k) for k, c in enumerate(compositions)]
    # else the elements alone may make three sets impossible
    frames += [frame("HCNOFS", group=f"all{k}", index=100 + k) for k in range(3)]
    split = split_frames(frames, validation=0.2, test=0.2, seed=1)
    learnt = {z for f in split.train for z in f.Z}
    assert {z for f in (*split.validation, *split.test) for z in f.Z} <= learnt


def test_a_lone_element_stays_in_training() -> None:
    frames = sets([4] * 9) + [frame(["Xe"], group="xenon", index=k) for k in range(30)]
    for seed in range(10):
        split = split_frames(frames, validation=0.2, test=0.2, seed=seed)
        assert sum(f.group == "xenon" for f in split.train) == 30


def test_one_group_cannot_be_split_but_by_frame() -> None:
    frames = sets([20])
    with pytest.raises(InputError, match=r"all 20 frames are one group \(g0\).*split by frame"):
        split_frames(frames, validation=0.1, test=0, seed=0)
    split = split_frames(frames, validation=0.1, test=0.2, seed=0, by="frame")
    assert [len(part) for part in parts(split)] == [14, 2, 4]
    assert len(split_frames(frames, validation=0, test=0, seed=0).train) == 20


def test_equal_structures_stay_together_by_frame() -> None:
    frames = [frame("OHH", index=k // 2) for k in range(40)]  # the index moves the atoms
    split = split_frames(frames, validation=0.2, test=0.2, seed=3, by="frame")
    train, held, tested = ({f.index for f in part} for part in parts(split))
    assert not train & held
    assert not train & tested
    assert not held & tested


def test_tiny_sets_get_their_smallest_group() -> None:
    frames = sets([10, 8, 9])
    split = split_frames(frames, validation=0.05, test=0.0, seed=0)
    assert {f.group for f in split.validation} == {"g1"}
    lone = [frame([symbol], group=symbol) for symbol in "HCN"]
    with pytest.raises(InputError, match="no group can be set aside for validation"):
        split_frames(lone, validation=0.3, test=0.0, seed=0)


@pytest.mark.parametrize(("validation", "test"), [(-0.1, 0.1), (0.1, 1.0), (0.5, 0.5), (float("nan"), 0.1)])
def test_impossible_fractions(validation: float, test: float) -> None:
    with pytest.raises(InputError):
        split_frames(sets([3, 3]), validation=validation, test=test, seed=0)
    with pytest.raises(InputError, match="no frames"):
        split_frames([], validation=0.1, test=0.1, seed=0)
