"""What is chosen follows from structures and seed, and what is left out is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from pydantic import ValidationError

from crossfield.data.frame import Frame
from crossfield.errors import InputError
from crossfield.replay import SelectionConfig, select
from crossfield.replay.drawing import candidates, draw_stratified, shares, strata
from tests.data.frames import frame
from tests.replay.frames import awkward_frames

METHODS = ("random", "stratified", "farthest")


def many(count: int = 60) -> list[Frame]:
    """Chains of a few compositions and sizes, each other by a little."""
    kinds = (["H", "H"], ["O", "H", "H"], ["C", "O"], ["Cu"] * 3, ["H"] * 9, ["O", "H", "H"] * 3, ["Xe"])
    return [frame(kinds[(k + k // 5) % 7], index=k) for k in range(count)]


def features(frames: Sequence[Frame]) -> np.ndarray:
    """Descriptors that follow from the structure alone."""
    return np.array([[f.Z.mean(), f.Z.std(), f.num_atoms, 50 * f.positions[0, 0]] for f in frames])


def chosen(frames: Sequence[Frame], **settings: object) -> list[int]:
    """Frame numbers of what is selected."""
    found = select(frames, SelectionConfig.model_validate(settings), descriptors=features)
    return sorted(frames[k].index for k in found.indices)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_frames_does_not_matter(method: str) -> None:
    frames = many()
    expected = chosen(frames, method=method, count=20)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(frames))
        assert chosen([frames[k] for k in order], method=method, count=20) == expected


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides(method: str) -> None:
    frames = many()
    once, again, other = (chosen(frames, method=method, count=20, seed=s) for s in (1, 1, 2))
    assert once == again != other
    assert len(once) == 20


def test_indices_ascend_and_differ() -> None:
    found = select(many(), SelectionConfig(method="random", count=30))
    assert list(found.indices) == sorted(set(found.indices))
    assert found.record.chosen == 30


@pytest.mark.parametrize("method", [*METHODS, "all"])
def test_all_of_them_need_no_choice(method: str) -> None:
    """Descriptors, which take long, are not asked for."""
    frames = many(12)
    for count in (None,) if method == "all" else (None, 12, 500):
        found = select(frames, SelectionConfig(method=method, count=count))
        assert found.indices == tuple(range(12))
    if method != "all":
        assert "500 structures were asked for, and there are only 12" in found.record.lines()


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ("none", "OHH CO O HH COH OHCu Cu"),
        ("combinations", "OHH O HH"),
        ("inclusive", "OHH COH OHCu"),
        ("exclusive", "OHH"),
    ],
)
def test_filters_relate_elements_to_those_of_new_data(relation: str, expected: str) -> None:
    names = {"OHH": "O H H", "CO": "C O", "O": "O", "HH": "H H", "COH": "C O H", "OHCu": "O H Cu", "Cu": "Cu"}
    frames = [frame(symbols.split(), index=k) for k, symbols in enumerate(names.values())]
    found = select(frames, SelectionConfig(elements=relation), elements={1, 8})
    assert [list(names)[k] for k in found.indices] == expected.split()
    record = found.record
    assert (record.given, record.fitting, record.chosen) == (7, len(found.indices), len(found.indices))
    gone = set(record.filtered_elements)
    assert gone == {"C", "Cu"} - {z for name in expected.split() for z in names[name].split()}


def test_elements_that_the_head_does_not_know_are_counted_and_said() -> None:
    frames = many(21)
    answered = {1, 6, 8}
    found = select(frames, SelectionConfig(method="random", count=5), answered=answered)
    assert all(set(frames[k].Z.tolist()) <= answered for k in found.indices)
    out = sum(not set(f.Z.tolist()) <= answered for f in frames)
    assert found.record.answered == 21 - out
    assert found.record.unanswered_elements == ("Cu", "Xe")
    assert found.record.lines()[0] == f"{out} of 21 structures left out: no reference energy for Cu Xe"


def test_elements_that_vanish_are_said() -> None:
    frames = [frame(["H", "H"], index=k) for k in range(40)] + [frame(["Xe"], index=40)]
    for seed in range(5):
        found = select(frames, SelectionConfig(method="random", count=2, seed=seed))
        lost = 40 not in found.indices
        assert found.record.lost_elements == (("Xe",) if lost else ())
        assert (found.record.lines()[-1] == "elements in no structure that was chosen: Xe") == lost
    assert select(frames, SelectionConfig(method="stratified", count=2)).record.lost_elements == ()


def test_equal_structures_are_not_drawn_together() -> None:
    """They have one digest, and lots that followed from it alone would be neighbours."""
    frames = [frame(["O", "H", "H"], index=7) for _ in range(50)] + [
        frame(["C", "O"], index=k) for k in range(50)
    ]
    for seed in range(20):
        found = select(frames, SelectionConfig(method="random", count=30, seed=seed))
        copies = sum(k < 50 for k in found.indices)
        assert 4 <= copies <= 26  # six standard deviations of 15


def test_farthest_takes_the_odd_ones_and_starts_by_the_seed() -> None:
    frames = [*(frame(["H", "H"], index=k) for k in range(30)), frame(["Xe"]), frame(["Cu"] * 9)]
    starts = set()
    for seed in range(8):
        found = select(frames, SelectionConfig(count=3, seed=seed), descriptors=features).indices
        assert {30, 31} < set(found)
        starts |= set(found)
    assert len(starts) > 4


def test_strata_are_of_composition_and_size() -> None:
    frames = [frame(s.split()) for s in ("H O H", "O H H", "H O H O H H", "O H", "H O H O H H H O H")]
    groups = strata(frames, candidates(frames, range(5), 0))
    assert {name: len(group) for name, group in groups.items()} == {
        "H2O, from 2 atoms": 2,
        "H2O, from 4 atoms": 1,
        "H2O, from 8 atoms": 1,
        "HO, from 2 atoms": 1,
    }


@pytest.mark.parametrize("sizes", [[1], [4, 4], [1, 1, 1, 100], [10_000, 100, 1], list(range(1, 40))])
def test_shares_follow_the_root_of_the_size(sizes: list[int]) -> None:
    for count in {len(sizes), len(sizes) + 1, sum(sizes) // 3, sum(sizes) - 1, sum(sizes)}:
        if not len(sizes) <= count <= sum(sizes):
            continue
        found = shares(sizes, count)
        assert sum(found) == count
        assert all(1 <= n <= size for n, size in zip(found, sizes, strict=True))
        free = [n / size**0.5 for n, size in zip(found, sizes, strict=True) if 1 < n < size]
        slack = [1 / size**0.5 for n, size in zip(found, sizes, strict=True) if 1 < n < size]
        assert not free or max(free) - min(free) <= 2 * max(slack)
    assert shares([10_000, 100, 1], 112) == [101, 10, 1]


def test_each_stratum_is_there_while_the_count_allows() -> None:
    frames = [frame(["O", "H", "H"], index=k) for k in range(80)]
    rare = ("C O", "Cu Cu Cu", "Xe", "H H")
    frames += [frame(s.split(), index=k) for k, s in enumerate(rare)]
    for seed in range(5):
        found = select(frames, SelectionConfig(method="stratified", count=10, seed=seed))
        assert set(found.indices) >= {80, 81, 82, 83}
        assert found.record.strata == 5


def test_with_fewer_places_than_strata_all_have_the_same_chance() -> None:
    frames = [frame(["O", "H", "H"], index=k) for k in range(80)] + [frame(["Xe"])]
    drawn: Counter[bool] = Counter()
    for seed in range(200):
        groups = strata(frames, candidates(frames, range(81), seed))
        (one,) = draw_stratified(groups, 1, seed)
        drawn[one.position == 80] += 1
    assert 60 <= drawn[True] <= 140  # 100 and more than five standard deviations


def test_the_record_holds_what_was_asked_and_found() -> None:
    config = SelectionConfig(method="random", count=4, elements="combinations", seed=9)
    record = select(many(30), config, elements={1, 8}, answered={1, 6, 8, 29}).record
    assert record.config == config
    assert record.new_elements == ("H", "O")
    assert record.given > record.answered > record.fitting > record.chosen == 4
    assert type(record).model_validate_json(record.model_dump_json()) == record


def test_structures_of_every_kind() -> None:
    """Slabs, wires and ions, and single atoms, two of which are in one place but for their charge."""
    frames = awkward_frames(3)
    found = select(frames, SelectionConfig(method="stratified", count=20))
    assert len(found.indices) == 20


@pytest.mark.parametrize(
    ("frames", "settings", "given", "message"),
    [
        ([], {}, {}, "there are no structures"),
        (many(9), {"count": 2}, {}, "'farthest' compares descriptors of a model"),
        (many(9), {"elements": "exclusive"}, {}, "compares with new data, and there are none"),
        (many(9), {}, {"answered": {2}}, "none of the 9 structures has reference energies for all its"),
        (
            many(9),
            {"elements": "inclusive"},
            {"elements": {2, 8}},
            "the elements of none of the 9 structures are inclusive of He O",
        ),
        (
            many(9),
            {"count": 2},
            {"descriptors": lambda f: np.zeros((3, 2))},
            "9 structures need as many rows",
        ),
        (many(9), {"count": 2}, {"descriptors": lambda f: np.zeros(9)}, "9 structures need as many rows"),
    ],
)
def test_refusals(frames: list[Frame], settings: dict, given: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        select(frames, SelectionConfig.model_validate(settings), **given)


def test_descriptors_that_are_not_finite_name_the_structure() -> None:
    frames = many(30)

    def broken(given: Sequence[Frame]) -> np.ndarray:
        found = features(given)
        found[[f.index for f in given].index(17)] = np.nan
        return found

    with pytest.raises(InputError, match=r"made\.xyz, frame 17: the descriptors of the model are not finite"):
        select(frames, SelectionConfig(count=3), descriptors=broken)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "best"},
        {"count": 0},
        {"count": -3},
        {"seed": -1},
        {"elements": "some"},
        {"number": 3},
        {"method": "all", "count": 3},
    ],
)
def test_settings_that_are_none(settings: dict) -> None:
    with pytest.raises(ValidationError):
        SelectionConfig.model_validate(settings)


def test_defaults() -> None:
    assert SelectionConfig().model_dump() == {
        "method": "farthest",
        "count": None,
        "elements": "none",
        "seed": 0,
    }
