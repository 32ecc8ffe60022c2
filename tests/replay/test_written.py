"""A written selection reads back as it was, and knows where it came from."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest

from crossfield.data.frame import Frame, Weights
from crossfield.data.read import read_source, read_structures
from crossfield.data.source import Source
from crossfield.errors import InputError
from crossfield.replay import SelectionConfig, read_record, select, write_selection
from crossfield.replay.written import record_path
from crossfield.theory import Theory
from tests.replay.frames import assert_equal, awkward_frames

THEORY = Theory.model_validate(
    {
        "name": "made",
        "charge": "total charge",
        "spin": "2S+1",
        "inputs": {"field_z": {"meaning": "electric field, V/Å"}, "kT": {"meaning": "smearing, eV"}},
    }
)
AWKWARD_TEXTS = ('Ca "2+" in \\water\\', "a=b, c={d} [e]", "Å and ω", "x\ty", "'", "=", "1.0")


def labelled(file: str) -> list[Frame]:
    """Every kind of structure, with labels that need all their digits."""
    random = np.random.default_rng(2)
    frames = []
    for k, frame in enumerate(awkward_frames(2)):
        stress = random.normal(size=(3, 3)) * (9.0 if k % 3 else 1e-9)
        own = random.random(4) if k % 2 else np.ones(4)
        frames.append(
            replace(
                frame,
                theory="made",
                spin=1 + (int(frame.Z.sum()) - frame.charge) % 2,
                energy=-1e5 * random.random() if k % 5 else None,
                forces=random.normal(size=frame.positions.shape) * 10.0 ** random.integers(-300, 2),
                stress=(stress + stress.T) / 2 if frame.pbc.all() else None,
                group=AWKWARD_TEXTS[k % len(AWKWARD_TEXTS)],
                domain=AWKWARD_TEXTS[-k % len(AWKWARD_TEXTS)] if k % 4 else "",
                weights=Weights(*own.tolist()),
                file=file,
                index=k + 5,
                inputs={"field_z": random.normal(), "kT": -0.0},
            )
        )
    return frames


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "old.xyz"
    path.write_text("what was selected from")
    return path


@pytest.mark.parametrize("name", ["kept.xyz", "kept.xyz.gz", "kept.extxyz"])
def test_it_reads_back_to_the_last_bit(tmp_path: Path, source: Path, name: str) -> None:
    frames = labelled(str(source))
    found = select(frames, SelectionConfig(method="random", count=15, seed=4))
    path = tmp_path / name
    write_selection(path, frames, found, {})
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    again = read_source(Source(files=(path,), check_units=False), THEORY).frames
    assert len(again) == 15
    for k, (frame, position) in enumerate(zip(again, found.indices, strict=True)):
        assert_equal(frame, frames[position], but=("file", "index", "weights"))
        assert frame.weights == frames[position].weights
        assert (frame.file, frame.index) == (str(path), k)


def test_origin_of_each_frame_for_any_reader(tmp_path: Path, source: Path) -> None:
    frames = [replace(f, group="g", domain="") for f in labelled(str(source))]
    path = tmp_path / "kept.xyz"
    found = select(frames, SelectionConfig(method="random", count=6))
    write_selection(path, frames, found, {})
    for atoms, k in zip(ase.io.read(path, ":"), found.indices, strict=True):
        assert atoms.info["source_file"] == str(source)
        assert atoms.info["source_frame"] == frames[k].index
        np.testing.assert_array_equal(atoms.positions, frames[k].positions)


def test_structures_without_labels(tmp_path: Path) -> None:
    frames = awkward_frames()
    path = tmp_path / "kept.xyz"
    write_selection(path, frames, select(frames, SelectionConfig(method="all")), {})
    for frame, expected in zip(read_structures(path).frames, frames, strict=True):
        assert_equal(frame, expected, but=("file", "index"))


def test_what_was_assumed_is_not_written_as_stated(tmp_path: Path) -> None:
    """A theory without defaults would take it for what the file says."""
    strict = Theory(name="strict", charge="e", spin="2S+1", default_charge=None, default_spin=None)
    frames = [frame for frame in awkward_frames() if frame.charge == 0 and frame.spin == 1]
    frames = [frame for frame in frames if not frame.Z.sum() % 2]
    found = select(frames, SelectionConfig(method="all"))
    for assumed in (True, False):
        path = tmp_path / f"{assumed}.xyz"
        write_selection(path, frames, found, {}, assumed=assumed)
        assert len(read_structures(path).frames) == len(frames)
        if assumed:
            with pytest.raises(InputError, match="the frame does not state it"):
                read_structures(path, theory=strict)
        else:
            assert len(read_structures(path, theory=strict).frames) == len(frames)
    ions = [frame for frame in awkward_frames() if frame.charge or frame.spin > 1]
    write_selection(path, ions, select(ions, SelectionConfig(method="all")), {}, assumed=True)
    for frame, expected in zip(read_structures(path).frames, ions, strict=True):
        assert (frame.charge, frame.spin) == (expected.charge, expected.spin)


def test_the_same_selection_is_the_same_file(tmp_path: Path, source: Path) -> None:
    """Neither its name nor the time is in it, as gzip would have them."""
    frames = labelled(str(source))
    found = select(frames, SelectionConfig(method="random", count=5))
    for name in ("a.xyz.gz", "b.xyz.gz"):
        write_selection(tmp_path / name, frames, found, {})
    assert (tmp_path / "a.xyz.gz").read_bytes() == (tmp_path / "b.xyz.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.xyz.gz").read_bytes())


def test_provenance(tmp_path: Path, source: Path) -> None:
    frames = [*labelled(str(source)), replace(labelled("gone.xyz")[0], group="z")]
    found = select(frames, SelectionConfig(method="stratified", count=5, seed=2))
    path = tmp_path / "kept.xyz.gz"
    write_selection(path, frames, found, {"model": {"name": "base"}})
    record = read_record(path)
    assert record.selection == found.record
    assert record.files == {
        str(source): hashlib.sha256(source.read_bytes()).hexdigest(),
        "gone.xyz": None,
    }
    assert record.provenance == {"model": {"name": "base"}}
    assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record.versions["crossfield"]
    assert json.loads((tmp_path / "kept.xyz.gz.json").read_text())["selection"]["config"]["seed"] == 2


def test_files_of_any_name(tmp_path: Path) -> None:
    """A name may hold a line break, quotes and bytes that are no text."""
    frames = [replace(f, file='a\n"b" \udcff.xyz') for f in awkward_frames()]
    path = tmp_path / "kept.xyz"
    write_selection(path, frames, select(frames, SelectionConfig(method="all")), {})
    assert len(read_structures(path).frames) == len(frames)
    assert list(read_record(path).files) == ['a\\n"b" \\xff.xyz']


@pytest.mark.parametrize("what", ["group", "domain", "theory"])
@pytest.mark.parametrize("text", ["a\nb", "a\0b", " a", "a\r"])
def test_text_that_no_line_can_hold_leaves_nothing(tmp_path: Path, what: str, text: str) -> None:
    frames = awkward_frames()
    frames[3] = replace(frames[3], **{what: text})
    found = select(frames, SelectionConfig(method="all"))
    with pytest.raises(InputError, match=rf"awkward\.xyz, frame 3: the {what} .* cannot be written"):
        write_selection(tmp_path / "kept.xyz", frames, found, {})
    assert list(tmp_path.iterdir()) == []


def written(tmp_path: Path) -> Path:
    frames = awkward_frames()
    path = tmp_path / "kept.xyz"
    write_selection(path, frames, select(frames, SelectionConfig(method="all")), {})
    return path


def test_structures_that_were_changed_since(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text().replace("charge=0", "charge=1", 1))
    with pytest.raises(InputError, match=r"kept\.xyz: the structures were changed since"):
        read_record(path)


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[" * 100_000, "null", '{"format_version": 1}', '{"format_version": "1"', "\xff"],
)
def test_damaged_provenance(tmp_path: Path, content: str) -> None:
    path = written(tmp_path)
    record_path(path).write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"kept\.xyz\.json: not the provenance of a selection, or damaged"):
        read_record(path)


def test_provenance_of_a_newer_version(tmp_path: Path) -> None:
    path = written(tmp_path)
    text = record_path(path).read_text().replace('"format_version": 1', '"format_version": 2')
    record_path(path).write_text(text)
    with pytest.raises(InputError, match="format version 2 is not known here"):
        read_record(path)


def test_no_provenance_and_no_file(tmp_path: Path) -> None:
    path = written(tmp_path)
    record_path(path).unlink()
    with pytest.raises(InputError, match=r"there is no kept\.xyz\.json beside it"):
        read_record(path)
    with pytest.raises(InputError, match=r"none\.xyz: no such file"):
        read_record(tmp_path / "none.xyz")
