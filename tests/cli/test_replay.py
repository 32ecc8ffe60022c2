"""`crossfield replay`: from files to selections and labels."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import crossfield as package
from crossfield.cli import replay_label
from crossfield.data.read import read_source, read_structures
from crossfield.data.source import Source
from crossfield.data.write import to_atoms
from crossfield.model import fingerprint
from crossfield.replay import Interrupted, read_labels, read_record
from crossfield.theory import get_theory
from crossfield.zoo import checkpoint
from tests.cli.conftest import Command
from tests.data.malformed import THEORY, draft

Refused = Callable[..., str]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Molecules, crystals of NaCl, slabs of Al and O, without labels; four of each."""
    path = tmp_path / "mixed.xyz"
    drafts = [draft(kind, k) for k in range(4) for kind in ("molecule", "crystal", "slab")]
    for d in drafts:
        for key in ("energy", "stress", "theory"):
            d.comment.pop(key, None)
    path.write_text("".join(d.text() for d in drafts))
    return path


def test_a_selection_keeps_labels_and_origin(crossfield: Command, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "kept.xyz.gz"
    arguments = ("--theory", THEORY, "--method", "random", "--count", 5, "--seed", 3)
    outcome = crossfield("replay", "select", data / "water.xyz", *arguments, "-o", out)
    assert outcome.code == 0, outcome.err
    assert "5 of 16 structures chosen (random, seed 3)" in outcome.out
    assert f"written to {out}, its origin to kept.xyz.gz.json" in outcome.out
    kept = read_source(Source(files=(out,)), get_theory(THEORY)).frames
    known = {f.energy for f in read_source(Source(files=(data / "water.xyz",)), get_theory(THEORY)).frames}
    assert len({f.energy for f in kept} & known) == 5
    record = read_record(out)
    assert list(record.files) == [str(data / "water.xyz")]
    assert record.provenance["theory"] == THEORY
    first = out.read_bytes()
    crossfield("replay", "select", data / "water.xyz", *arguments, "-o", out)
    assert out.read_bytes() == first


def test_farthest_by_what_a_model_sees(crossfield, data: Path, model: Path, mixed: Path, tmp_path) -> None:
    out = tmp_path / "kept.xyz"
    arguments = ("--model", model, "--head", "molecules", "--count", 3, "-o", out)
    outcome = crossfield("replay", "select", mixed, *arguments)
    assert outcome.code == 0, outcome.err
    frames = read_structures(out).frames
    assert {frame.group for frame in frames} == {"molecule", "crystal", "slab"}  # one of each
    found = read_record(out).provenance["model"]
    assert found["head"] == "molecules"
    assert found["fingerprint"] == fingerprint(checkpoint.load(model))


def test_elements_are_those_of_the_new_data_and_of_the_head(crossfield, model, mixed, tmp_path) -> None:
    new = tmp_path / "new.xyz"
    new.write_text(draft("molecule", 1).text())
    out = tmp_path / "kept.xyz"
    arguments = ("--method", "all", "--elements", "combinations", "--of", new, "-o", out)
    outcome = crossfield("replay", "select", mixed, *arguments)
    assert outcome.code == 0, outcome.err
    assert "8 of 12 structures left out: elements are not combinations of H O" in outcome.out
    assert "elements in no structure that passes the filter: Na Al Cl" in outcome.out
    assert {frame.group for frame in read_structures(out).frames} == {"molecule"}
    assert list(read_record(out).provenance["new_data"]) == [str(new)]

    odd = tmp_path / "odd.xyz"
    odd.write_text(mixed.read_text().replace("Al ", "Ga "))
    outcome = crossfield(
        "replay", "select", odd, "--method", "all", "--model", model, "--head", "molecules", "-o", out
    )
    assert "4 of 12 structures left out: no reference energy for Ga" in outcome.out


def test_from_selection_to_labels(crossfield: Command, model: Path, mixed: Path, tmp_path: Path) -> None:
    """The commands of the documentation, one after the other."""
    kept, labels = tmp_path / "kept.xyz.gz", tmp_path / "new" / "labels.safetensors"
    select = (
        "select",
        mixed,
        "--model",
        model,
        "--head",
        "molecules",
        "--method",
        "stratified",
        "--count",
        9,
    )
    assert crossfield("replay", *select, "-o", kept).code == 0
    label = ("replay", "label", model, kept, "--head", "molecules", "-o", labels, "--energy-weight", 0.5)
    outcome = crossfield(*label)
    assert outcome.code == 0, outcome.err
    assert (
        f"labels of 9 structures by head molecules, 3 of them with stress, written: {labels}" in outcome.out
    )
    found = read_labels(labels)
    assert found.theory == get_theory(THEORY)
    assert {frame.weights.energy for frame in found.frames} == {0.5}
    assert found.sources == tuple((str(kept), k) for k in range(9))
    exact = package.load(model, head="molecules", table_accuracy=None)
    for frame, given in zip(found.frames, read_structures(kept).frames, strict=True):
        (expected,) = exact.predict(to_atoms(given))
        assert frame.energy == pytest.approx(expected.energy, rel=1e-7)
    before = labels.read_bytes()
    assert "read, as they are there already" in crossfield(*label).out
    assert labels.read_bytes() == before

    shown = crossfield("replay", "show", labels)
    assert shown.code == 0, shown.err
    for text in (
        f"labels of   head molecules, theory {THEORY}",
        "structures  9 with",
        "elements    H 3, O 6, Na 3, Al 3, Cl 3",
        "energy 0.5",
        f"from        {kept} 9",
        found.fingerprint.model,
        found.fingerprint.data,
        "in float32, exact",
    ):
        assert text in shown.out
    shown = crossfield("replay", "show", kept)
    assert shown.code == 0, shown.err
    for text in ("by method stratified, seed 0", "9 with", "of 12", str(mixed), "H 3, O 6, Na 3, Al 3, Cl 3"):
        assert text in shown.out


def test_stale_labels_are_refused_or_made_anew(
    crossfield, refused, model, mixed: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.safetensors"
    label = ("replay", "label", model, mixed, "--head", "molecules", "-o", labels)
    assert crossfield(*label).code == 0
    line = refused(*label, "--dtype", "float64")
    assert "the precision (float32 then, float64 now)" in line
    assert "the weights" in refused(*label, "--weight", 2)
    mixed.write_text(mixed.read_text() + draft("molecule", 9).text())
    assert "the number of structures (12 then, 13 now)" in refused(*label)
    assert read_labels(labels).fingerprint.structures == 12
    assert crossfield(*label, "--overwrite").code == 0
    assert read_labels(labels).fingerprint.structures == 13


def test_an_interruption_is_no_error_and_goes_on(crossfield, model, mixed, tmp_path, monkeypatch) -> None:
    labels = tmp_path / "labels.safetensors"
    label = ("replay", "label", model, mixed, "--head", "molecules", "-o", labels)

    def interrupt(*args: object, stop: Callable[[], bool], **options: object) -> None:
        assert not stop()
        raise Interrupted(4, 12)

    monkeypatch.setattr("crossfield.replay.pseudo_label", interrupt)
    outcome = crossfield(*label)
    assert outcome.code == replay_label.INTERRUPTED
    assert "interrupted: 4 of 12 structures are labelled; repeat the command to go on" in outcome.out


def test_a_bad_frame_stops_it_or_is_listed(crossfield, refused, model, mixed, tmp_path) -> None:
    mixed.write_text(mixed.read_text().replace("charge=0", "charge=0.5", 1))
    labels = tmp_path / "labels.safetensors"
    label = ("replay", "label", model, mixed, "--head", "molecules", "-o", labels)
    assert f"{mixed}, frame 0: charge must be a whole number" in refused(*label)
    outcome = crossfield(*label, "--skip-bad")
    assert outcome.code == 0
    assert f"not used: {mixed}, frame 0: charge" in outcome.out
    labels.unlink()
    mixed.write_text(mixed.read_text().replace("Al ", "Ga ", 1))
    assert re.search(r"frame 2: head 'molecules' does not cover Ga", refused(*label, "--skip-bad"))
    assert not labels.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("select", "DATA", "-o", "OUT", "--count", "2"), "--method farthest compares what a model sees"),
        (("select", "DATA", "-o", "OUT", "--method", "best"), "--method: Input should be 'all', 'random'"),
        (("select", "DATA", "-o", "OUT", "--method", "all", "--count", "2"), "'all' takes no count"),
        (
            ("select", "DATA", "-o", "OUT", "--elements", "some", "--of", "DATA"),
            "--elements: Input should be",
        ),
        (("select", "DATA", "-o", "OUT", "--elements", "exclusive"), "--elements and --of go together"),
        (("select", "DATA", "-o", "OUT", "--of", "DATA"), "--elements and --of go together"),
        (("select", "DATA", "-o", "OUT", "--head", "molecules"), "--head is one of --model"),
        (("select", "DATA", "-o", "OUT", "--count", "0"), "--count"),
        (("select", "DATA", "-o", "OUT", "--theory", "pbee_gpaw"), "unknown theory 'pbee_gpaw'"),
        (("select", "DATA", "-o", "DATA", "--method", "all"), "this is one of the inputs"),
        (("select", "none.xyz", "-o", "OUT", "--method", "all"), "none.xyz: no such file"),
        (("select", "DATA", "-o", "OUT", "--model", "MODEL"), "choose one of: molecules, crystals"),
        (("select", "DATA", "-o", "OUT", "--key", "charge=q", "--key", "charge=r"), "charge is given twice"),
        (("select", "DATA", "--method", "all"), "Missing option '--output'"),
        (("label", "MODEL", "DATA", "-o", "OUT"), "choose one of: molecules, crystals"),
        (("label", "MODEL", "DATA", "-o", "MODEL", "--head", "molecules"), "this is one of the inputs"),
        (
            ("label", "MODEL", "DATA", "-o", "OUT", "--head", "molecules", "--weight", "nan"),
            "weights must be",
        ),
        (("label", "MODEL", "DATA", "-o", "OUT", "--head", "molecules", "--weight", "-1"), "weights must be"),
        (("label", "none.safetensors", "DATA", "-o", "OUT"), "none.safetensors: no such file"),
        (("show", "DATA"), "not a selection: there is no mixed.xyz.json beside it"),
        (("show", "MODEL"), "without the metadata of a file of pseudo-labels"),
        (("show", "none.safetensors"), "none.safetensors: no such file"),
        (("slect",), "No such command 'slect'"),
    ],
)
def test_refusals(refused: Refused, model, mixed, tmp_path, arguments, message) -> None:
    names = {"DATA": mixed, "OUT": tmp_path / "out", "MODEL": model}
    assert message in refused("replay", *(names.get(a, a) for a in arguments))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mixed.xyz"]


