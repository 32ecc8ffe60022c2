from __future__ import annotations

import json
from dataclasses import astuple
from importlib.metadata import version

import pytest
import torch
from safetensors import safe_open

from crossfield import files
from crossfield.inference.potential import Potential
from crossfield.model import evaluate
from crossfield.zoo import checkpoint, container
from tests.structures import batch_of, small_model, structures
from tests.zoo.conftest import PROVENANCE


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip_bit_for_bit(tmp_path, dtype):
    model = small_model(dtype=dtype)
    checkpoint.save(tmp_path / "m.safetensors", model, PROVENANCE)
    read = checkpoint.load(tmp_path / "m.safetensors")
    assert read.dtype == dtype
    assert read.config == model.config
    assert read.heads == model.heads
    before, after = model.state_dict(), read.state_dict()
    assert list(before) == list(after)
    for name, tensor in before.items():
        assert after[name].dtype == dtype
        assert torch.equal(after[name], tensor), name
    for head in (0, 1):
        batch = batch_of(*structures().values(), head=head)
        before, after = evaluate(model, batch), evaluate(read, batch)
        for field in ("energy", "energies", "forces", "stress"):
            assert torch.equal(getattr(before, field).nan_to_num(), getattr(after, field).nan_to_num())


def test_reference_energies_stay_exact(tmp_path):
    """In float64, even when weights are float32 and have been moved between precisions."""
    model = small_model()
    heads = [
        h.model_copy(update={"E0": {z: -1e4 / 3 - z / 7 - i for z in h.E0}})
        for i, h in enumerate(model.heads)
    ]
    model = type(model)(model.config, heads).to(torch.float32)
    checkpoint.save(tmp_path / "m.safetensors", model, {})
    for dtype in (None, torch.float32, torch.float64):
        read = checkpoint.load(tmp_path / "m.safetensors", dtype=dtype)
        assert [h.E0 for h in read.heads] == [h.E0 for h in heads]
        assert read.E0.dtype == torch.float64
        expected = [[h.E0[z] for z in read.config.elements] for h in heads]
        assert read.E0.tolist() == expected


def test_precision_can_be_chosen(tmp_path, tiny):
    checkpoint.save(tmp_path / "m.safetensors", tiny, {})
    read = checkpoint.load(tmp_path / "m.safetensors", dtype=torch.float32)
    assert read.dtype == torch.float32
    for name, tensor in tiny.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor.float())


def test_metadata(path, tiny):
    document = checkpoint.read_metadata(path)
    assert document["format_version"] == checkpoint.KIND.version
    assert document["provenance"] == PROVENANCE
    assert document["config"] == tiny.config.model_dump(mode="json")
    assert [h["name"] for h in document["heads"]] == ["head0", "head1"]
    assert document["heads"][1]["theory"]["method"] == "test"
    assert document["versions"]["crossfield"] == version("crossfield")
    assert {"python", "torch", "numpy", "ase", "vesin", "cuequivariance"} < set(document["versions"])
    assert document["written"].endswith("+00:00")
    assert len(document["sha256"]) == 64


def test_the_file_is_plain_safetensors(path, tiny):
    with safe_open(path, framework="pt") as file:
        assert set(file.keys()) == {name for name, _ in tiny.named_parameters()}
        assert json.loads(file.metadata()["crossfield"])["format_version"] == checkpoint.KIND.version


def test_same_weights_same_checksum(tmp_path, tiny):
    sums = []
    for name in ("a", "b"):
        checkpoint.save(tmp_path / name, tiny, {"run": name})
        sums.append(checkpoint.read_metadata(tmp_path / name)["sha256"])
    assert sums[0] == sums[1]


def test_write_replaces(path, model):
    checkpoint.save(path, model, {})
    assert checkpoint.load(path).config == model.config
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_failed_write_leaves_the_old_file(path, model, monkeypatch):
    before = path.read_bytes()

    def full(tensors, filename, metadata):
        filename.write_bytes(b"half of")
        raise OSError("no space left on device")

    monkeypatch.setattr(container, "save_file", full)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(path, model, {})
    monkeypatch.undo()

    def refuse(source, target):
        assert source.exists()
        raise OSError("cannot replace")

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(OSError, match="cannot replace"):
        checkpoint.save(path, model, {})
    monkeypatch.undo()

    with pytest.raises(TypeError, match="JSON"):
        checkpoint.save(path, model, {"run": object()})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_saving_does_not_change_the_model(tmp_path):
    model = small_model()
    expected = [astuple(r)[1] for r in Potential(model, "head0").predict(list(structures().values()))]
    checkpoint.save(tmp_path / "m.safetensors", model, {})
    found = [astuple(r)[1] for r in Potential(model, "head0").predict(list(structures().values()))]
    assert found == expected


def test_a_folder_that_vanished_is_an_operating_system_error(tmp_path, tiny):
    with pytest.raises(OSError, match=r"m\.safetensors cannot be written"):
        checkpoint.save(tmp_path / "gone" / "m.safetensors", tiny, {})
