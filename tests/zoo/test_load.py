from __future__ import annotations

import numpy as np
import pytest
import torch
from ase.build import molecule

import crossfield
from crossfield.errors import InputError
from crossfield.zoo import load


def test_load(path, tiny):
    for name in (path, str(path)):
        potential = load(name, head="head1", device="cpu")
        assert potential.head == "head1"
        assert potential.heads == ["head0", "head1"]
        assert potential.elements == tiny.config.elements
        assert potential.cutoff == tiny.config.cutoff
        assert potential.model.dtype == torch.float64
        assert not any(p.requires_grad for p in potential.model.parameters())
    assert crossfield.load is load


@pytest.mark.parametrize("dtype", ["float32", torch.float32, "float64", torch.float64])
def test_dtype(path, dtype):
    potential = load(path, head="head0", dtype=dtype, device="cpu", backend="reference")
    assert str(potential.model.dtype).removeprefix("torch.") == str(dtype).removeprefix("torch.")
    (result,) = potential.predict(molecule("H2O"))
    assert result.forces.dtype == np.float64
    assert result.energy == pytest.approx(
        load(path, head="head0").predict(molecule("H2O"))[0].energy, rel=1e-5
    )


def test_device_auto_is_a_gpu_where_there_is_one(path):
    assert load(path).model.device.type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backend": "fast"}, r"unknown back end 'fast' \(there are: auto, reference, numba, triton\)"),
        ({"device": "gpu"}, r"unknown device 'gpu' \(for instance: cpu, cuda, cuda:0\)"),
        ({"device": "meta"}, "device 'meta' cannot hold float64"),
        ({"dtype": "float16"}, r"unknown dtype 'float16' \(there are: float32, float64\)"),
        ({"dtype": torch.float16}, "unknown dtype torch.float16"),
        ({"dtype": "torch.float64"}, "unknown dtype 'torch.float64'"),
        ({"head": "haed1"}, r"unknown head 'haed1'; did you mean 'head1'\? \(this model has: head0, head1\)"),
    ],
)
def test_unknown_choices(path, settings, message):
    with pytest.raises(InputError, match=message):
        load(path, **settings)


def test_no_gpu(path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert load(path).model.device.type == "cpu"
    with pytest.raises(InputError, match=r"device 'cuda': torch .* is built without CUDA: install one"):
        load(path, device="cuda")


def test_without_a_head_one_must_be_named_at_last(path):
    potential = load(path)
    assert potential.head is None
    with pytest.raises(InputError, match="choose one of: head0, head1"):
        potential.predict(molecule("H2O"))
    assert potential.predict(molecule("H2O"), head="head1")[0].head == "head1"


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.safetensors: no such file"):
        load(tmp_path / "nothing.safetensors")
