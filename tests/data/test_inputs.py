"""Numbers per structure besides charge and spin, from the file to the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from crossfield.data.batch import GraphDataset
from crossfield.data.frame import Frame
from crossfield.data.read import read_source, read_structures
from crossfield.data.source import Keys, Source
from crossfield.data.split import split_frames
from crossfield.data.write import to_atoms
from crossfield.errors import InputError
from crossfield.inference.potential import Potential
from crossfield.model import InputConfig, Model, evaluate
from crossfield.theory import InputMeaning, Theory
from crossfield.zoo import checkpoint
from tests.data.frames import frame, write_water
from tests.structures import small_model

FIELD = InputMeaning(meaning="electric field along z, V/Å")
WARM = InputMeaning(meaning="electronic temperature, eV", default=0.025)
THEORY = Theory(name="in_field", inputs={"field": FIELD, "warm": WARM})


def one(path: Path, theory: Theory = THEORY, **inputs: str) -> Frame:
    (found,) = read_source(Source(files=(path,), keys=Keys(inputs=inputs)), theory).frames
    return found


def test_numbers_are_read_under_their_keys(tmp_path: Path) -> None:
    path = write_water(tmp_path / "a.xyz", "energy=-1 field=-0.25 warm=1e-3")
    assert one(path).inputs == {"field": -0.25, "warm": 0.001}
    path = write_water(tmp_path / "b.xyz", "energy=-1 E_z=0.5")
    assert one(path, field="E_z").inputs == {"field": 0.5, "warm": 0.025}
    assert one(path, Theory(name="plain")).inputs == {}


def test_what_has_no_default_must_be_stated(tmp_path: Path) -> None:
    path = write_water(tmp_path / "a.xyz", "energy=-1 field=0", "energy=-1")
    source = Source(files=(path,))
    with pytest.raises(InputError) as error:
        read_source(source, THEORY)
    assert (error.value.file, error.value.frame) == (str(path), 1)
    for part in ("theory 'in_field'", "'field'", "electric field along z, V/Å", "field=...", "default"):
        assert part in error.value.message
    listed = read_source(source.model_copy(update={"bad_frames": "list"}), THEORY)
    assert [f.index for f in listed.frames] == [0]
    with pytest.raises(InputError, match=r"E_z=\.\.\. in the comment line"):
        one(write_water(path, "energy=-1", "energy=-2 E_z=1"), field="E_z")


@pytest.mark.parametrize("text", ["nan", "inf", "-1e999", "strong", '"1 2"', '""'])
def test_what_is_not_one_finite_number_is_refused(tmp_path: Path, text: str) -> None:
    path = write_water(tmp_path / "a.xyz", f"energy=-1 field={text}")
    with pytest.raises(InputError, match=r"a\.xyz, frame 0: field (is not|must be one number)"):
        one(path)


def test_keys_of_inputs_are_checked(tmp_path: Path) -> None:
    path = write_water(tmp_path / "a.xyz", "energy=-1 field=0")
    with pytest.raises(
        InputError, match=r"keys\.inputs\.filed: .* declares no such input; did you mean 'field'"
    ):
        one(path, filed="field")
    with pytest.raises(InputError, match=r"theory plain declares no such input \(it declares none\)"):
        one(path, Theory(name="plain"), field="field")
    with pytest.raises(InputError, match=r"no frame has 'T_el', which is given as keys\.inputs\.warm"):
        one(path, warm="T_el")
    with pytest.raises(ValidationError, match="two different things"):
        Keys(inputs={"field": "energy"})
    with pytest.raises(ValidationError, match="two different things"):
        Keys(inputs={"field": "x", "warm": "x"})
    with pytest.raises(ValidationError, match="cannot be empty"):
        Keys(inputs={"field": ""})
    named_as_a_label = Theory(name="x", inputs={"weight": FIELD})
    with pytest.raises(InputError, match=r"'weight' is read as keys\.weight: name the key of 'weight'"):
        one(path, named_as_a_label)
    swapped = Theory(name="x", inputs={"field": FIELD, "warm": FIELD})
    with pytest.raises(InputError, match=r"'warm' is read as keys\.inputs\.field"):
        one(path, swapped, field="warm")


def test_an_input_is_taken_for_no_label(tmp_path: Path) -> None:
    """Names that would otherwise be energies, weights or spins under another name."""
    path = write_water(tmp_path / "a.xyz", "total_energy=3 ion_weight=2 spin_field=1")
    theory = Theory(
        name="x",
        spin="2S+1",
        inputs=dict.fromkeys(("total_energy", "ion_weight", "spin_field"), FIELD),
    )
    found = one(path, theory)
    assert found.energy is None
    assert found.inputs == {"total_energy": 3.0, "ion_weight": 2.0, "spin_field": 1.0}
    with pytest.raises(InputError, match=r"has total_energy: set keys\.energy"):
        one(write_water(path, "total_energy=3"), Theory(name="plain"))


def test_structures_to_predict_follow_the_same_rules(tmp_path: Path) -> None:
    path = write_water(tmp_path / "a.xyz", "field=0.5 other=7", "field=1")
    assert [f.inputs for f in read_structures(path, theory=THEORY).frames] == [
        {"field": 0.5, "warm": 0.025},
        {"field": 1.0, "warm": 0.025},
    ]
    # a model may read what its theory does not explain, as imported ones do
    found = read_structures(path, theory=THEORY, inputs=("field", "other")).frames
    assert [f.inputs.get("other") for f in found] == [7.0, None]
    assert read_structures(path).frames[0].inputs == {}
    with pytest.raises(InputError, match=r"a\.xyz, frame 0: .*needs 'field'"):
        read_structures(write_water(path, "warm=1"), theory=THEORY)


def test_frames_that_differ_in_inputs_are_not_equal(tmp_path: Path) -> None:
    path = write_water(tmp_path / "a.xyz", *(f"energy=-1 field={k // 2}" for k in range(12)))
    frames = read_source(Source(files=(path,)), THEORY).frames
    parts = split_frames(frames, validation=0.25, test=0.25, seed=0, by="frame")
    fields = [{f.inputs["field"] for f in part} for part in (parts.train, parts.validation, parts.test)]
    assert sum(map(len, fields)) == len(set().union(*fields)) == 6


def test_batches_have_them_in_the_order_of_the_model() -> None:
    frames = [replace(frame("HO"), inputs={"a": float(k), "b": -float(k), "unread": 9.0}) for k in range(3)]
    batch = GraphDataset(frames, [0, 0, 0], 4.0, ("b", "a")).batch([2, 1])
    assert batch.graph.extra.tolist() == [[-2.0, 2.0], [-1.0, 1.0]]
    assert GraphDataset(frames, [0, 0, 0], 4.0).batch([0]).graph.extra.shape == (1, 0)
    lacking = [frames[0], replace(frames[1], inputs={"a": 1.0}, index=5)]
    words = r"made\.xyz, frame 5: the model reads 'b', which theory 'made' does not declare: .*`theories:`"
    with pytest.raises(InputError, match=words):
        GraphDataset(lacking, [0, 0], 4.0, ("a", "b"))


def test_theories_must_declare_what_a_model_reads() -> None:
    THEORY.check_declares(["warm", "field"])
    with pytest.raises(InputError, match=r"reads 'other' .*theory 'in_field' does not say .*inputs\.other"):
        THEORY.check_declares(["field", "other"])


@pytest.fixture(scope="module")
def reader() -> Model:
    """A model that reads `field` and `warm`; its first head's theory declares them."""
    inputs = {name: InputConfig(kind="real", width=4) for name in ("warm", "charge", "field")}
    model = small_model(inputs=inputs, max_L=0, l_max=1, correlation=2)
    first = model.heads[0].model_copy(update={"theory": THEORY})
    changed = Model(model.config, [first, model.heads[1]]).double()
    changed.load_state_dict(model.state_dict())
    return changed


