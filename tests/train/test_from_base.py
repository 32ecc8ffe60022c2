"""Heads and elements of a run that starts from a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from rich.console import Console

from crossfield.data.batch import GraphDataset
from crossfield.errors import InputError
from crossfield.heads import replace_head
from crossfield.inference import Potential
from crossfield.model.model import Model
from crossfield.theory import Head, Theory
from crossfield.train import Config, evaluate_dataset, load_config, train
from crossfield.train.setup import Setup, prepare
from crossfield.zoo import checkpoint
from tests.structures import small_model

Finetune = Callable[..., Config]


def names_of(model: Model) -> list[str]:
    return [head.name for head in model.heads]


def row(model: Model, name: str, Z: int) -> torch.Tensor:
    return model.state_dict()[name][model.config.elements.index(Z)]


def test_new_heads_come_last_and_nothing_of_the_base_is_lost(finetune: Finetune, base: Path) -> None:
    before, setup = checkpoint.load(base), prepare(finetune())
    model = setup.model
    assert names_of(model) == ["metals", "clusters", "alloys"]
    assert model.heads[:2] == before.heads
    assert model.config.elements == (10, 13, 29, 79)
    assert (model.config.scaled_for_heads, model.config.scaled_for_elements) == (2, 3)
    assert setup.base is not None
    assert setup.base["heads"] == ["metals", "clusters"]
    assert setup.new_elements == (79,)


def test_a_new_element_starts_as_the_one_most_like_it(finetune: Finetune, base: Path) -> None:
    before, setup = checkpoint.load(base), prepare(finetune())
    for name in (
        "embedding.weight",
        "interactions.0.sender_embedding",
        "interactions.1.receiver_embedding",
    ):
        assert torch.equal(row(setup.model, name, 79), row(before, name, 29))
        assert not torch.equal(row(setup.model, name, 79), row(before, name, 13))
        for Z in (10, 13, 29):
            assert torch.equal(row(setup.model, name, Z), row(before, name, Z))
    assert any("Au as Cu" in note for note in setup.notes)


def test_elements_of_the_data_alone_when_asked(finetune: Finetune, data_folder: Path) -> None:
    replay = {"metals": {"data": str(data_folder / "metals.xyz"), "own": False}}
    setup = prepare(finetune("elements=data", replay=replay))
    assert setup.model.config.elements == (13, 29, 79)
    assert all(10 not in head.E0 for head in setup.model.heads)


def test_a_head_of_the_base_is_trained_on_as_it_is(
    finetune: Finetune, base: Path, data_folder: Path, console: Console
) -> None:
    """With nothing new in it the model is the base itself, which has labelled structures before."""
    before = checkpoint.load(base)
    replay = {"clusters": {"structures": str(data_folder / "clusters.xyz")}}
    config = finetune(heads={"metals": {"data": str(data_folder / "metals.xyz")}}, replay=replay)
    setup = prepare(config)
    assert setup.model.heads == before.heads
    assert setup.model.config == before.config
    assert [h.role for h in setup.heads] == ["taught", "replayed"]
    assert setup.heads[0].reference is None
    result = train(config, console=console)
    assert result.model.heads == before.heads
    moved = [
        name for name, p in before.state_dict().items() if not torch.equal(result.model.state_dict()[name], p)
    ]
    assert "interactions.0.linear_up.weights.0" in moved
    assert "readouts.1.weight_1" in moved


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"theory": "morse"}, r"heads\.metals\.theory: this head of the base is 'emt', not 'morse'"),
        ({"E0": "least_squares"}, r"heads\.metals\.E0: a head of the base keeps its readout, E0, scale"),
        ({"scale": 2.0}, r"heads\.metals\.scale: a head of the base keeps"),
        ({"shift": 0.0}, r"heads\.metals\.shift: a head of the base keeps"),
        ({"start": "clusters"}, r"heads\.metals\.start: a head of the base keeps"),
    ],
)
def test_a_head_of_the_base_keeps_what_it_is(
    finetune: Finetune, data_folder: Path, settings: dict[str, object], message: str
) -> None:
    heads = {"metals": {"data": str(data_folder / "metals.xyz"), **settings}}
    with pytest.raises(InputError, match=message):
        prepare(finetune(heads=heads, replay="off"))


def test_a_head_of_the_base_cannot_learn_elements(finetune: Finetune, data_folder: Path) -> None:
    heads = {"metals": {"data": str(data_folder / "alloys.xyz")}}
    words = r"alloys\.xyz, frame \d+: head 'metals': head 'metals' of the base does not cover Au"
    with pytest.raises(InputError, match=words):
        prepare(finetune(heads=heads, replay="off"))


def test_a_new_head_needs_a_theory(finetune: Finetune, data_folder: Path) -> None:
    heads = {"metal": {"data": str(data_folder / "metals.xyz")}}
    words = r"heads\.metal\.theory is missing, .* no head 'metal' \(it has: metals, clusters\)"
    with pytest.raises(InputError, match=words):
        prepare(finetune(heads=heads))


def test_theories_of_the_base_are_known_and_not_described_otherwise(
    finetune: Finetune, data_folder: Path
) -> None:
    heads = {"more": {"theory": "emt", "data": str(data_folder / "metals.xyz")}}
    assert prepare(finetune(heads=heads, theories={})).heads[2].head.theory == Theory(name="emt")
    assert prepare(finetune(heads=heads, theories={"emt": {}})).heads[2].head.theory == Theory(name="emt")
    with pytest.raises(InputError, match=r"head 'more': theories\.emt: the base has a theory of this name"):
        prepare(finetune(heads=heads, theories={"emt": {"method": "EAM"}}))


def predicted_by(base: Path, head: str, source: Path, target: Path, *, stretch: float = 1.0) -> Path:
    """A file of structures with the answers of a head as labels, and another zero of energy."""
    potential = Potential(checkpoint.load(base), head, backend="reference")
    frames = ase.io.read(source, ":")
    for atoms in frames:
        atoms.set_cell(stretch * atoms.cell.array, scale_atoms=True)
    for atoms, result in zip(frames, potential.predict(frames), strict=True):
        atoms.calc = None
        atoms.info["energy"] = result.energy - 5.0 * len(atoms)
        atoms.arrays["forces"] = result.forces
    ase.io.write(target, frames, format="extxyz")
    return target


@pytest.mark.parametrize("head", ["metals", "clusters"])
def test_start_is_the_head_with_the_smallest_force_error(
    finetune: Finetune, base: Path, data_folder: Path, tmp_path: Path, head: str
) -> None:
    """Whichever head the labels are nearest to, the first or the last."""
    path = predicted_by(base, head, data_folder / "metals.xyz", tmp_path / "labelled.xyz")
    source = {"files": [str(path)], "check_units": False}
    setup = prepare(finetune(heads={"alloys": {"theory": "emt_scaled", "data": source}}))
    assert setup.heads[2].start == head
    assert setup.heads[2].notes == (f"starts from the readout of {head}",)
    after = evaluate_dataset(setup.model, setup.train).heads[2]
    assert after.head == "alloys"
    assert after.forces is not None
    assert after.forces.mae < 1e-5
    old = next(h for h in setup.model.heads if h.name == head)
    assert (setup.model.heads[2].scale, setup.model.heads[2].shift) == (old.scale, old.shift)


def test_elements_that_the_data_lack_keep_the_reference_of_the_start(
    finetune: Finetune, data_folder: Path
) -> None:
    """The head `clusters` knows Al and Cu; a head that starts from it and is taught Ne alone does so, too."""
    heads = {"more": {"theory": "emt_scaled", "data": str(data_folder / "clusters.xyz"), "start": "clusters"}}
    more = prepare(finetune(heads=heads)).heads[2]
    assert more.reference is not None
    assert more.reference.origin == {10: "estimated", 13: "base head", 29: "base head"}
    assert (more.head.E0[13], more.head.E0[29]) == (-1.0, -2.0)


def forces_of(setup: Setup, head: str) -> np.ndarray[Any, Any]:
    atoms = ase.io.read(setup.heads[2].frames.train[0].file, 0)
    (found,) = Potential(setup.model, head, backend="reference").predict([atoms])
    assert found.forces is not None
    return found.forces


def test_start_as_told(finetune: Finetune, data_folder: Path) -> None:
    setup = prepare(finetune("heads.alloys.start=clusters"))
    assert setup.heads[2].start == "clusters"
    assert np.array_equal(forces_of(setup, "alloys"), forces_of(setup, "clusters"))
    with pytest.raises(InputError, match=r"head 'alloys': unknown head 'metal'; did you mean 'metals'"):
        prepare(finetune("heads.alloys.start=metal"))


def test_start_from_zero_reads_out_nothing(finetune: Finetune) -> None:
    """E0 and repulsion remain, which is small here; scale and E0 are those of the data, as without a base."""
    setup = prepare(finetune("heads.alloys.start=zero"))
    alloys = setup.heads[2]
    assert alloys.start is None
    assert set(alloys.head.E0) == {13, 29, 79}
    assert alloys.reference is not None
    assert set(alloys.reference.origin.values()) == {"least squares"}
    assert np.abs(forces_of(setup, "alloys")).max() < 0.02 * np.abs(forces_of(setup, "metals")).max()
    with pytest.raises(InputError, match=r"heads\.alloys: E0=estimated .* start=zero is none"):
        prepare(finetune("heads.alloys.start=zero", "heads.alloys.E0=estimated"))


def energy_error(setup: Setup) -> float:
    """MAE of the new head on what E0 was found from, eV/atom."""
    frames = setup.heads[2].frames.train
    config = setup.model.config
    found = evaluate_dataset(setup.model, GraphDataset(frames, [2] * len(frames), config.cutoff)).heads[0]
    assert found.energy is not None
    return found.energy.mae


def test_estimated_reference_energies_start_nearer_than_fitted_ones(
    finetune: Finetune, base: Path, data_folder: Path, tmp_path: Path
) -> None:
    """Fitted ones contain the binding, which the readout that the head starts from brings once more.

    Labels that differ from the base by a zero of energy alone are met at once by estimated ones.
    """
    path = predicted_by(base, "metals", data_folder / "metals.xyz", tmp_path / "labelled.xyz", stretch=0.9)
    heads = {"alloys": {"theory": "emt_scaled", "data": {"files": [str(path)], "check_units": False}}}
    estimated, fitted = (
        prepare(finetune(*override, heads=heads)) for override in ((), ("heads.alloys.E0=least_squares",))
    )
    old, new = estimated.model.heads[0].E0, estimated.model.heads[2].E0
    assert {Z: new[Z] - old[Z] for Z in new} == pytest.approx({13: -5.0, 29: -5.0}, abs=1e-3)
    assert energy_error(estimated) < 1e-4
    assert energy_error(fitted) > 10 * energy_error(estimated)
    assert any("E0=estimated goes with it" in warning for warning in fitted.heads[2].warnings)
    assert estimated.heads[2].warnings == ()


@pytest.mark.parametrize("start", ["metals", "zero"])
def test_different_dispersion_is_said(
    finetune: Finetune, base: Path, console: Console, tmp_path: Path, start: str
) -> None:
    """Of all heads of the base, whichever the new one starts from; and not where nobody stated a method."""
    model = checkpoint.load(base)
    for head, method in (("metals", "EMT-D3BJ"), ("clusters", "Morse")):
        old = model.heads[0 if head == "metals" else 1]
        described = old.theory.model_copy(update={"method": method})
        model = replace_head(model, head, old.model_copy(update={"theory": described}))
    path = tmp_path / "described.safetensors"
    checkpoint.save(path, model, {})
    theories = {"emt_scaled": {"method": "EMT-D3(BJ)"}}
    given = (f"heads.alloys.start={start}", "training.epochs=1", "replay=off")
    train(finetune(*given, theories=theories, base=str(path)), console=console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    words = "warning: head alloys: labels of theory emt_scaled contain dispersion (D3(BJ)), those of clusters"
    assert said.count("contain dispersion") == said.count(words) == 1
    other = finetune(*given, theories=theories, output=str(tmp_path / "other"))
    assert prepare(other).heads[2].warnings == ()


def test_reference_energies_are_of_elements_that_there_are(finetune: Finetune) -> None:
    """One that only the base knows is one; the new head then answers for it."""
    assert prepare(finetune("heads.alloys.E0={Ne: -1.5}", "replay=off")).heads[2].head.E0[10] == -1.5
    words = r"heads\.alloys\.E0: neither the data nor the model have C, Pt; leave this out"
    with pytest.raises(InputError, match=words):
        prepare(finetune("heads.alloys.E0={Pt: -1.0, C: -2.0}", "replay=off"))


def test_isolated_atoms_that_a_head_of_the_base_does_not_know_are_counted(
    finetune: Finetune, data_folder: Path, tmp_path: Path, console: Console
) -> None:
    atoms = tmp_path / "atoms.xyz"
    line = 'Properties=species:S:1:pos:R:3 config_type=IsolatedAtom energy=3.5 pbc="F F F"'
    atoms.write_text("".join(f"1\n{line}\n{symbol} 0 0 0\n" for symbol in ("Cu", "Au", "C")))
    settings = {"data": str(data_folder / "metals.xyz"), "isolated_atoms": str(atoms)}
    config = finetune("training.epochs=1", heads={"metals": settings}, replay="off")
    setup = prepare(config)
    assert [int(f.Z[0]) for f in setup.heads[0].isolated] == [29]
    note = "2 isolated atoms are not trained on, since the base has no E0 for C Au"
    assert setup.heads[0].notes == (note,)
    train(config, console=console)
    assert f"head metals: {note}" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture
def charged_base(tmp_path: Path) -> Path:
    """A model that reads charges from -2 to 2, and a field."""
    path = tmp_path / "charged.safetensors"
    inputs = {"charge": {"classes": 5, "offset": 2, "width": 4}, "field": {"kind": "real", "width": 4}}
    model = small_model(dtype=torch.float32, inputs=inputs)
    meaning = Theory(name="theory0", charge="e", inputs={"field": {"meaning": "V/Å", "default": 0.0}})
    head = model.heads[0].model_copy(update={"theory": meaning})
    checkpoint.save(path, Model(model.config, [head]), {})
    return path


def test_what_the_base_cannot_read_names_the_frame(
    finetune: Finetune, charged_base: Path, data_folder: Path, tmp_path: Path
) -> None:
    """And does not send the user to a size of the model, which is the base's."""
    path = tmp_path / "charged.xyz"
    lines = (data_folder / "ions.xyz").read_text().replace("charge=1", "charge=7", 5)
    path.write_text(lines)
    theories = {"ionic": {"charge": "e", "inputs": {"field": {"meaning": "V/Å", "default": 0.5}}}}
    heads = {"alloys": {"theory": "ionic", "data": {"files": [str(path)], "check_units": False}}}
    config = finetune(heads=heads, theories=theories, replay="off", base=str(charged_base))
    words = r"charged\.xyz, frame \d+: head 'alloys': charge must be between -2 and 2 for this model, not 7$"
    with pytest.raises(InputError, match=words):
        prepare(config)
    path.write_text(lines.replace("charge=7", "charge=1"))
    setup = prepare(config)
    assert {f.inputs["field"] for f in setup.train.frames} == {0.5}
    with pytest.raises(InputError, match=r"frame \d+: head 'alloys': this model reads 'field' of every"):
        prepare(finetune(heads=heads, theories={"ionic": {"charge": "e"}}, base=str(charged_base)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.safetensors", r"none\.safetensors: no such file"),
        ("mace-mh-11", r"neither a file nor a published model; did you mean 'mace-mh-1'"),
        ("damaged.safetensors", r"damaged\.safetensors: "),
    ],
)
def test_no_base(finetune: Finetune, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "damaged.safetensors").write_bytes(b"not a model")
    config = finetune(base=name, output="run").model_copy(update={"root": tmp_path})
    with pytest.raises(InputError, match=message):
        prepare(config)


