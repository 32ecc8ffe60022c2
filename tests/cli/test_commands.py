"""Every command from end to end, on a small model."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import ase.io
import numpy as np
import pytest

import crossfield as package
from crossfield.data.batch import GraphDataset
from crossfield.data.read import read_source
from crossfield.data.source import Source
from crossfield.theory import get_theory
from crossfield.train import evaluate_dataset
from crossfield.zoo import checkpoint
from tests.cli.conftest import Command
from tests.data.malformed import THEORY, draft, thermal_water


def test_train_writes_its_folder_with_overrides(crossfield: Command, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "run"
    outcome = crossfield(
        "train", data / "config.yaml", f"output={output}", "training.epochs=1", "model.channels=3"
    )
    assert outcome.code == 0, outcome.err
    assert "head molecules" in outcome.out
    assert checkpoint.load(output / "best.safetensors").config.channels == 3
    assert len((output / "log.jsonl").read_text().splitlines()) == 1


def test_train_resumes_and_overwrites(crossfield: Command, data: Path, tmp_path: Path) -> None:
    arguments = ("train", data / "config.yaml", f"output={tmp_path / 'run'}")
    assert crossfield(*arguments).code == 0
    again = crossfield(*arguments)
    assert again.code == 2
    assert "already holds a run" in again.err
    assert "resumed at step" in crossfield(*arguments, "--resume").out
    assert crossfield(*arguments, "--overwrite").code == 0


def test_info_shows_the_model(crossfield: Command, model: Path) -> None:
    outcome = crossfield("info", model)
    assert outcome.code == 0
    for text in (
        str(model),
        "float32",
        "cutoff 3.5",
        "H O Na Al Cl Cu",
        "head molecules",
        THEORY,
        "head crystals",
    ):
        assert text in outcome.out
    assert f"{checkpoint.load(model).num_parameters:,} parameters" in outcome.out


def test_info_as_json_is_the_metadata(crossfield: Command, model: Path) -> None:
    outcome = crossfield("info", model, "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out) == checkpoint.read_metadata(model)


def test_info_as_a_card_is_the_one_beside_the_model(crossfield: Command, model: Path) -> None:
    outcome = crossfield("info", model, "--card")
    assert outcome.code == 0, outcome.err
    assert outcome.out == (model.parent / "model-card.md").read_text()
    both = crossfield("info", model, "--card", "--json")
    assert both.code == 2
    assert "choose one" in both.err


@pytest.mark.parametrize("batch", [(), ("--batch-size", "3")])
def test_evaluate_gives_the_errors_of_the_model(
    crossfield: Command, data: Path, model: Path, tmp_path: Path, batch: tuple[str, ...]
) -> None:
    """Two files, one of them gzipped; the JSON holds what `evaluate_dataset` finds."""
    more = tmp_path / "more.xyz.gz"
    more.write_bytes(gzip.compress("".join(d.text() for d in thermal_water(5)).encode()))
    files = (data / "water.xyz", more)
    output = tmp_path / "deep" / "errors.json"
    outcome = crossfield(
        "evaluate", model, *files, "--head", "molecules", "-o", output, "--dtype", "float64", *batch
    )
    assert outcome.code == 0, outcome.err

    potential = package.load(model, dtype="float64")
    reading = read_source(Source(files=files), get_theory(THEORY))
    dataset = GraphDataset(reading.frames, [0] * len(reading.frames), potential.cutoff)
    expected = evaluate_dataset(potential.model, dataset).as_dict()["molecules"]
    found = json.loads(output.read_text())["molecules"]
    assert found["frames"] == expected["frames"] == 21
    for name in ("energy", "forces"):
        assert found[name]["labels"] == expected[name]["labels"]
        assert found[name]["mae"] == pytest.approx(expected[name]["mae"], rel=1e-9)
        assert found[name]["rmse"] == pytest.approx(expected[name]["rmse"], rel=1e-9)
    assert "Errors on 21 frames" in outcome.out


def test_evaluate_lists_what_it_does_not_use(crossfield: Command, model: Path, tmp_path: Path) -> None:
    drafts = [draft("molecule", k) for k in range(6)]
    for k in (1, 2, 4):
        drafts[k].comment["theory"] = "pbe_gpaw"
    drafts[5].comment["energy"] = "nan"
    path = tmp_path / "mixed.xyz"
    path.write_text("".join(d.text() for d in drafts))
    outcome = crossfield("evaluate", model, path, "--head", "molecules", "--skip-bad")
    assert outcome.code == 0, outcome.err
    assert f"not used: {path}, frames 1-2, 4: theory is pbe_gpaw\n" in outcome.out
    assert f"not used: {path}, frame 5: energy is not finite" in outcome.out
    assert "Errors on 2 frames" in outcome.out


def test_labels_of_other_names(crossfield: Command, data: Path, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "renamed.xyz"
    path.write_text((data / "water.xyz").read_text().replace("energy=", "REF_energy="))
    outcome = crossfield("evaluate", model, path, "--head", "molecules", "--key", "energy=REF_energy")
    assert outcome.code == 0, outcome.err
    assert "energy meV/atom" in outcome.out
    outcome = crossfield("evaluate", model, path, "--head", "molecules", "--key", "energy=null")
    assert outcome.code == 0, outcome.err
    assert "energy meV/atom" not in outcome.out


def test_unit_check_can_be_left_out(crossfield: Command, model: Path, tmp_path: Path) -> None:
    drafts = thermal_water(12)
    drafts[3].comment["energy"] = "-76.4"
    path = tmp_path / "hartree.xyz"
    path.write_text("".join(d.text() for d in drafts))
    assert "units" in crossfield("evaluate", model, path, "--head", "molecules").err
    outcome = crossfield("evaluate", model, path, "--head", "molecules", "--no-unit-check")
    assert outcome.code == 0, outcome.err


def test_predict_is_read_back_by_ase(crossfield: Command, data: Path, model: Path, tmp_path: Path) -> None:
    """Periodic structures: energies, forces and stress are those of `Potential.predict`."""
    output = tmp_path / "deep" / "predicted.xyz.gz"
    crystals = data / "copper.xyz"
    options = ("--head", "crystals", "--dtype", "float64", "--batch-size", "3")
    outcome = crossfield("predict", model, crystals, "-o", output, *options)
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"8 structures by head crystals: {output}\n"
    structures = ase.io.read(crystals, ":")
    expected = package.load(model, head="crystals", dtype="float64").predict(structures)
    for atoms, result in zip(ase.io.read(output, ":"), expected, strict=True):
        # positions and forces are written with 8 decimals
        assert atoms.get_potential_energy() == pytest.approx(result.energy, abs=1e-10)
        assert atoms.get_forces() == pytest.approx(result.forces, abs=2e-8)
        assert atoms.get_stress(voigt=False) == pytest.approx(result.stress, abs=1e-10)
        assert np.abs(result.forces).max() > 1e-5
        assert atoms.info["head"] == "crystals"


def test_what_is_predicted_has_no_error(crossfield: Command, data: Path, model: Path, tmp_path: Path) -> None:
    predicted, errors = tmp_path / "predicted.xyz", tmp_path / "errors.json"
    head = ("--head", "molecules", "--dtype", "float64")
    assert crossfield("predict", model, data / "water.xyz", *head, "-o", predicted).code == 0
    assert crossfield("evaluate", model, predicted, *head, "--no-unit-check", "-o", errors).code == 0
    found = json.loads(errors.read_text())["molecules"]
    assert found["frames"] == 16
    assert found["energy"]["rmse"] < 1e-7
    assert found["forces"]["rmse"] < 1e-6


def test_predict_writes_beside_each_input(crossfield: Command, model: Path, tmp_path: Path) -> None:
    text = "".join(d.text() for d in thermal_water(2))
    (tmp_path / "at.300K.xyz").write_text(text)
    (tmp_path / "b.xyz.gz").write_bytes(gzip.compress(text.encode()))
    files = (tmp_path / "at.300K.xyz", tmp_path / "b.xyz.gz")
    assert crossfield("predict", model, *files, "--head", "molecules").code == 0
    one, other = (ase.io.read(tmp_path / f"{name}_predicted.xyz", ":") for name in ("at.300K", "b"))
    assert len(one) == len(other) == 2
    assert one[1].get_potential_energy() == other[1].get_potential_energy()
    together = tmp_path / "both.xyz"
    assert crossfield("predict", model, *files, "--head", "molecules", "-o", together).code == 0
    assert len(ase.io.read(together, ":")) == 4


def test_predict_skips_bad_structures_when_told(crossfield: Command, model: Path, tmp_path: Path) -> None:
    drafts = [draft("molecule", k) for k in range(3)]
    drafts[1].rows[0][1] = "nan"
    drafts.append(draft("molecule", 3))
    drafts[3].rows[0][0] = "S"
    path = tmp_path / "bad.xyz"
    path.write_text("".join(d.text() for d in drafts))
    assert crossfield("predict", model, path, "--head", "molecules").code == 2
    assert not (tmp_path / "bad_predicted.xyz").exists()
    outcome = crossfield("predict", model, path, "--head", "molecules", "--skip-bad")
    assert outcome.code == 0, outcome.err
    assert f"not used: {path}, frame 1: " in outcome.out
    assert f"not used: {path}, frame 3: head 'molecules' does not cover S" in outcome.out
    assert len(ase.io.read(tmp_path / "bad_predicted.xyz", ":")) == 2