def test_prediction_and_training_see_the_same(reader: Model, tmp_path: Path) -> None:
    path = write_water(
        tmp_path / "a.xyz", "energy=-1 field=0.5 warm=2", "energy=-1 field=0.5", "energy=-1 field=3"
    )
    frames = read_source(Source(files=(path,)), THEORY).frames
    potential = Potential(reader, "head0", table_accuracy=None)
    results = potential.predict([to_atoms(f) for f in frames])
    dataset = GraphDataset(frames, [0] * 3, reader.config.cutoff, reader.config.extra_inputs)
    with torch.no_grad():
        energies = evaluate(reader, dataset.batch(range(3)).graph, forces=False, stress=False).energy
    np.testing.assert_allclose([r.energy for r in results], energies, rtol=1e-12)
    assert len({round(r.energy, 6) for r in results}) == 3


def test_prediction_uses_the_default_of_the_theory(reader: Model) -> None:
    potential = Potential(reader, "head0", table_accuracy=None)
    water = to_atoms(replace(frame("OHH"), inputs={"field": 0.5}))
    stated = to_atoms(replace(frame("OHH"), inputs={"field": 0.5, "warm": 0.025}))
    assert potential.predict(water)[0].energy == potential.predict(stated)[0].energy
    stated.info["warm"] = 0.5
    assert potential.predict(water)[0].energy != potential.predict(stated)[0].energy
    del water.info["field"]
    with pytest.raises(InputError, match=r"'in_field' needs 'field' .*state it as atoms\.info\['field'\]"):
        potential.predict(water)
    with pytest.raises(
        InputError, match="'warm' of every structure, which theory 'theory1' does not declare"
    ):
        potential.predict(water, head="head1")
    # what is stated is read, whoever explains it
    assert np.isfinite(potential.predict(stated, head="head1")[0].energy)
    for wrong in (np.nan, "much", None):
        stated.info["field"] = wrong
        with pytest.raises(InputError, match="field must be a finite number"):
            potential.predict(stated)


def test_a_checkpoint_keeps_what_inputs_mean(reader: Model, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "m.safetensors", reader, {})
    loaded = checkpoint.load(tmp_path / "m.safetensors")
    assert loaded.heads == reader.heads
    assert loaded.heads[0].theory.inputs == {"field": FIELD, "warm": WARM}
    stored = checkpoint.read_metadata(tmp_path / "m.safetensors")["heads"]
    assert ["inputs" in head["theory"] for head in stored] == [True, False]


@pytest.mark.parametrize(
    "inputs",
    [
        {"charge": {"meaning": "e"}},
        {"spin": {"meaning": "2S+1"}},
        {"a b": {"meaning": "x"}},
        {"": {"meaning": "x"}},
        {"x": {}},
        {"x": {"meaning": ""}},
        {"x": {"meaning": "x", "default": float("nan")}},
        {"x": {"meaning": "x", "unit": "eV"}},
    ],
)
def test_descriptions_are_checked(inputs: dict[str, dict[str, object]]) -> None:
    with pytest.raises(ValidationError):
        Theory(name="x", inputs=inputs)