@pytest.mark.parametrize("name", ["select", "label", "show"])
def test_examples_keep_their_lines(crossfield: Command, name: str) -> None:
    outcome = crossfield("replay", name, "--help")
    assert outcome.code == 0
    lines = [line.strip() for line in outcome.out.splitlines()]
    start = lines.index("Examples") + 1
    examples = lines[start : lines.index("", start)]
    assert len(examples) >= 2
    assert all(line.startswith(f"crossfield replay {name} ") for line in examples), examples


def test_without_a_verb_there_is_help(crossfield: Command) -> None:
    outcome = crossfield("replay")
    assert outcome.code == 2
    assert all(re.search(rf"\b{verb} +[A-Z]", outcome.out) for verb in ("select", "label", "show"))


def test_precision_and_back_end_can_be_chosen(crossfield, model, mixed, tmp_path) -> None:
    labels = tmp_path / "labels.safetensors"
    arguments = ("--head", "molecules", "-o", labels, "--dtype", "float64", "--backend", "reference")
    assert crossfield("replay", "label", model, mixed, *arguments).code == 0
    found = read_labels(labels)
    potential = package.load(model, head="molecules", dtype="float64", table_accuracy=None)
    (expected,) = potential.predict(to_atoms(read_structures(mixed).frames[1]))
    assert found.frames[1].energy == pytest.approx(expected.energy, rel=1e-12)
    assert found.fingerprint.dtype == "float64"