def test_the_configuration_in_the_folder_starts_the_same_run(
    finetune: Finetune, console: Console, tmp_path: Path
) -> None:
    """Also where some of it is off, or has a name that YAML would read as something else."""
    config = finetune("training.epochs=1", "replay=off", "heads.alloys.start=zero")
    first = train(config, console=console)
    again = load_config(first.folder / "config.yaml", [f"output={tmp_path / 'again'}"])
    assert {**again.as_dict(), "output": None} == {**config.as_dict(), "output": None}
    second = train(again, console=console)
    weights = first.model.state_dict()
    assert all(torch.equal(weights[name], p) for name, p in second.model.state_dict().items())
    replayed = finetune(replay={"metals": None, "clusters": {"select": {"method": "random", "count": 3}}})
    assert (
        Config.model_validate({**replayed.as_dict(), "root": replayed.root}).as_dict() == replayed.as_dict()
    )


def test_provenance_names_the_base(finetune: Finetune, base: Path, console: Console) -> None:
    result = train(finetune("training.epochs=1"), console=console)
    found = checkpoint.read_metadata(result.checkpoint)["provenance"]
    assert found["base"]["name"] == str(base)
    assert len(found["base"]["fingerprint"]) == 64
    assert found["data"]["alloys"]["start"] == "metals"
    assert [found["data"][name]["role"] for name in ("metals", "clusters", "alloys")] == [
        "replayed",
        "replayed",
        "taught",
    ]
    assert isinstance(result.model.heads[2], Head)
