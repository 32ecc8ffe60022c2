from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from crossfield.data.reference import per_atom
from crossfield.data.statistics import rms_force
from crossfield.errors import InputError
from crossfield.train import Config
from crossfield.train.setup import find_theory, prepare

Configure = Callable[..., Config]


def heads_of(data_folder: Path, **metals: object) -> dict[str, object]:
    return {"metals": {"theory": "emt", "data": str(data_folder / "metals.xyz"), **metals}}


def test_every_frame_has_one_place(configure: Configure) -> None:
    setup = prepare(configure())
    for head, total in zip(setup.heads, (14, 24), strict=True):
        places = [(f.file, f.index) for part in vars(head.frames).values() for f in part]
        assert len(places) == len(set(places)) == total
        assert all(len(part) > 0 for part in vars(head.frames).values())
        groups = [{f.group for f in part} for part in vars(head.frames).values()]
        assert sum(map(len, groups)) == len(set().union(*groups))
    assert len(setup.train) == sum(setup.counts.values())
    assert [setup.train.frames[i].theory for i in range(len(setup.train))] == [
        ("emt", "morse")[h] for h in setup.train.heads
    ]
    stored = json.loads(json.dumps(setup.splits()))
    listed = [i for files in stored["clusters"].values() for indices in files.values() for i in indices]
    assert sorted(listed) == list(range(24))


def test_split_by_frame_keeps_frames_whole(configure: Configure, data_folder: Path) -> None:
    config = configure("split.by=frame", "split.validation=0.5", "split.test=0")
    frames = prepare(config).heads[1].frames
    assert abs(len(frames.validation) - 12) <= 1
    assert {f.group for f in frames.train} & {f.group for f in frames.validation}


def test_explicit_files_replace_fractions(configure: Configure, data_folder: Path) -> None:
    data = str(data_folder / "metals.xyz")
    setup = prepare(configure(heads=heads_of(data_folder, validation_data=data, test_data=[data])))
    assert {k: len(v) for k, v in vars(setup.heads[0].frames).items()} == {
        "train": 14,
        "validation": 14,
        "test": 14,
    }


def test_heads_get_their_own_numbers(configure: Configure) -> None:
    numbers = ("heads.clusters.scale=0.25", "heads.clusters.shift=-0.1", "heads.metals.weight=3")
    setup = prepare(configure(*numbers))
    metals, clusters = setup.model.heads
    assert metals.scale == pytest.approx(rms_force(setup.heads[0].frames.train))
    assert (clusters.scale, clusters.shift) == (0.25, -0.1)
    assert clusters.E0 == {10: 0.0}
    assert set(metals.E0) == {13, 29}
    assert setup.model.config.elements == (10, 13, 29)
    assert [h.weights for h in setup.heads] == [(3.0, 3.0, 3.0), (1.0, 1.0, 1.0)]


def test_isolated_atoms_give_E0(configure: Configure, data_folder: Path, tmp_path: Path) -> None:
    """Frames of other theories in the file of atoms are none of this head's business."""
    atoms = tmp_path / "atoms.xyz"
    lines = [("Cu", "emt", 3.5), ("Al", "emt", 3.1), ("Cu", "other", -99.0)]
    atoms.write_text(
        "".join(
            f'1\nProperties=species:S:1:pos:R:3 config_type=IsolatedAtom theory={t} energy={e} pbc="F F F"\n'
            f"{symbol} 0 0 0\n"
            for symbol, t, e in lines
        )
    )
    setup = prepare(configure(heads=heads_of(data_folder, isolated_atoms=str(atoms), E0="atoms")))
    assert setup.heads[0].head.E0 == {29: 3.5, 13: 3.1}
    assert setup.heads[0].rejected == ()
    assert setup.summary()["metals"]["E0_origin"]["29"] == "isolated atom"


def test_errors_name_the_head(configure: Configure, data_folder: Path, tmp_path: Path) -> None:
    atoms = tmp_path / "atoms.xyz"
    atoms.write_text(
        '1\nProperties=species:S:1:pos:R:3 config_type=IsolatedAtom energy=3.5 pbc="F F F"\nCu 0 0 0\n'
    )
    with pytest.raises(InputError, match=r"atoms\.xyz: head 'metals': .* no frame to train on"):
        prepare(configure(heads=heads_of(data_folder, data=str(atoms))))
    with pytest.raises(InputError, match=r"head 'metals': no isolated atom for Al, Cu"):
        prepare(configure("heads.metals.E0=atoms"))


def test_cell_is_no_isolated_atom(configure: Configure, data_folder: Path) -> None:
    config = configure(heads=heads_of(data_folder, isolated_atoms=str(data_folder / "metals.xyz")))
    with pytest.raises(InputError, match=r"metals\.xyz, frame 0: head 'metals': is not an isolated atom"):
        prepare(config)


