"""The report on what every head could do before, and what it can now."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.data import chemical_symbols
from rich.console import Console

from crossfield.data.frame import Frame
from crossfield.data.split import Split
from crossfield.heads import head_masks
from crossfield.inference import Potential
from crossfield.model.model import Model
from crossfield.train import Config, crossed, train
from crossfield.train.forgetting import (
    Change,
    Forgetting,
    _interval,
    change_table,
    forgetting,
    matrix_table,
)
from crossfield.train.head_data import HeadData
from crossfield.train.sections import ForgettingConfig
from crossfield.train.setup import Setup, prepare
from crossfield.zoo import checkpoint

Finetune = Callable[..., Config]


@pytest.fixture
def setup(finetune: Finetune) -> Setup:
    return prepare(finetune("training.precision=64-true"))


def disturbed(model: Model, size: float = 0.3) -> Model:
    """Another model, near or far."""
    found = deepcopy(model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter += size * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return found


def report_on(setup: Setup, after: Model, *, batch_size: int = 3, **config: object) -> Forgetting:
    settings = ForgettingConfig.model_validate({"resamples": 200, **config})
    return forgetting(setup.model, after, setup.heads, settings, batch_size=batch_size, seed=0)


def plain_errors(model: Model, head: str, frames: Sequence[Frame]) -> dict[str, float]:
    """MAE by way of ASE and plain torch, one structure after the other."""
    potential = Potential(model, head, backend="reference")
    off: dict[str, list[float]] = {"energy": [], "forces": [], "stress": []}
    for frame in frames:
        atoms = Atoms([chemical_symbols[z] for z in frame.Z], frame.positions, cell=frame.cell, pbc=frame.pbc)
        (result,) = potential.predict([atoms])
        if frame.energy is not None:
            off["energy"].append(abs(result.energy - frame.energy) / len(atoms))
        if frame.forces is not None:
            off["forces"] += np.abs(result.forces - frame.forces).ravel().tolist()
        if frame.stress is not None:
            off["stress"] += np.abs(result.stress - frame.stress).ravel().tolist()
    return {name: float(np.mean(values)) for name, values in off.items() if values}


def test_errors_are_those_of_a_plain_recomputation(setup: Setup) -> None:
    """Before and after, of the frames kept aside of every head, and of the labels that these have."""
    setup = with_gaps(setup)
    after = disturbed(setup.model)
    report = report_on(setup, after)
    compared = 0
    for h in setup.heads:
        frames = aside(h)
        before_errors, after_errors = (
            plain_errors(deepcopy(m), h.head.name, frames) for m in (setup.model, after)
        )
        changes = {c.quantity: c for c in report.changes if c.head == h.head.name}
        assert set(changes) == set(before_errors)
        for name, change in changes.items():
            assert change.before == pytest.approx(before_errors[name], rel=1e-9, abs=1e-13)
            assert change.after == pytest.approx(after_errors[name], rel=1e-9)
            assert change.frames == sum(getattr(f, name) is not None for f in frames)
            low, high = change.interval
            assert low <= change.after - change.before <= high
            assert low < high
            compared += 1
    assert compared == 9
    assert max(c.after for c in report.changes) > 2 * max(c.before for c in report.changes)


def aside(h: HeadData) -> list[Frame]:
    return [*h.frames.validation, *h.frames.test]


def without_aside(setup: Setup, *heads: str) -> Setup:
    """All frames of these heads are trained on."""
    changed = [
        replace(h, frames=Split((*h.frames.train, *aside(h)), (), ())) if h.head.name in heads else h
        for h in setup.heads
    ]
    return replace(setup, heads=tuple(changed))


def with_gaps(setup: Setup) -> Setup:
    """One validation frame of each head without energy, another without forces."""
    heads = []
    for h in setup.heads:
        first, second, *rest = h.frames.validation
        frames = (replace(first, energy=None), replace(second, forces=None, stress=None), *rest)
        heads.append(replace(h, frames=replace(h.frames, validation=frames)))
    return replace(setup, heads=tuple(heads))


def test_the_size_of_batches_does_not_matter(setup: Setup) -> None:
    after = disturbed(setup.model)
    one, other = (report_on(setup, after, batch_size=n) for n in (1, 1000))
    for a, b in zip(one.changes, other.changes, strict=True):
        assert a.before == pytest.approx(b.before, rel=1e-9, abs=1e-13)
        assert a.interval == pytest.approx(b.interval, rel=1e-6, abs=1e-12)


def test_heads_answer_for_each_other_in_the_matrix(setup: Setup) -> None:
    """The diagonal is what the heads say of their own frames; heads without frames answer, too."""
    setup = without_aside(setup, "metals")
    after = disturbed(setup.model, 0.1)
    report = report_on(setup, after)
    assert report.answers == ("metals", "clusters", "alloys")
    assert {c.head for c in report.changes} == {"clusters", "alloys"}
    quantities = {
        h.head.name: [r.quantity for r in report.matrix if r.head == h.head.name] for h in setup.heads
    }
    assert quantities == {"metals": [], "clusters": ["forces", "stress"], "alloys": ["forces", "stress"]}
    checked = 0
    for row in report.matrix:
        # forces and stress do not depend on E0, which not every head has for all elements
        frames = aside(next(h for h in setup.heads if h.head.name == row.head))
        for model, found in ((setup.model, row.before), (after, row.after)):
            for name, error in zip(report.answers, found, strict=True):
                known = set(next(head.E0 for head in after.heads if head.name == name))
                if all({int(Z) for Z in f.Z} <= known for f in frames):
                    expected = plain_errors(deepcopy(model), name, frames)[row.quantity]
                    assert error == pytest.approx(expected, rel=1e-9, abs=1e-12)
                    checked += 1
        own = next(c for c in report.changes if (c.head, c.quantity) == (row.head, row.quantity))
        column = report.answers.index(row.head)
        assert (row.before[column], row.after[column]) == pytest.approx((own.before, own.after), abs=1e-12)
        assert row.own_answers == own.own_answers == (row.head == "clusters")
        assert len({round(x, 9) for x in row.after}) == 3
        assert np.isfinite([*row.before, *row.after]).all()
    assert checked >= 8


def test_of_many_frames_the_matrix_has_some_of_all_regions(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossed, "MOST", 3)
    report = report_on(setup, setup.model)
    assert {row.frames for row in report.matrix} == {3}
    assert [list(crossed._few(n)) for n in (1, 2, 3, 5, 100)] == [
        [0],
        [0, 1],
        [0, 1, 2],
        [0, 2, 4],
        [0, 50, 99],
    ]


def test_labels_and_answers_are_kept_apart(finetune: Finetune, data_folder: Path) -> None:
    """A small drift must not hide a large error, nor the reverse."""
    replay = {"metals": {"data": str(data_folder / "metals.xyz")}, "clusters": {"bundled": False}}
    setup = prepare(finetune("training.precision=64-true", replay=replay))
    after = disturbed(setup.model)
    report = report_on(setup, after, tolerance=0.1)
    frames = aside(setup.heads[0])
    assert not setup.heads[0].own_answers
    for own in (False, True):
        some = [f for f in frames if (Path(f.file).name == "alloys.xyz") == own]
        assert some
        was, now = (plain_errors(deepcopy(m), "metals", some) for m in (setup.model, after))
        changes = {c.quantity: c for c in report.changes if (c.head, c.own_answers) == ("metals", own)}
        assert set(changes) == {"energy", "forces", "stress"}
        for name, change in changes.items():
            assert change.frames == len(some)
            assert change.before == pytest.approx(was[name], rel=1e-9, abs=1e-12)
            assert change.after == pytest.approx(now[name], rel=1e-9)
            assert change.allowed is not None
            if not own:
                assert change.allowed == pytest.approx(1.1 * was[name])
        assert (changes["forces"].before < 1e-6) == own
    told = [name for name in report.as_dict()["worse"] if name.startswith("metals: forces")]
    assert told == ["metals: forces", "metals: forces (drift from its own answers)"]
    rows = [(row.head, row.own_answers) for row in report.matrix if row.quantity == "forces"]
    assert rows == [("metals", False), ("metals", True), ("clusters", True), ("alloys", False)]


def test_heads_without_frames_are_in_the_report(setup: Setup, console: Console) -> None:
    """As not compared, or, where nothing of them has changed, as unchanged."""
    setup = without_aside(setup, "metals", "clusters")
    after = deepcopy(setup.model)
    report = report_on(setup, after)
    assert (report.unchanged, report.not_compared) == (("metals", "clusters"), ())
    masks = head_masks(after, ["metals"])
    with torch.no_grad():  # the readout of one head alone
        for name, parameter in after.named_parameters():
            if name in masks:
                parameter += 1e-9 * masks[name]
    report = report_on(setup, after)
    assert (report.unchanged, report.not_compared) == (("clusters",), ("metals",))
    assert {c.head for c in report.changes} == {"alloys"}
    written = report.as_dict()
    assert (written["unchanged"], written["not_compared"]) == (["clusters"], ["metals"])
    console.print(change_table(report))
    rows = [line.split() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert ["metals", "not", "compared:", "no", "frames", "0", *"----"] in rows
    assert ["clusters", "unchanged,", "bit", "for", "bit", "0", *"----"] in rows


def test_a_model_that_answers_with_nan_has_got_worse(setup: Setup, console: Console) -> None:
    after = deepcopy(setup.model)
    with torch.no_grad():
        for parameter in after.readouts.parameters():
            parameter.fill_(float("nan"))
    report = report_on(setup, after)
    judged = {(c.head, c.quantity) for c in report.changes if c.head != "alloys"}
    assert {(c.head, c.quantity) for c in report.worse} == judged
    assert len(judged) == 6
    console.print(change_table(report), matrix_table(report))
    assert "nan" in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_table_says_what_is_drift(setup: Setup, console: Console) -> None:
    report = report_on(setup, disturbed(setup.model, 0.1))
    console.print(change_table(report), matrix_table(report))
    said = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "clusters * energy meV/atom" in said
    assert "metals energy meV/atom" in said
    assert "how far the head has drifted from them, not its error, and 5 % of the spread" in said
    alone = replace(report, changes=tuple(c for c in report.changes if not c.own_answers))
    assert change_table(alone).caption is None


def test_an_unchanged_model_has_forgotten_nothing(setup: Setup) -> None:
    report = report_on(setup, deepcopy(setup.model))
    assert report.worse == []
    for change in report.changes:
        assert change.after == change.before
        assert change.interval == (0.0, 0.0)


def test_a_disturbed_model_has(setup: Setup) -> None:
    """Old heads that got worse are named; a new one is not judged, whatever becomes of it."""
    report = report_on(setup, disturbed(setup.model))
    worse = {(c.head, c.quantity) for c in report.worse}
    assert {("metals", "forces"), ("clusters", "energy"), ("clusters", "forces")} <= worse
    assert not [head for head, _ in worse if head == "alloys"]
    assert all((c.allowed is None) == (c.head == "alloys") for c in report.changes)


def test_tolerance_is_of_the_error_or_of_the_spread_of_own_answers(setup: Setup) -> None:
    report = report_on(setup, setup.model, tolerance=0.2)
    changes = {(c.head, c.quantity): c for c in report.changes}
    true = changes["metals", "forces"]
    assert not true.own_answers
    assert true.allowed == pytest.approx(1.2 * true.before)
    own = changes["clusters", "forces"]
    assert own.own_answers
    clusters = setup.heads[1].frames
    sizes = np.concatenate(
        [np.abs(f.forces).ravel() for f in (*clusters.validation, *clusters.test) if f.forces is not None]
    )
    assert own.before < 1e-9
    assert own.allowed == pytest.approx(own.before + 0.2 * max(sizes.mean(), 0.01), rel=1e-6)


def test_worse_is_more_than_what_is_allowed() -> None:
    def change(after: float, allowed: float | None) -> Change:
        return Change("a", "replayed", "forces", 3, 0.1, after, (0.0, 0.1), allowed, own_answers=False)

    assert not change(0.105, 0.105).worse
    assert change(0.1051, 0.105).worse
    assert change(float("nan"), 0.105).worse
    assert not change(9.0, None).worse
    assert not change(0.05, 0.105).worse


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Paired differences of known mean, of frames with different numbers of labels."""
    covered, runs, truth = 0, 200, 0.3
    for seed in range(runs):
        random = np.random.default_rng(seed)
        labels = random.integers(2, 9, size=40).astype(float)
        size = random.exponential(5.0, size=40)  # large, but the same before and after
        change = truth + 0.4 * random.normal(size=40)
        before = np.stack([labels * size, labels], axis=1)
        after = np.stack([labels * (size + change), labels], axis=1)
        low, high = _interval(before, after, 400, seed)
        assert high - low < 0.5
        covered += low <= truth <= high
    assert 0.88 <= covered / runs <= 0.99


