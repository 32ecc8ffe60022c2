"""What is replayed of the heads of a base, and with which labels."""

from __future__ import annotations

import itertools
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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
    with pytest.raises(InputError, match="made from something else"):
        train(changed, overwrite=True, console=console)
    assert labels.read_bytes() == kept


def test_weights_of_frames_travel_with_the_labels(
    finetune: Finetune, data_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "weighted.xyz"
    path.write_text((data_folder / "alloys.xyz").read_text().replace("pbc=", "forces_weight=3 pbc="))
    heads = {"alloys": {"theory": "emt_scaled", "data": str(path)}}
    setup = prepare(finetune(heads=heads))
    own = [f for f in every(head(setup, "clusters")) if f.file == str(path)]
    assert own
    assert {f.weights.forces for f in own} == {3.0}
    assert {f.weights for f in every(head(setup, "clusters")) if f.file != str(path)} == {Weights()}
