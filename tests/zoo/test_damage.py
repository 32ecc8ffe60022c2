"""A damaged file is refused with a message that names it; it never gives other numbers."""

from __future__ import annotations

import json
import os
import pickle
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from crossfield.errors import InputError
from crossfield.model import Model
from crossfield.zoo import checkpoint, container


def same(a: Model, b: Model) -> bool:
    x, y = a.state_dict(), b.state_dict()
    return (
        list(x) == list(y)
        and all(torch.equal(x[k], y[k]) and x[k].dtype == y[k].dtype for k in x)
        and (a.config, a.heads) == (b.config, b.heads)
    )


def refusal(path) -> str:
    """The message with which a file is refused; names the file, on one line."""
    with pytest.raises(InputError) as error:
        checkpoint.load(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


def rewrite(path, change_tensors=None, change_document=None) -> None:
    """Change the content and write it back with sound checksums."""
    document, tensors = container.read(path, checkpoint.KIND)
    if change_tensors:
        change_tensors(tensors)
    if change_document:
        change_document(document)
    container.write(path, checkpoint.KIND, tensors, document)


def header_size(data: bytes) -> int:
    return 8 + struct.unpack("<Q", data[:8])[0]


def test_truncated(path):
    data = path.read_bytes()
    places = np.linspace(0, len(data) - 1, 50).astype(int)
    assert len(set(places.tolist())) == 50
    for place in places:
        path.write_bytes(data[:place])
        refusal(path)
    path.write_bytes(data + b"\0" * 8)
    refusal(path)


@pytest.mark.parametrize("where", ["header", "tensors"])
def test_flipped_bits(path, tiny, where):
    data = path.read_bytes()
    low, high = (0, header_size(data)) if where == "header" else (header_size(data), len(data))
    rng = np.random.default_rng(0)
    refused = 0
    for byte, bit in zip(rng.integers(low, high, 200), rng.integers(0, 8, 200)):
        damaged = bytearray(data)
        damaged[byte] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            read = checkpoint.load(path)
        except InputError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017 (a file that reads as before is fine too)
            refused += 1
        else:
            assert same(read, tiny)
    assert refused >= 195  # blanks that pad the header may change


def test_flipped_bits_in_reference_energies(path):
    """The digits of a number in the metadata are as vulnerable as the bytes of a tensor."""
    data = path.read_bytes()
    digits = data.index(b"-87.0")  # E0 of Cu
    damaged = bytearray(data)
    damaged[digits + 1] ^= 1  # -97.0
    path.write_bytes(damaged)
    assert "damaged (checksum)" in refusal(path)
    with pytest.raises(InputError, match="damaged"):
        checkpoint.read_metadata(path)


def test_one_bit_of_one_weight(path):
    data = bytearray(path.read_bytes())
    data[-8] ^= 1  # lowest bit of the mantissa
    path.write_bytes(data)
    assert "the file is damaged (checksum)" in refusal(path)


def test_tensors_under_swapped_names(path):
    """Two tensors of one shape that trade places would pass every other check."""
    _, tensors = container.read(path, checkpoint.KIND)
    names = sorted(tensors)
    a, b = next((x, y) for x in names for y in names if x < y and tensors[x].shape == tensors[y].shape)
    length = header_size(path.read_bytes())
    header = json.loads(path.read_bytes()[8:length])
    header[a], header[b] = header[b], header[a]
    text = json.dumps(header, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + path.read_bytes()[length:])
    assert "damaged (checksum)" in refusal(path)


def test_missing_and_left_over_tensors(path):
    rewrite(path, lambda tensors: [tensors.pop(name) for name in sorted(tensors)[:2]])
    assert "is missing (2 in all)" in refusal(path)
    rewrite(path, lambda tensors: tensors.clear())
    assert "is missing" in refusal(path)


def test_left_over_tensor(path):
    rewrite(path, lambda tensors: tensors.update(stray=torch.zeros(2, dtype=torch.float64)))
    assert "tensor 'stray' does not belong to this model" in refusal(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[None].clone(), "has shape"),
        (lambda t: t.reshape(-1)[:-1].clone(), "has shape"),
        (lambda t: t.round().long(), "is torch.int64, expected float32 or float64"),
        (lambda t: t.half(), "is torch.float16"),
        (lambda t: t.bfloat16(), "is torch.bfloat16"),
        (lambda t: t.float(), "others are torch.float32"),
        (
            lambda t: torch.where(torch.arange(t.numel()).reshape(t.shape) == 0, torch.nan, t),
            "NaN or infinity",
        ),
        (lambda t: t * torch.inf, "NaN or infinity"),
    ],
)
def test_tensors_that_cannot_be_weights(path, change, message):
    name = "embedding.weight"
    rewrite(path, lambda tensors: tensors.update({name: change(tensors[name])}))
    text = refusal(path)
    assert message in text
    assert "tensor '" in text