def test_frames_without_a_label_do_not_break_the_interval() -> None:
    before = np.array([[1.0, 1.0]] + [[0.0, 0.0]] * 30)
    after = before * [2.0, 1.0]
    assert _interval(before, after, 300, 0) == pytest.approx((1.0, 1.0))


def test_a_forgetful_run_says_so_everywhere(finetune: Finetune, console: Console) -> None:
    """Large steps, and nothing replayed: in the result, in words, in the file."""
    config = finetune(
        "training.learning_rate=0.1", "training.clip=null", "schedule.kind=constant", replay="off"
    )
    result = train(config, console=console)
    assert result.forgot
    assert result.forgetting is not None
    assert {c.head for c in result.forgetting.worse} >= {"metals"}
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "head metals has got worse in forces than forgetting.tolerance (5 %) allows" in said
    written = json.loads((result.folder / "forgetting.json").read_text())
    assert written == json.loads(json.dumps(result.forgetting.as_dict()))
    assert "metals: forces (drift from its own answers)" in written["worse"]
    assert written["units"]["forces"] == "eV/Å"
    heads = {"metals", "clusters", "alloys"}
    assert {row["frames_of"] for row in written["matrix"] if row["quantity"] == "forces"} == heads
    assert all(set(row[when]) == heads for row in written["matrix"] for when in ("before", "after"))
    assert (written["unchanged"], written["not_compared"]) == ([], [])
    # the model it speaks of is the one in the file
    after = checkpoint.load(result.checkpoint)
    frames = [f for f, h in zip(result.test_set.frames, result.test_set.heads, strict=True) if h == 0]
    change = next(c for c in result.forgetting.changes if (c.head, c.quantity) == ("metals", "forces"))
    assert change.after == pytest.approx(plain_errors(after, "metals", frames)["forces"], rel=1e-3)
    # and before is before: answers of the base were its own
    assert change.before < 1e-5

    again = train(config, resume=True, console=console)
    assert again.forgetting is not None
    assert again.forgetting.as_dict() == result.forgetting.as_dict()