def test_theories_are_never_guessed(configure: Configure) -> None:
    assert find_theory("emt", configure()).name == "emt"
    assert find_theory("pbe_gpaw", configure()).method == "PBE"
    with pytest.raises(InputError, match=r"unknown theory 'mors'; did you mean 'morse'"):
        prepare(configure("heads.clusters.theory=mors"))
    with pytest.raises(InputError, match=r"unknown theory 'pbe_gpw'; did you mean 'pbe_gpaw'"):
        find_theory("pbe_gpw", configure())
    with pytest.raises(
        InputError, match=r"unknown theory 'zzz' .*pbe_gpaw.*under `theories:` are emt, morse"
    ):
        find_theory("zzz", configure())


def test_initial_weights_follow_the_seed(configure: Configure) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    models = [prepare(configure(f"training.seed={seed}")).model for seed in (1, 1, 2)]
    first, again, other = (torch.cat([p.flatten() for p in m.parameters()]) for m in models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


def test_precision(configure: Configure) -> None:
    assert prepare(configure()).model.dtype == torch.float32
    assert prepare(configure("training.precision=64-true")).model.dtype == torch.float64


def test_properties_without_weight_are_not_scored(configure: Configure) -> None:
    assert set(prepare(configure()).score.spread["metals"]) == {"energy", "forces", "stress"}
    assert set(prepare(configure("loss.stress=0")).score.spread["metals"]) == {"energy", "forces"}


def test_properties_that_a_head_does_not_learn_are_not_scored(configure: Configure) -> None:
    """Whether it is the head that has no weight for them, or the loss, early and late."""
    spread = prepare(configure("heads.metals.weights={energy: 0, stress: 0}")).score.spread
    assert (set(spread["metals"]), set(spread["clusters"])) == ({"forces"}, {"energy", "forces"})
    loss = "loss={energy: 0, stress: 1, late: {energy: 5, stress: 0}}"
    assert set(prepare(configure(loss)).score.spread["metals"]) == {"energy", "forces", "stress"}
    loss = "loss={energy: 0, forces: 1, stress: 3, late: {start: 0, energy: 5, stress: 0}}"
    assert set(prepare(configure(loss)).score.spread["metals"]) == {"energy", "forces"}


def test_scale_without_forces(configure: Configure, data_folder: Path) -> None:
    source = {"files": [str(data_folder / "metals.xyz")], "keys": {"forces": None}}
    setup = prepare(configure(heads=heads_of(data_folder, data=source)))
    assert setup.heads[0].head.scale == 1.0
    assert np.isnan(setup.train.batch([0]).labels.forces.numpy()).all()


def test_nothing_to_validate_for_plateau(configure: Configure) -> None:
    with pytest.raises(InputError, match=r"schedule\.kind=plateau needs validation frames"):
        prepare(configure("split.validation=0", "schedule.kind=plateau"))


def test_charge_without_a_class_names_the_frame(configure: Configure) -> None:
    words = r"metals\.xyz, frame \d+: head 'metals': charge must be between -1 and -1 .*, not 0; set model"
    with pytest.raises(InputError, match=words):
        prepare(configure("model.inputs.charge={classes: 1, offset: 1}"))


def test_nothing_to_validate_for_early_stop(configure: Configure) -> None:
    with pytest.raises(InputError, match="early_stop needs validation frames"):
        prepare(configure("split.validation=0", "training.early_stop=3"))


def test_isolated_atoms_are_trained_on_unless_told_otherwise(
    configure: Configure, data_folder: Path, tmp_path: Path
) -> None:
    atoms = tmp_path / "atoms.xyz"
    atoms.write_text(
        '1\nProperties=species:S:1:pos:R:3 config_type=IsolatedAtom energy=3.5 pbc="F F F"\nCu 0 0 0\n'
        '1\nProperties=species:S:1:pos:R:3 config_type=IsolatedAtom energy=3.1 pbc="F F F"\nAl 0 0 0\n'
    )
    heads = heads_of(data_folder, isolated_atoms=str(atoms))
    setup, without = (
        prepare(configure(heads=heads)),
        prepare(configure("heads.metals.train_isolated=false", heads=heads)),
    )
    assert len(setup.train) == len(without.train) + 2
    assert setup.counts["metals"] == without.counts["metals"] + 2
    assert setup.summary()["metals"]["isolated_atoms"] == 2
    single = [f for f in setup.train.frames if f.num_atoms == 1]
    assert sorted(f.energy for f in single) == [3.1, 3.5]
    # what is reported and what normalises the score are the frames of interest
    assert setup.score == without.score
    assert setup.splits() == without.splits()


def test_shift_auto_is_the_mean_after_E0(configure: Configure) -> None:
    (head, _) = prepare(configure("heads.metals.shift=auto")).heads
    mean = np.mean([per_atom(f, head.head.E0) for f in head.frames.train])
    assert head.head.shift == pytest.approx(mean, rel=1e-12)


def test_known_theories_are_not_described_anew(configure: Configure) -> None:
    theories = {"emt": {}, "morse": {}, "pbe_gpaw": {"method": "something else"}}
    with pytest.raises(InputError, match=r"theories\.pbe_gpaw: this is a known theory"):
        prepare(configure(theories=theories))
