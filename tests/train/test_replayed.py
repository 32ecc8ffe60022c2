"""What is replayed of the heads of a base, and with which labels."""

from __future__ import annotations

import itertools
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.data import chemical_symbols
from rich.console import Console

from crossfield.data.frame import Frame, Weights
from crossfield.data.read import read_source
from crossfield.data.source import Source
from crossfield.errors import InputError
from crossfield.inference import Potential
from crossfield.replay.fingerprint import structure_digest
from crossfield.theory import Theory
from crossfield.train import Config, train
from crossfield.train.head_data import HeadData
from crossfield.train.pool import Answer, Pool
from crossfield.train.setup import Setup, prepare
from crossfield.zoo import checkpoint

Finetune = Callable[..., Config]


def head(setup: Setup, name: str) -> HeadData:
    return next(h for h in setup.heads if h.head.name == name)


def every(h: HeadData) -> list[Frame]:
    return [*h.frames.train, *h.frames.validation, *h.frames.test]


def answers(base: Path, name: str, frames: Sequence[Frame]) -> list[Any]:
    """What a head of the base says of structures, by way of ASE and plain torch."""
    potential = Potential(checkpoint.load(base), name, backend="reference")
    atoms = [Atoms([chemical_symbols[z] for z in f.Z], f.positions, cell=f.cell, pbc=f.pbc) for f in frames]
    return potential.predict(atoms)


def test_by_default_every_head_is_replayed_with_its_own_answers(
    finetune: Finetune, base: Path, data_folder: Path
) -> None:
    """Of the structures that ship with the package, and of the new data: those the head can answer for."""
    setup = prepare(finetune(replay=None))
    alloys = every(head(setup, "alloys"))
    for name, elements in (("metals", {13, 29}), ("clusters", {10, 13, 29})):
        h = head(setup, name)
        frames = every(h)
        assert (h.role, h.own_answers, h.start) == ("replayed", True, None)
        files = Counter(Path(f.file).name.removeprefix("crossfield:") for f in frames)
        assert set(files) == {"crystals_pbe.xyz.gz", "surfaces_rpbe.xyz.gz", "alloys.xyz"}
        assert files["alloys.xyz"] == sum(79 not in f.Z for f in alloys) == 12
        assert {int(Z) for f in frames for Z in f.Z} <= elements
        for frame, result in zip(frames, answers(base, name, frames), strict=True):
            assert frame.theory == h.head.theory.name
            assert frame.energy == pytest.approx(result.energy, abs=1e-5 * frame.num_atoms)
            assert frame.forces == pytest.approx(result.forces, abs=1e-5)
            assert (frame.stress is None) == (not frame.pbc.all())
            if frame.stress is not None:
                assert frame.stress == pytest.approx(result.stress, abs=1e-6)
        assert max(np.abs(frame.forces).max() for frame in frames) > 1e-3  # type: ignore[type-var]


def test_molecules_have_no_stress(finetune: Finetune, base: Path) -> None:
    frames = every(head(prepare(finetune()), "clusters"))
    assert Counter((frame.stress is None, bool(frame.pbc.all())) for frame in frames) == {
        (True, False): 24,
        (False, True): 12,
    }


def test_new_structures_are_divided_as_they_are_for_the_new_head(finetune: Finetune) -> None:
    """What is kept aside there is kept aside here."""
    setup = prepare(finetune())
    new, old = head(setup, "alloys").frames, head(setup, "clusters").frames
    for part in ("train", "validation", "test"):
        of_new = {structure_digest(f) for f in getattr(new, part) if 79 not in f.Z}
        found = {structure_digest(f) for f in getattr(old, part) if f.file.endswith("alloys.xyz")}
        assert found == of_new
        assert found


def test_what_is_kept_aside_is_not_trained_on_in_another_file(
    finetune: Finetune, data_folder: Path, tmp_path: Path
) -> None:
    """The structures of the new data may be among those that are replayed."""
    copy = tmp_path / "copy.xyz"
    shutil.copy(data_folder / "alloys.xyz", copy)
    setup = prepare(finetune(replay={"metals": {"structures": str(copy)}}))
    frames = head(setup, "metals").frames
    trained = {structure_digest(f) for f in frames.train}
    assert not trained & {structure_digest(f) for f in (*frames.validation, *frames.test)}
    assert len(every(head(setup, "metals"))) == 12


