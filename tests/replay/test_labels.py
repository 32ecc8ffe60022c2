"""Pseudo-labels are the model's own, of what was asked, all of them or none."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crossfield.data.frame import Frame, Weights
from crossfield.data.write import to_atoms
from crossfield.errors import InputError
from crossfield.inference.potential import Potential
from crossfield.model import Model
from crossfield.replay import Interrupted, artefact, labelling, pseudo_label, read_labels
from crossfield.replay.labelling import Labelling
from crossfield.theory import Theory
from crossfield.zoo import checkpoint, container
from tests.replay.frames import FILE, assert_equal, awkward_frames
from tests.structures import heads, small_model, structures

NAME = "labels.safetensors"


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """Numbers of structures that were really evaluated."""
    found: list[int] = []
    original = labelling.evaluate

    def watched(model, graph):
        found.append(graph.num_structures)
        return original(model, graph)

    monkeypatch.setattr(labelling, "evaluate", watched)
    return found


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# ------------------------------------------------------------------------------------------ what labels are


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("head", ["head0", "head1"])
def test_labels_are_what_the_head_says(tmp_path: Path, head: str, backend: str) -> None:
    """The potential has tables; labels have none."""
    frames = awkward_frames(2)
    potential = Potential(small_model(), "head0", backend=backend)
    labelled = pseudo_label(potential, head, frames, tmp_path / NAME)
    exact = Potential(small_model(), table_accuracy=None)
    assert len(labelled) == len(frames)
    for frame, given in zip(labelled, frames, strict=True):
        (expected,) = exact.predict(to_atoms(given), head=head)
        assert frame.theory == f"theory{head[-1]}"
        assert frame.energy == pytest.approx(expected.energy, rel=1e-13)
        np.testing.assert_allclose(frame.forces, expected.forces, atol=1e-11)
        assert (frame.stress is None) == (not given.pbc.all())
        if frame.stress is not None:
            np.testing.assert_allclose(frame.stress, expected.stress, atol=1e-13)
        assert_equal(frame, given, but=("theory", "energy", "forces", "stress"))


def test_stress_is_for_three_periodic_axes_alone(potential: Potential, tmp_path: Path) -> None:
    labelled = pseudo_label(potential, None, awkward_frames(), tmp_path / NAME)
    periodic = [name for name, frame in zip(structures(), labelled, strict=True) if frame.stress is not None]
    assert periodic == ["skewed crystal", "one-atom cell", "rocksalt"]
    again = read_labels(tmp_path / NAME)
    assert sum(frame.stress is not None for frame in again.frames) == 3


def test_labels_that_frames_have_are_not_looked_at(potential: Potential, tmp_path: Path, computed) -> None:
    frames = awkward_frames()
    expected = pseudo_label(potential, None, frames, tmp_path / NAME)
    computed.clear()
    other = [replace(f, energy=1.0, forces=np.ones((f.num_atoms, 3)), theory="other") for f in frames]
    for found, frame in zip(pseudo_label(potential, None, other, tmp_path / NAME), expected, strict=True):
        assert_equal(found, frame)
    assert computed == []


def test_float32_labels_are_those_of_float32(tmp_path: Path) -> None:
    frames = awkward_frames()
    single = pseudo_label(Potential(small_model().float(), "head0"), None, frames, tmp_path / "a")
    double = pseudo_label(Potential(small_model(), "head0"), None, frames, tmp_path / "b")
    differences = [np.abs(a.forces - b.forces).max() for a, b in zip(single, double, strict=True)]
    assert 0 < max(differences) < 1e-3
    assert read_labels(tmp_path / "a").fingerprint.dtype == "float32"


@pytest.mark.parametrize("size", [1, 3, 100])
def test_batches_do_not_matter(potential: Potential, tmp_path: Path, size: int) -> None:
    frames = awkward_frames()
    a = pseudo_label(potential, None, frames, tmp_path / "a", batch_size=size)
    b = pseudo_label(potential, None, frames, tmp_path / "b")
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x.forces, y.forces, atol=1e-11)


def test_weights_travel_with_labels(potential: Potential, tmp_path: Path) -> None:
    own = [replace(f, weights=Weights(energy=0.1 * f.index)) for f in awkward_frames()]
    labelled = pseudo_label(potential, None, own, tmp_path / "own")
    assert [f.weights for f in labelled] == [f.weights for f in own]
    assert [f.weights for f in read_labels(tmp_path / "own").frames] == [f.weights for f in own]
    given = Weights(structure=0.5, energy=2.0, forces=3.0, stress=0.0)
    labelled = pseudo_label(potential, None, own, tmp_path / "given", weights=given)
    assert {f.weights for f in (*labelled, *read_labels(tmp_path / "given").frames)} == {given}


def test_numbers_that_the_model_reads_are_those_of_the_theory(tmp_path: Path) -> None:
    """A structure that states none gets the default, and has it when it is trained on."""
    inputs = {"charge": {"classes": 5, "offset": 2}, "field": {"kind": "real", "width": 3}}
    model = small_model(inputs=inputs)
    meaning = {"field": {"meaning": "field along z, V/Å", "default": 0.25}}
    theory = Theory.model_validate({**heads()[0].theory.model_dump(), "inputs": meaning})
    first, second = model.heads
    model.heads = (first.model_copy(update={"theory": theory}), second)
    potential = Potential(model, "head0")
    frames = awkward_frames()
    frames[0] = replace(frames[0], inputs={"field": -1.0, "other": 2.0})
    labelled = pseudo_label(potential, None, frames, tmp_path / NAME)
    assert labelled[0].inputs == {"field": -1.0, "other": 2.0}
    assert all(frame.inputs == {"field": 0.25} for frame in labelled[1:])
    for frame, stored in zip(labelled, read_labels(tmp_path / NAME).frames, strict=True):
        assert frame.inputs == stored.inputs
        atoms = to_atoms(frame)
        (expected,) = Potential(model, "head0", table_accuracy=None).predict(atoms)
        assert frame.energy == pytest.approx(expected.energy, rel=1e-13)
    with pytest.raises(InputError, match=r"awkward\.xyz, frame 1: .*'field'.* theory 'theory1'"):
        pseudo_label(potential, "head1", frames, tmp_path / "none")


# ------------------------------------------------------------------------------------ reading, not computing


def test_the_same_labels_are_read_not_computed(potential: Potential, tmp_path: Path, computed) -> None:
    frames = awkward_frames()
    first = pseudo_label(potential, "head0", frames, tmp_path / "deep" / NAME)
    assert sum(computed) == len(frames)
    assert files(tmp_path / "deep") == [NAME]
    before = (tmp_path / "deep" / NAME).stat().st_mtime_ns
    steps: list[int] = []
    moved = [replace(frame, file="moved.xyz", index=frame.index + 3) for frame in frames]
    for overwrite in (False, True):
        again = pseudo_label(
            Potential(small_model(), table_accuracy=1e-3),
            "head0",
            moved,
            tmp_path / "deep" / NAME,
            overwrite=overwrite,
            advance=steps.append,
        )
        for a, b in zip(again, first, strict=True):
            assert_equal(a, replace(b, file="moved.xyz", index=b.index + 3))
    assert sum(computed) == len(frames)
    assert sum(steps) == 2 * len(frames)
    assert (tmp_path / "deep" / NAME).stat().st_mtime_ns == before


def test_a_file_of_labels_stands_for_itself(potential: Potential, tmp_path: Path) -> None:
    path = tmp_path / NAME
    labelled = pseudo_label(potential, "head1", awkward_frames(), path)
    found = read_labels(path)
    assert found.theory == heads()[1].theory
    assert (found.fingerprint.head, found.fingerprint.structures) == ("head1", len(labelled))
    assert found.sources == tuple((FILE, k) for k in range(len(labelled)))
    for k, (frame, expected) in enumerate(zip(found.frames, labelled, strict=True)):
        assert_equal(frame, replace(expected, file=str(path), index=k))


def otherwise(what: str, frames: list[Frame]) -> tuple[Potential, str, list[Frame], Weights | None]:
    """What is asked for, with one thing other than before."""
    model, head, weights = small_model(), "head0", None
    if what == "the model":
        with torch.no_grad():
            model.readouts["0"].weight[0, 0] += 1e-12
    if what == "the precision":
        model = model.float()
    if what == "the head":
        head = "head1"
    if what == "the number of structures":
        frames = frames[:-1]
    if what == "the structures":
        frames = [*frames[:-1], replace(frames[-1], charge=frames[-1].charge + 2)]
    if what == "the weights":
        weights = Weights(energy=2.0)
    return Potential(model), head, frames, weights


CHANGES = (
    "the model",
    "the head",
    "the precision",
    "the number of structures",
    "the structures",
    "the weights",
    "the version of crossfield",
)


@pytest.mark.parametrize("what", CHANGES)
def test_labels_of_something_else_are_refused(tmp_path: Path, what: str, monkeypatch, computed) -> None:
    path = tmp_path / NAME
    frames = awkward_frames()
    pseudo_label(Potential(small_model()), "head0", frames, path)
    before = path.read_bytes()
    computed.clear()
    if what == "the version of crossfield":
        monkeypatch.setattr("crossfield.replay.labels.version", lambda name: "99.0")
    potential, head, frames, weights = otherwise(what, frames)
    with pytest.raises(
        InputError, match=rf"labels\.safetensors: these labels .*{what} \(.*--overwrite"
    ) as error:
        pseudo_label(potential, head, frames, path, weights=weights)
    also = {"the head": {"the theory of the head"}, "the precision": {"the model"}}.get(what, set())
    for other in set(CHANGES) - {what} - also:
        assert f"{other} (" not in str(error.value)
    assert computed == []
    assert path.read_bytes() == before
    pseudo_label(potential, head, frames, path, weights=weights, overwrite=True)
    assert sum(computed) == len(frames)
    assert path.read_bytes() != before
    computed.clear()
    pseudo_label(potential, head, frames, path, weights=weights)
    assert computed == []
    assert files(tmp_path) == [NAME]


# ------------------------------------------------------------------------------------------- all or nothing


def failing(frames: list[Frame], what: str) -> list[Frame]:
    """Frames, the last of which cannot be labelled."""
    changes = {
        "unknown element": {"Z": np.array([79])},
        "charge without a class": {"charge": 9, "spin": 1},
        "same place": {"Z": np.array([1, 1]), "positions": np.zeros((2, 3)), "spin": 1},
        "not finite": {"positions": np.array([[np.nan, 0.0, 0.0]])},
        "huge": {"Z": np.ones(20_001, dtype=int), "positions": np.zeros((20_001, 3))},
        "impossible spin": {"spin": 1},
    }[what]
    return [*frames[:-1], replace(frames[-1], **changes)]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("unknown element", "head 'head0' does not cover Au"),
        ("charge without a class", "charge"),
        ("same place", "same place"),
        ("huge", "20001 atoms"),
        ("impossible spin", "spin 1 is impossible with 17 electrons"),
    ],
)
def test_a_frame_that_fails_is_named_and_nothing_is_left(potential, tmp_path, what, message) -> None:
    frames = failing(awkward_frames(), what)
    with pytest.raises(InputError, match=rf"awkward\.xyz, frame 10: .*{message}"):
        pseudo_label(potential, None, frames, tmp_path / NAME)
    assert files(tmp_path) == []


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("what", "value", "message"),
    [
        ("energy", np.nan, "energy is nan eV/atom off the reference energies"),
        ("energy", -np.inf, "energy is -inf eV/atom off"),
        ("energy", 1e7, "energy is 5e+06 eV/atom off"),
        ("forces", np.nan, "largest force is nan"),
        ("forces", 1e6, "largest force is 1e+06 eV/Å"),
        ("stress", np.nan, "largest stress is nan"),
        ("stress", 100.0, "largest stress is 100 eV/Å^3"),
    ],
)
def test_a_label_that_is_none_leaves_nothing(potential, tmp_path, monkeypatch, what, value, message) -> None:
    """After parts have been finished."""
    original = labelling.split
    frames = awkward_frames()
    bad = 2 if what == "stress" else 9  # "rocksalt"; "far apart"

    def spoilt(prediction, graph, head):
        results = original(prediction, graph, head)
        first = np.cumsum([0, *(len(r.energies) for r in results)])
        for k, result in enumerate(results):
            if graph.positions[first[k], 0] == frames[bad].positions[0, 0]:
                whole = np.asarray(getattr(result, what))
                changed = whole + value * (np.arange(whole.size).reshape(whole.shape) == whole.size - 1)
                results[k] = replace(result, **{what: float(changed) if what == "energy" else changed})
        return results

    monkeypatch.setattr(labelling, "split", spoilt)
    with pytest.raises(
        InputError, match=rf"frame {bad}: head 'head0' cannot label this .*{re.escape(message)}.*leave it"
    ):
        pseudo_label(potential, None, frames, tmp_path / NAME)
    assert files(tmp_path) == []


def test_labels_of_something_else_stay_until_there_are_others(potential, tmp_path) -> None:
    """And stay refused, so that nobody takes them for what could not be made."""
    path = tmp_path / NAME
    pseudo_label(potential, None, awkward_frames(), path)
    before = path.read_bytes()
    frames = failing(awkward_frames(), "same place")
    with pytest.raises(InputError, match="same place"):
        pseudo_label(potential, None, frames, path, overwrite=True)
    assert path.read_bytes() == before
    assert files(tmp_path) == [NAME]
    with pytest.raises(InputError, match="made from something else"):
        pseudo_label(potential, None, frames, path)


def test_a_theory_without_charges_labels_no_ions(tmp_path: Path) -> None:
    model = small_model(inputs={}, embedding_readout=False)
    plain = Theory(name="plain", spin="2S+1", default_spin=1)
    model.heads = tuple(head.model_copy(update={"theory": plain}) for head in model.heads)
    with pytest.raises(InputError, match="frame 6: head 'head0' only knows charge 0, not -1"):
        pseudo_label(Potential(model), "head0", awkward_frames(), tmp_path / NAME)


def test_nothing_to_label(potential: Potential, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no structures"):
        pseudo_label(potential, None, [], tmp_path / NAME)
    with pytest.raises(InputError, match="unknown head 'head7'"):
        pseudo_label(potential, "head7", awkward_frames(), tmp_path / NAME)
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(InputError, match=r"frame 0: weights must be numbers from 0 on"):
            pseudo_label(potential, None, awkward_frames(), tmp_path / NAME, weights=Weights(forces=bad))
    assert files(tmp_path) == []


# --------------------------------------------------------------------------------------------- interruption


def stop_after(calls: int) -> Callable[[], bool]:
    left = iter([False] * calls)
    return lambda: next(left, True)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_what_was_interrupted_goes_on_to_the_same_bytes(tmp_path: Path, computed, backend: str) -> None:
    """Parts have other elements than those before them."""
    frames = awkward_frames(2)
    make = lambda: Potential(small_model(), "head0", backend=backend)  # noqa: E731
    pseudo_label(make(), None, frames, tmp_path / "whole" / NAME)
    expected = (tmp_path / "whole" / NAME).read_bytes()
    for calls in (0, 2, 5):
        computed.clear()
        folder = tmp_path / f"{backend}{calls}"
        with pytest.raises(Interrupted, match=f"{4 * calls} of 22 structures are labelled"):
            pseudo_label(make(), None, frames, folder / NAME, stop=stop_after(calls))
        assert files(folder) == ([f"{NAME}.parts"] if calls else [])
        assert not calls or len(files(folder / f"{NAME}.parts")) == calls
        pseudo_label(make(), None, frames, folder / NAME)
        assert sum(computed) == len(frames)  # none twice
        assert (folder / NAME).read_bytes() == expected
        assert files(folder) == [NAME]


@pytest.mark.usefixtures("small_parts")
def test_a_run_that_is_killed_goes_on(potential: Potential, tmp_path: Path, monkeypatch, computed) -> None:
    """In the middle of a part: finished ones are kept, that one is not."""
    frames = awkward_frames()
    original = Labelling._checked
    seen = []

    def killed(self, frame, result):
        seen.append(frame)
        if len(seen) == 6:
            raise KeyboardInterrupt
        return original(self, frame, result)

    monkeypatch.setattr(Labelling, "_checked", killed)
    with pytest.raises(KeyboardInterrupt):
        pseudo_label(potential, None, frames, tmp_path / NAME)
    assert files(tmp_path) == [f"{NAME}.parts"]
    assert len(files(tmp_path / f"{NAME}.parts")) == 1
    computed.clear()
    assert len(pseudo_label(potential, None, frames, tmp_path / NAME)) == 11
    assert sum(computed) == 7
    assert files(tmp_path) == [NAME]


@pytest.mark.usefixtures("small_parts")
def test_parts_of_something_else_are_deleted_with_a_word(potential, tmp_path, computed, capsys) -> None:
    frames = awkward_frames()
    with pytest.raises(Interrupted):
        pseudo_label(potential, "head0", frames, tmp_path / NAME, stop=stop_after(2))
    computed.clear()
    pseudo_label(potential, "head1", frames, tmp_path / NAME)
    assert sum(computed) == 11
    assert "holds unfinished labels of something else, they are deleted" in capsys.readouterr().err
    assert files(tmp_path) == [NAME]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("damage", ["a bit", "cut short", "that of another"])
def test_damaged_parts_are_labelled_anew(potential, tmp_path, computed, capsys, damage) -> None:
    frames = awkward_frames()
    pseudo_label(potential, None, frames, tmp_path / "whole" / NAME)
    with pytest.raises(Interrupted):
        pseudo_label(potential, None, frames, tmp_path / NAME, stop=stop_after(2))
    first, second = sorted((tmp_path / f"{NAME}.parts").iterdir())
    content = bytearray(second.read_bytes())
    content[-5] ^= 1
    if damage == "cut short":
        content = content[:-9]
    if damage == "that of another":
        content = bytearray(first.read_bytes())
    second.write_bytes(content)
    computed.clear()
    pseudo_label(potential, None, frames, tmp_path / NAME)
    assert sum(computed) == (11 if damage == "cut short" else 7)  # one that is unreadable is of nobody
    assert capsys.readouterr().err
    assert (tmp_path / NAME).read_bytes() == (tmp_path / "whole" / NAME).read_bytes()


@pytest.mark.usefixtures("small_parts")
def test_what_else_is_in_the_folder_of_parts_stays(potential: Potential, tmp_path: Path) -> None:
    folder = tmp_path / f"{NAME}.parts"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / ".0123.000000.safetensors").write_text("of a run that was killed while it wrote this")
    pseudo_label(potential, None, awkward_frames(), tmp_path / NAME)
    assert files(folder) == ["notes.txt"]


# -------------------------------------------------------------------------------------------------- damage


@pytest.fixture(scope="module")
def sound(potential: Potential, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("labels") / NAME
    pseudo_label(potential, None, awkward_frames(), path)
    return path


def test_one_wrong_bit_anywhere(sound: Path, tmp_path: Path, potential: Potential) -> None:
    content = sound.read_bytes()
    path = tmp_path / NAME
    for at in [3, 9, 40, *range(60, len(content), 997), len(content) - 1]:
        changed = bytearray(content)
        changed[at] ^= 4
        path.write_bytes(changed)
        with pytest.raises(InputError, match=r"labels\.safetensors: "):
            read_labels(path)
    with pytest.raises(InputError, match=r"labels\.safetensors: "):
        pseudo_label(potential, None, awkward_frames(), path)
    assert len(pseudo_label(potential, None, awkward_frames(), path, overwrite=True)) == 11
    assert path.read_bytes() == content


@pytest.mark.parametrize("length", [0, 7, 100, 5000, -1])
def test_a_file_cut_short(sound: Path, tmp_path: Path, length: int) -> None:
    path = tmp_path / NAME
    path.write_bytes(sound.read_bytes()[:length])
    with pytest.raises(InputError, match=r"labels\.safetensors: "):
        read_labels(path)


def test_files_of_other_kinds(tmp_path: Path, sound: Path) -> None:
    checkpoint.save(tmp_path / "model.safetensors", small_model(), {})
    with pytest.raises(InputError, match="without the metadata of a file of pseudo-labels"):
        read_labels(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="no such file"):
        read_labels(tmp_path / "none")
    with pytest.raises(InputError, match="this is not a file"):
        read_labels(tmp_path)


def test_only_labels_are_overwritten(potential: Potential, tmp_path: Path) -> None:
    """Not a model that is there under a name given by mistake."""
    path = tmp_path / "model.safetensors"
    checkpoint.save(path, small_model(), {})
    before = path.read_bytes()
    with pytest.raises(InputError, match="without the metadata of a file of pseudo-labels"):
        pseudo_label(potential, None, awkward_frames(), path, overwrite=True)
    assert path.read_bytes() == before
    with pytest.raises(InputError, match="this is not a file"):
        pseudo_label(potential, None, awkward_frames(), tmp_path, overwrite=True)


def edited(what: str, tensors: dict, document: dict) -> None:
    """Make values impossible, as somebody might whose checksums are right."""
    match what.split()[0]:
        case "missing":
            del tensors["energy"]
        case "extra":
            tensors["other"] = torch.zeros(3)
        case "float32":
            tensors["forces"] = tensors["forces"].float()
        case "atoms":
            tensors["atoms"][0] += 1
        case "overflow":
            tensors["atoms"][0] += 2**62
            tensors["atoms"][1] += 2**62
            tensors["atoms"][2] += 2**62
            tensors["atoms"][3] += 2**62
        case "negative":
            tensors["atoms"][0] += tensors["atoms"][1] + 1
            tensors["atoms"][1] = -1
        case "element":
            tensors["Z"][3] = 119
        case "forces":
            tensors["forces"][2, 1] = float("nan")
        case "stress":
            tensors["stress"][0, 0, 0] = float("inf")
        case "undefined":
            tensors["stress"][4] = 0.0
        case "weights":
            tensors["weights"][0, 0] = -1.0
        case "text":
            tensors["group"][0] = 10_000
        case "texts":
            document["texts"] = [1, 2]
        case "inputs":
            document["inputs"] = ["field"]
        case "theory":
            document["theory"] = {"name": "other"}
        case "theories":
            document["theory"] = 7
        case "fingerprint":
            document["fingerprint"]["structures"] = 3
        case "fields":
            document["fingerprint"]["more"] = 3
        case "short":
            del document["fingerprint"]["model"]
        case "spin":
            tensors["spin"][0] = 0
        case "pbc":
            tensors["pbc"][0, 0] = 2
        case "empty":
            for name in tensors:
                tensors[name] = tensors[name][:0]


EDITS = [
    "missing",
    "extra",
    "float32",
    "atoms",
    "overflow",
    "negative",
    "element",
    "forces",
    "stress",
    "undefined",
    "weights",
    "text",
    "texts",
    "inputs",
    "theory",
    "theories",
    "fingerprint",
    "fields",
    "short",
    "spin",
    "pbc",
    "empty",
]


@pytest.mark.parametrize("what", EDITS)
def test_values_that_cannot_be(sound: Path, tmp_path: Path, what: str) -> None:
    document, tensors = container.read(sound, artefact.KIND)
    del document["sha256"], document["format_version"]
    edited(what, tensors, document)
    path = tmp_path / NAME
    container.write(path, artefact.KIND, tensors, document)
    with pytest.raises(
        InputError, match=r"labels\.safetensors: the labels are damaged \(.*\); delete the file"
    ):
        read_labels(path)


def test_the_edit_above_is_what_is_refused(sound: Path, tmp_path: Path) -> None:
    document, tensors = container.read(sound, artefact.KIND)
    del document["sha256"], document["format_version"]
    container.write(tmp_path / NAME, artefact.KIND, tensors, document)
    assert len(read_labels(tmp_path / NAME).frames) == 11


def test_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    model: Model = small_model()
    potential = Potential(model, "head0", backend="reference")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pseudo_label(potential, None, awkward_frames(), tmp_path / NAME)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not torch.are_deterministic_algorithms_enabled()
    assert labelling.SHARD == 256