@pytest.mark.parametrize("found", [0, checkpoint.KIND.version + 1, "1", None, [1], True, 1.0])
def test_wrong_format_version(path, found):
    rewrite(path, change_document=lambda document: document.update(format_version=found))
    assert f"format version {found} is not known here" in refusal(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("config", None, "ModelConfig"),
        ("config", 3, "ModelConfig"),
        ("config", {}, "ModelConfig.elements: Field required"),
        ("heads", None, "not iterable"),
        ("heads", 7, "not iterable"),
        ("heads", [], "at least one head"),
        ("heads", ["head0"], "Head"),
        ("heads", {"head0": {}}, "Head"),
        ("heads", [{"name": "x"}], "Head.theory: Field required"),
    ],
)
def test_wrong_descriptions(path, key, value, message):
    rewrite(path, change_document=lambda document: document.update({key: value}))
    text = refusal(path)
    assert "the description of the model is damaged" in text
    assert message in text
    rewrite(path, change_document=lambda document: document.pop(key))
    assert f"damaged: '{key}'" in refusal(path)


def test_wrong_values_within_descriptions(path):
    rewrite(path, change_document=lambda document: document["config"].update(l_max="three"))
    assert "ModelConfig.l_max" in refusal(path)


def test_reference_energies_must_be_finite(path):
    rewrite(path, change_document=lambda document: document["heads"][1]["E0"].update({"1": float("nan")}))
    assert "Head.E0.1: Input should be a finite number" in refusal(path)


def test_other_config_than_the_tensors(path):
    rewrite(path, change_document=lambda document: document["config"].update(channels=3))
    assert "has shape" in refusal(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "not json",
        "[]",
        "3",
        "null",
        '"text"',
        "{}",
        "[" * 100_000,
        '{"format_version": 1' + "0" * 5000,
    ],
)
def test_metadata_that_is_no_document(tmp_path, text):
    path = tmp_path / "m.safetensors"
    metadata = {"crossfield": text, "sha256": container.sha256(text.encode())}
    save_file({"x": torch.zeros(2)}, path, metadata=metadata)
    assert "without the metadata of a Crossfield checkpoint" in refusal(path)


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}])
def test_safetensors_of_someone_else(tmp_path, metadata):
    path = tmp_path / "m.safetensors"
    save_file({"x": torch.zeros(2)}, path, metadata=metadata)
    assert "without the metadata of a Crossfield checkpoint" in refusal(path)
    with pytest.raises(InputError, match="without the metadata"):
        checkpoint.read_metadata(path)


def test_checksums_cannot_be_left_out(path):
    document, tensors = container.read(path, checkpoint.KIND)
    save_file(tensors, path, metadata={"crossfield": json.dumps(document)})
    assert "damaged (checksum)" in refusal(path)
    text = json.dumps({k: v for k, v in document.items() if k != "sha256"})
    save_file(tensors, path, metadata={"crossfield": text, "sha256": container.sha256(text.encode())})
    assert "damaged (checksum)" in refusal(path)


def test_what_is_no_file(tmp_path):
    assert "no such file" in refusal(tmp_path / "nowhere.safetensors")
    assert "this is not a file" in refusal(tmp_path)
    (tmp_path / "empty").touch()
    assert "not a Crossfield checkpoint" in refusal(tmp_path / "empty")
    (tmp_path / "text.model").write_text("Hello.\n" * 100)
    assert "not a Crossfield checkpoint" in refusal(tmp_path / "text.model")


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt", "model.model"])
def test_pickles_are_not_executed(tmp_path, name):
    marker = tmp_path / "executed"
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Bomb(str(marker))))
    assert b"mkdir" in path.read_bytes()  # the bomb is live
    assert "not a Crossfield checkpoint" in refusal(path)
    assert not marker.exists()
    torch.save({"model": Bomb(str(marker))}, path)
    assert "not a Crossfield checkpoint" in refusal(path)
    assert not marker.exists()


def test_a_file_that_is_replaced_while_it_is_read(path, monkeypatch):
    """The name may come to mean another file between its header and its tensors: that one is read then."""
    document, tensors = container.read(path, checkpoint.KIND)
    other = {name: tensor + 1 for name, tensor in tensors.items()}
    open_file, calls = container.safe_open, []

    def replaced_once(*args: object, **kwargs: object) -> object:
        file = open_file(*args, **kwargs)
        calls.append(1)
        if len(calls) == 1:
            container.write(path, checkpoint.KIND, other, document)
        return file

    monkeypatch.setattr(container, "safe_open", replaced_once)
    _, found = container.read(path, checkpoint.KIND)
    assert len(calls) == 2
    assert all(torch.equal(found[name], other[name]) for name in other)