def test_true_labels_are_those_of_the_file(finetune: Finetune, data_folder: Path) -> None:
    h = head(prepare(finetune()), "metals")
    assert not h.own_answers
    path = data_folder / "metals.xyz"
    read = read_source(Source(files=(path,)), Theory(name="emt")).frames
    labels = {f.index: (f.energy, f.forces.tolist(), f.stress.tolist()) for f in read}  # type: ignore[union-attr]
    found = {f.index: (f.energy, f.forces.tolist(), f.stress.tolist()) for f in every(h)}  # type: ignore[union-attr]
    assert found == labels
    assert set(h.files) == {str(path)}
    assert all(getattr(h.frames, part) for part in ("train", "validation", "test"))


def test_true_data_and_structures_together(finetune: Finetune, data_folder: Path) -> None:
    source = {"data": str(data_folder / "metals.xyz"), "structures": str(data_folder / "alloys.xyz")}
    h = head(prepare(finetune(replay={"metals": {**source, "own": False, "weight": 2.0}})), "metals")
    assert Counter(Path(f.file).name for f in every(h)) == {"metals.xyz": 14, "alloys.xyz": 12}
    assert h.weights == (2.0, 2.0, 2.0)


def test_true_data_outside_the_head_names_the_frame(finetune: Finetune, data_folder: Path) -> None:
    source = {"files": [str(data_folder / "alloys.xyz")], "check_units": False}
    with pytest.raises(InputError, match=r"alloys\.xyz, frame \d+: head 'metals': .* does not cover Au"):
        prepare(finetune(replay={"metals": {"data": source}}))


def test_weights_of_the_loss(finetune: Finetune) -> None:
    replay = {"clusters": {"bundled": False, "weight": 0.5, "weights": {"energy": 3.0, "stress": 0.0}}}
    setup = prepare(finetune("heads.alloys.weights={forces: 4}", replay=replay))
    assert head(setup, "clusters").weights == (1.5, 0.5, 0.0)
    assert head(setup, "alloys").weights == (1.0, 4.0, 1.0)


def test_one_system_is_divided_by_frame_where_asked(
    finetune: Finetune, data_folder: Path, tmp_path: Path
) -> None:
    """By group it cannot be divided: then all of it is trained on, and nothing can be said of it later."""
    path = tmp_path / "one.xyz"
    path.write_text(re.sub(r"system=\w+", "system=one", (data_folder / "metals.xyz").read_text()))
    replay = {"metals": {"data": str(path), "own": False}, "clusters": {"bundled": False}}
    by_group, by_frame = (
        head(prepare(finetune(f"split.by={by}", f"output={tmp_path / by}", replay=replay)), "metals").frames
        for by in ("group", "frame")
    )
    assert [len(part) for part in vars(by_group).values()] == [14, 0, 0]
    assert all(len(part) >= 3 for part in vars(by_frame).values())