def test_a_gentle_run_has_forgotten_nothing(finetune: Finetune, console: Console) -> None:
    result = train(finetune("training.learning_rate=1e-6"), console=console)
    assert not result.forgot
    assert result.forgetting is not None
    assert {c.head for c in result.forgetting.changes} == {"metals", "clusters", "alloys"}
    assert "has got worse" not in console.file.getvalue()  # type: ignore[attr-defined]
    assert json.loads((result.folder / "forgetting.json").read_text())["worse"] == []


def test_heads_beside_one_whose_readout_alone_is_trained_are_unchanged(
    finetune: Finetune, console: Console
) -> None:
    """In the file that was written, which is what is compared."""
    result = train(finetune("adapt.kind=heads", "training.epochs=1", replay=None), console=console)
    assert result.forgetting is not None
    assert result.forgetting.unchanged == ("metals", "clusters")
    assert result.forgetting.not_compared == ()
    written = json.loads((result.folder / "forgetting.json").read_text())
    assert written["unchanged"] == ["metals", "clusters"]
    assert "unchanged, bit for bit" in console.file.getvalue()  # type: ignore[attr-defined]


def test_without_a_base_there_is_nothing_to_forget(
    configure: Callable[..., Config], console: Console
) -> None:
    result = train(configure("training.epochs=1"), console=console)
    assert result.forgetting is None
    assert not result.forgot
    assert not (result.folder / "forgetting.json").exists()


def test_without_labels_of_forces_there_is_no_row_of_them(
    finetune: Finetune, data_folder: Path, tmp_path: Path, console: Console
) -> None:
    """A head that is taught energies alone has no row of forces."""
    frames = ase.io.read(data_folder / "alloys.xyz", ":")
    for atoms in frames:
        atoms.info.update(energy=atoms.get_potential_energy())
        atoms.calc = None
    ase.io.write(tmp_path / "energies.xyz", frames, format="extxyz")
    source = {"files": [str(tmp_path / "energies.xyz")], "keys": {"forces": None, "stress": None}}
    config = finetune("training.epochs=1", heads={"alloys": {"theory": "emt_scaled", "data": source}})
    result = train(config, console=console)
    written = json.loads((result.folder / "forgetting.json").read_text())
    assert "alloys" not in {row["frames_of"] for row in written["matrix"]}
    assert {c["quantity"] for c in written["changes"] if c["head"] == "alloys"} == {"energy"}