def test_charges_that_a_head_cannot_answer_are_left_out_and_counted(
    finetune: Finetune, data_folder: Path, console: Console
) -> None:
    """Not taken for neutral ones, not an error: they are no structures that this head could forget."""
    heads = {"ions": {"theory": "ionic", "data": str(data_folder / "ions.xyz")}}
    config = finetune(
        "training.epochs=1",
        heads=heads,
        theories={"ionic": {"charge": "e"}},
        replay={"clusters": {"bundled": False}},
    )
    setup = prepare(config)
    assert Counter(f.charge for f in every(head(setup, "ions"))) == {0: 8, 1: 8}
    assert [f.charge for f in every(head(setup, "clusters"))] == [0] * 8
    train(config, console=console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "head clusters: 8 of 16 structures of the new data are not replayed" in said
    assert "only knows charge 0, not 1" in said


@pytest.mark.parametrize(
    ("replay", "message"),
    [
        ({"metal": {}}, r"replay\.metal: the base has no head 'metal'; did you mean 'metals'\?"),
        ({"zzz": {}}, r"replay\.zzz: the base has no head 'zzz' \(it has: metals, clusters\)"),
        ({"alloys": {}}, r"replay\.alloys: the base has no head 'alloys'"),
        ({"metals": {"data": "none.xyz"}}, r"none\.xyz.*(no such|cannot be read|No such)"),
    ],
)
def test_what_cannot_be_replayed(finetune: Finetune, replay: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare(finetune(replay=replay))


def test_a_head_is_not_replayed_and_trained(finetune: Finetune, data_folder: Path) -> None:
    heads = {"metals": {"data": str(data_folder / "metals.xyz")}}
    with pytest.raises(InputError, match=r"replay\.metals: this head is under `heads:`"):
        prepare(finetune(heads=heads, replay={"metals": {}}))


def test_nothing_to_replay_is_an_error(finetune: Finetune, data_folder: Path) -> None:
    """A filter that leaves nothing, and a head that knows none of the structures."""
    source = {"structures": str(data_folder / "clusters.xyz"), "own": False}
    with pytest.raises(InputError, match=r"head 'clusters': the elements of none of the 24 structures are"):
        prepare(finetune(replay={"clusters": {**source, "select": {"elements": "combinations"}}}))
    with pytest.raises(InputError, match=r"head 'metals': none of the 24 structures has reference energies"):
        prepare(finetune(replay={"metals": source}))


def test_the_selection_is_the_same_for_the_same_seed(
    finetune: Finetune, data_folder: Path, tmp_path: Path
) -> None:
    """And written down with the division into training, validation and test frames."""
    runs = itertools.count()
    file = str(data_folder / "clusters.xyz")
    true = {"data": str(data_folder / "metals.xyz"), "own": False}

    def chosen(**select: Any) -> list[int]:
        select = {"method": "random", "count": 6, **select}
        replay = {"metals": true, "clusters": {"structures": file, "own": False, "select": select}}
        setup = prepare(finetune(f"output={tmp_path}/{next(runs)}", replay=replay))
        found = sorted(f.index for f in every(head(setup, "clusters")))
        assert sorted(i for part in setup.splits()["clusters"].values() for i in part.get(file, [])) == found
        return found

    assert len(chosen()) == 6
    assert chosen() == chosen()
    assert chosen() != chosen(seed=1)
    assert len(chosen(method="farthest")) == 6
    assert len(chosen(method="all", count=None)) == 24


def test_heads_without_replay_are_warned_of_and_compared(finetune: Finetune, console: Console) -> None:
    """They are not trained, and no say in the score is theirs, but the report tells what became of them."""
    config = finetune("training.epochs=1", replay="off")
    setup = prepare(config)
    for name in ("metals", "clusters"):
        h = head(setup, name)
        assert (h.role, h.own_answers) == ("kept", True)
        assert not h.frames.train
        assert not h.frames.validation
        assert 30 < len(h.frames.test) <= 100
        trained = {structure_digest(f) for f in head(setup, "alloys").frames.train}
        assert not trained & {structure_digest(f) for f in h.frames.test}
    assert setup.counts == {"metals": 0, "clusters": 0, "alloys": 8}
    assert setup.taught == ("alloys",)
    assert set(setup.train.heads) == {2}
    assert setup.score.spread["metals"] == {}
    result = train(config, console=console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "warning: head metals (emt) is neither trained nor replayed" in said
    assert "warning: head clusters (morse) is neither trained nor replayed" in said
    assert [h.head for h in result.metrics["validation"].heads] == ["alloys"]
    assert result.forgetting is not None
    assert {c.head for c in result.forgetting.changes} == {"metals", "clusters", "alloys"}


def written(config: Config) -> dict[str, tuple[bytes, int]]:
    return {f.name: (f.read_bytes(), f.stat().st_mtime_ns) for f in (config.folder / "replay").iterdir()}


def other_base(base: Path, path: Path) -> Path:
    """The same model with one weight that is different in the last place."""
    model = checkpoint.load(base)
    with torch.no_grad():
        weight = next(model.readouts.parameters())
        weight.view(-1)[0] = torch.nextafter(weight.view(-1)[0], torch.tensor(9.0))
    checkpoint.save(path, model, {})
    return path


def test_labels_are_made_once_and_never_taken_for_those_of_another_base(
    finetune: Finetune, base: Path, tmp_path: Path, console: Console
) -> None:
    """A file of the same name with another model in it is found out by its fingerprint."""
    path = tmp_path / "base.safetensors"
    shutil.copy(base, path)
    config = finetune("training.epochs=1", base=str(path))
    train(config, console=console)
    labels = written(config)
    assert set(labels) == {"clusters.safetensors"}
    longer = replace_epochs(config, 2)
    train(longer, resume=True, console=console)
    assert written(config) == labels

    other_base(base, path)
    with pytest.raises(InputError, match=r"clusters\.safetensors: head 'clusters': .*the model \("):
        train(longer, resume=True, console=console)
    assert written(config) == labels
    train(config, overwrite=True, console=console)
    assert written(config) != labels


def replace_epochs(config: Config, epochs: int) -> Config:
    return config.model_copy(update={"training": config.training.model_copy(update={"epochs": epochs})})


def test_a_file_of_labels_with_a_name_serves_several_runs(
    finetune: Finetune, base: Path, data_folder: Path, tmp_path: Path, console: Console
) -> None:
    """And is not lost where one of them is overwritten."""
    labels = tmp_path / "labels" / "clusters.safetensors"
    source = {"structures": str(data_folder / "clusters.xyz"), "labels": str(labels), "own": False}
    runs = [finetune(f"output={tmp_path / name}", replay={"clusters": source}) for name in "ab"]
    first, second = (every(head(prepare(config), "clusters")) for config in runs)
    assert [f.energy for f in first] == [f.energy for f in second]
    assert not (runs[0].folder / "replay" / "clusters.safetensors").exists()
    kept = labels.read_bytes()
    changed = runs[0].model_copy(update={"base": str(other_base(base, tmp_path / "other.safetensors"))})
    with pytest.raises(InputError, match=r"clusters\.safetensors: .*made from something else") as caught:
        train(changed, overwrite=True, console=console)
    assert "or have it overwritten" not in str(caught.value)
    assert "--overwrite leaves it as it is, because replay.clusters.labels names it" in str(caught.value)
    assert labels.read_bytes() == kept


def test_weights_of_the_new_labels_are_not_those_of_the_answers(
    finetune: Finetune, data_folder: Path, tmp_path: Path
) -> None:
    """A bad energy that counts nothing must not silence the base's good one."""
    path = tmp_path / "weighted.xyz"
    path.write_text((data_folder / "alloys.xyz").read_text().replace("pbc=", "energy_weight=0 weight=3 pbc="))
    heads = {"alloys": {"theory": "emt_scaled", "data": str(path)}}
    setup = prepare(finetune(heads=heads))
    assert {f.weights for f in every(head(setup, "alloys"))} == {Weights(structure=3.0, energy=0.0)}
    clusters = every(head(setup, "clusters"))
    assert {f.weights for f in clusters} == {Weights()}
    assert str(path) in {f.file for f in clusters}


def some(source: Path, target: Path, chosen: Sequence[int]) -> str:
    """A file with some frames of another."""
    frames = ase.io.read(source, ":")
    ase.io.write(target, [frames[i] for i in chosen], format="extxyz")
    return str(target)


def digests(frames: Sequence[Frame]) -> set[str]:
    return {structure_digest(frame) for frame in frames}


@pytest.fixture
def metals(data_folder: Path, tmp_path: Path) -> dict[str, str]:
    """Labelled frames in three files, of which the last two stand for what the base has not seen."""
    parts = {"data": range(8), "validation_data": range(8, 11), "test_data": range(11, 14)}
    return {k: some(data_folder / "metals.xyz", tmp_path / f"{k}.xyz", v) for k, v in parts.items()}


def test_frames_named_for_the_comparison_are_compared_and_all_data_are_trained_on(
    finetune: Finetune, metals: dict[str, str]
) -> None:
    h = head(prepare(finetune(replay={"metals": {**metals, "own": False}})), "metals")
    for part, key in (("train", "data"), ("validation", "validation_data"), ("test", "test_data")):
        assert [f.file for f in getattr(h.frames, part)] == [metals[key]] * (8 if part == "train" else 3)
    assert set(h.files) == set(metals.values())
    assert h.warnings == ()
    assert not h.own_answers


@pytest.mark.parametrize("key", ["validation_data", "test_data"])
def test_one_of_them_is_enough(finetune: Finetune, metals: dict[str, str], key: str) -> None:
    """Nothing is taken off the data then."""
    source = {"data": metals["data"], key: metals[key], "own": False}
    h = head(prepare(finetune(replay={"metals": source})), "metals")
    parts = {part: len(getattr(h.frames, part)) for part in ("train", "validation", "test")}
    assert parts == {"train": 8, "validation": 0, "test": 0, key.removesuffix("_data"): 3}


def test_answers_are_replayed_and_labels_compared(finetune: Finetune, metals: dict[str, str]) -> None:
    """A few labelled frames say more than any drift, also where all that is replayed is the base's own."""
    h = head(prepare(finetune(replay={"metals": {"test_data": metals["test_data"]}})), "metals")
    assert all(isinstance(f, Answer) for f in h.frames.train)
    assert "crossfield:crystals_pbe.xyz.gz" in {f.file for f in h.frames.train}
    assert [isinstance(f, Answer) for f in h.frames.test if f.file == metals["test_data"]] == [False] * 3
    assert not h.own_answers


def test_frames_for_the_comparison_are_checked_like_the_others(
    finetune: Finetune, metals: dict[str, str], data_folder: Path
) -> None:
    other = {"files": str(data_folder / "alloys.xyz"), "check_units": False}
    with pytest.raises(InputError, match=r"alloys\.xyz, frame \d+: head 'metals': .* does not cover Au"):
        prepare(finetune(replay={"metals": {**metals, "test_data": other}}))


def test_a_comparison_with_a_training_error_is_warned_of(finetune: Finetune, console: Console) -> None:
    """The base may have been trained on the fraction that is kept aside."""
    train(finetune("training.epochs=1"), console=console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert re.search(r"warning: head metals: \d frames of replay.metals.data are kept aside", said)
    assert "(replay.metals.validation_data, test_data)" in said
    assert "replay.clusters.data" not in said


def test_what_cannot_be_compared_is_warned_of(finetune: Finetune, metals: dict[str, str]) -> None:
    """No frame at all is kept aside, or none with a label."""
    source = {"data": metals["data"]}
    alone, with_own = (
        head(prepare(finetune("split={validation: 0, test: 0}", replay={"metals": one})), "metals").warnings
        for one in ({**source, "own": False}, source)
    )
    assert len(alone) == len(with_own) == 1
    assert alone[0].startswith("no frame is kept aside, so that it cannot be compared before and after")
    assert with_own == alone


def test_labels_that_are_all_trained_on_are_warned_of(
    finetune: Finetune, data_folder: Path, tmp_path: Path
) -> None:
    """One system cannot be divided, the new structures are: what is compared then is drift alone."""
    path = tmp_path / "one.xyz"
    path.write_text(re.sub(r"system=\w+", "system=one", (data_folder / "metals.xyz").read_text()))
    h = head(prepare(finetune(replay={"metals": {"data": str(path)}})), "metals")
    assert h.own_answers
    assert h.frames.test
    assert [w.partition(":")[0] for w in h.warnings] == ["no frame with labels is kept aside"]


def test_what_is_kept_aside_of_the_new_data_is_not_in_the_labelled_data(
    finetune: Finetune, data_folder: Path, tmp_path: Path
) -> None:
    """The new data may be the old structures, computed at another level."""
    again = some(data_folder / "alloys.xyz", tmp_path / "again.xyz", [i for i in range(16) if i % 4 != 2])
    source = {"files": again, "check_units": False}
    setup = prepare(finetune(replay={"metals": {"data": source, "structures": again, "bundled": True}}))
    h, new = head(setup, "metals"), head(setup, "alloys")
    aside = digests([*h.frames.validation, *h.frames.test])
    assert not digests(h.frames.train) & aside
    assert not digests(h.frames.train) & digests([*new.frames.validation, *new.frames.test])
    frames = every(h)
    assert len(digests(frames)) == len(frames)
    # of a structure with a label and with an answer, that with the label stays
    trained = [f for f in h.frames.train if Path(f.file).name in ("again.xyz", "alloys.xyz")]
    assert trained
    assert not [f for f in trained if isinstance(f, Answer)]
    assert any("frames are there more than once" in note for note in h.notes)


def test_heads_that_share_structures_do_not_leak(
    finetune: Finetune, data_folder: Path, tmp_path: Path
) -> None:
    """Two theories of the same structures, divided in two ways: the base is asked about each once."""
    shutil.copy(data_folder / "alloys.xyz", tmp_path / "copy.xyz")
    heads = {
        "alloys": {"theory": "emt_scaled", "data": str(data_folder / "alloys.xyz")},
        "others": {
            "theory": "emt_scaled",
            "data": str(tmp_path / "copy.xyz"),
            "split": {"by": "frame", "seed": 5},
        },
    }
    setup = prepare(finetune(heads=heads, replay={"metals": {"bundled": False}}))
    one, other = (head(setup, name).frames for name in heads)
    assert digests(one.train) & digests([*other.validation, *other.test])  # or this test would test nothing
    frames = head(setup, "metals").frames
    aside = [f for new in (one, other) for f in (*new.validation, *new.test) if 79 not in f.Z]
    assert digests([*frames.validation, *frames.test]) == digests(aside)
    assert not digests(frames.train) & digests(aside)
    assert len(every(head(setup, "metals"))) == len(digests(every(head(setup, "metals")))) == 12
    # a head that is not replayed is not judged by what another one trains on, either
    kept = head(setup, "clusters").frames.test
    assert kept
    assert not digests(kept) & digests([*one.train, *other.train])


def test_one_file_of_labels_serves_runs_that_divide_otherwise(
    finetune: Finetune, data_folder: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.safetensors"
    source = {"structures": str(data_folder / "clusters.xyz"), "labels": str(labels), "own": False}
    parts = []
    for seed in (0, 3):
        config = finetune(f"split.seed={seed}", f"output={tmp_path}/{seed}", replay={"clusters": source})
        frames = head(prepare(config), "clusters").frames
        parts.append({f.index: f.energy for f in frames.train})
    assert set(parts[0]) != set(parts[1])
    assert all(parts[0][k] == parts[1][k] for k in set(parts[0]) & set(parts[1]))


def test_isolated_atoms_of_labelled_data_are_counted(
    finetune: Finetune, metals: dict[str, str], tmp_path: Path
) -> None:
    atom = Atoms("Cu", info={"config_type": "IsolatedAtom", "energy": -3.0, "system": "Cu"})
    text = Path(metals["data"]).read_text()
    ase.io.write(tmp_path / "atom.xyz", atom, format="extxyz")
    Path(metals["data"]).write_text(text + (tmp_path / "atom.xyz").read_text())
    h = head(prepare(finetune(replay={"metals": {**metals, "own": False}})), "metals")
    assert "1 isolated atoms in replay.metals.data are not used: the head has its E0 already" in h.notes
    assert min(f.num_atoms for f in every(h)) > 1


def test_structures_are_told_apart_by_what_the_model_sees(
    finetune: Finetune, base: Path, data_folder: Path
) -> None:
    """Not by their place in a file, nor by what one theory states and the model does not read."""
    model = checkpoint.load(base)
    pool, metal = Pool(model), model.heads[0]
    frame = read_source(Source(files=(data_folder / "metals.xyz",)), Theory(name="emt")).frames[0]
    same = replace(frame, file="other.xyz", index=7, energy=0.0, forces=None, inputs={"field": 1.0})
    assert pool.digest(frame, metal) == pool.digest(same, metal)
    others = [
        replace(frame, charge=1),
        replace(frame, spin=3),
        replace(frame, positions=frame.positions + 1e-12),
        replace(frame, pbc=np.array([True, True, False])),
    ]
    assert len({pool.digest(f, metal) for f in [frame, *others]}) == 5
    # two structures that were read from one place
    stretched = replace(frame, positions=1.05 * frame.positions, cell=1.05 * frame.cell)
    rows = [pool._described([f], metal)[0] for f in (frame, stretched)]
    assert not np.allclose(rows[0], rows[1], atol=1e-4)
    assert (pool._described([stretched, same], metal) == rows[::-1]).all()


def test_a_changed_choice_of_frames_is_noticed(finetune: Finetune, tmp_path: Path) -> None:
    """Counts alone would not tell."""
    choice = "replay.clusters.select={method: random, count: 8, seed: %d}"
    runs = [
        prepare(finetune(choice % seed, f"output={tmp_path}/{k}")).summary()
        for k, seed in enumerate((0, 0, 1))
    ]
    assert runs[0] == runs[1]
    assert runs[0]["metals"] == runs[2]["metals"]
    one, other = (run["clusters"] for run in (runs[0], runs[2]))
    assert one["structures"]["train"] != other["structures"]["train"]
    assert set(one["structures"]) == {"train", "validation", "test"}
