"""`crossfield heads`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import pytest
import torch

from crossfield.heads import add_head, keep_heads, rename_head
from crossfield.theory import get_theory
from crossfield.zoo import checkpoint
from tests.cli.conftest import Command
from tests.heads.models import NEW, assert_same_model, made
from tests.zoo.samples import NONLINEAR

Refused = Callable[..., str]
COMMANDS = ("list", "add", "remove", "rename", "reorder", "default", "merge", "elements")
PROVENANCE = {"seed": 3, "data": {"head0": {"frames": {"train": 7}}, "head1": {"frames": {"train": 9}}}}
E0 = "H=-13.6,O=-2041.8"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with heads head0 and head1, without a default."""
    path = tmp_path_factory.mktemp("heads") / "m.safetensors"
    checkpoint.save(path, made(readout="bias", l_max=1, correlation=2), PROVENANCE)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "new" / "out.safetensors"


def provenance(path: Path) -> dict[str, object]:
    return checkpoint.read_metadata(path)["provenance"]


def test_list(crossfield: Command, file: Path) -> None:
    outcome = crossfield("heads", "list", file)
    assert outcome.code == 0
    assert re.search(r"head0 +theory0 +test +none +10 +1.5 +0 *\n", outcome.out)
    assert re.search(r"head1 +theory1 +test +none +10 +2.5 +0.1 *\n", outcome.out)
    assert "dispersion (" not in outcome.out


def test_there_and_back(crossfield: Command, file: Path, out: Path, tmp_path: Path) -> None:
    """The weights of the file that comes back are those of the first, bit for bit."""
    outcome = crossfield(
        "heads", "add", file, "mine", "--theory", "wb97m_d3bj_def2svp", "--from", "head1", "-o", out
    )
    assert outcome.code == 0
    assert re.search(r"mine +wb97m_", outcome.out)
    model = checkpoint.load(out)
    assert model.heads[2].E0 == model.heads[1].E0
    assert (model.heads[2].scale, model.heads[2].shift) == (2.5, 0.1)
    assert model.heads[2].theory == get_theory("wb97m_d3bj_def2svp")
    assert (model.config.scaled_for_heads, len(model.heads)) == (2, 3)
    back = tmp_path / "back.safetensors"
    assert crossfield("heads", "remove", out, "mine", "-o", back).code == 0
    assert_same_model(checkpoint.load(back), checkpoint.load(file))
    assert checkpoint.read_metadata(back)["sha256"] == checkpoint.read_metadata(file)["sha256"]


def test_what_was_done_is_on_record(crossfield: Command, file: Path, out: Path) -> None:
    crossfield("heads", "rename", file, "head0", "a", "-o", out)
    crossfield("heads", "remove", out, "head1", "-o", out, "--overwrite")
    crossfield("heads", "add", out, "head1", "--theory", "pbe_gpaw", "--from", "a", "-o", out, "--overwrite")
    found = provenance(out)
    assert found["seed"] == 3
    assert found["data"] == {"a": {"frames": {"train": 7}}}  # the new head1 has not seen those of the old one
    first, second, third = found["surgery"]
    digest = checkpoint.read_metadata(file)["sha256"]
    assert first == {
        "operation": "rename",
        "head": "head0",
        "to": "a",
        "file": "m.safetensors",
        "weights_sha256": digest,
    }
    assert (second["operation"], second["heads"], second["file"]) == ("remove", ["head1"], "out.safetensors")
    assert (third["operation"], third["theory"], third["from"]) == ("add", "pbe_gpaw", "a")
    assert provenance(file) == PROVENANCE
    assert "frames      7 train" in crossfield("info", out).out


def test_from_nothing(crossfield: Command, file: Path, out: Path, tmp_path: Path) -> None:
    energies = tmp_path / "atoms.yaml"
    energies.write_text("H: -13.6\nO: -2041.8\nN: -1.5e3\n")
    arguments = ("heads", "add", file, "mine", "--theory", "theory1", "--zero", "-o", out, "--E0")
    assert crossfield(*arguments, energies).code == 0
    head = checkpoint.load(out).heads[2]
    assert head.E0 == {1: -13.6, 8: -2041.8, 7: -1500.0}
    assert (head.scale, head.shift, head.theory.name) == (1.0, 0.0, "theory1")
    assert crossfield(*arguments, E0).code == 0
    model = checkpoint.load(out)
    assert model.heads[2].E0 == {1: -13.6, 8: -2041.8}
    assert not model.readouts["0"].weight[:, 2].any()


def test_order_names_and_default(crossfield: Command, file: Path, out: Path) -> None:
    assert crossfield("heads", "reorder", file, "head1", "head0", "-o", out).code == 0
    assert_same_model(checkpoint.load(out), keep_heads(checkpoint.load(file), ["head1", "head0"]))
    outcome = crossfield("heads", "default", out, "head0", "-o", out, "--overwrite")
    assert re.search(r"head0 .* yes *\n", outcome.out)
    assert checkpoint.load(out).default_head == "head0"
    crossfield("heads", "rename", out, "head0", "my [bold]head", "-o", out, "--overwrite")
    assert checkpoint.load(out).default_head == "my [bold]head"
    assert "[bold]" in crossfield("heads", "list", out).out.replace("\n", "")
    crossfield("heads", "default", out, "--none", "-o", out, "--overwrite")
    assert checkpoint.load(out).default_head is None


def test_merge(crossfield: Command, file: Path, out: Path, tmp_path: Path) -> None:
    base = checkpoint.load(file)
    for name, start in (("a", "head0"), ("b", "head1")):
        data = {"head0": {"frames": {"train": 1}}, "new": {"frames": {"train": ord(name)}}}
        model = add_head(base, NEW, start=start)
        checkpoint.save(tmp_path / f"{name}.safetensors", model, {"data": data, "run": name})
    a, b = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    assert crossfield("heads", "merge", a, b, "--rename", "new=other", "-o", out).code == 0
    both = checkpoint.load(out)
    assert [head.name for head in both.heads] == ["head0", "head1", "new", "other"]
    assert_same_model(keep_heads(both, ["head0", "head1", "new"]), checkpoint.load(a))
    expected = rename_head(checkpoint.load(b), "new", "other")
    assert_same_model(keep_heads(both, ["head0", "head1", "other"]), expected)
    found = provenance(out)
    assert found["run"] == "a"
    trained = {name: what["frames"]["train"] for name, what in found["data"].items()}
    assert trained == {"head0": 1, "new": ord("a"), "other": ord("b")}
    assert found["surgery"][0]["with"]["file"] == "b.safetensors"
    assert found["surgery"][0]["provenance"]["run"] == "b"


def test_elements(crossfield: Command, file: Path, out: Path, tmp_path: Path) -> None:
    outcome = crossfield("heads", "elements", file, "--add", "F, Au", "-o", out)
    assert outcome.code == 0
    assert outcome.out.endswith("F starts with the weights of Cl\nAu starts with the weights of Ag\n")
    assert checkpoint.load(out).config.elements == (1, 6, 7, 8, 9, 13, 14, 17, 22, 29, 47, 79)
    assert provenance(out)["surgery"][0]["from"] == {"F": "Cl", "Au": "Ag"}
    back = tmp_path / "back.safetensors"
    only = "H,C,N,O,Al,Si,Cl,Ti,Cu,Ag"
    assert crossfield("heads", "elements", out, "--only", only, "-o", back).code == 0
    assert_same_model(checkpoint.load(back), checkpoint.load(file))
    crossfield("heads", "elements", file, "--only", "O,H", "-o", out)
    model = checkpoint.load(out)
    assert model.config.elements == (1, 8)
    assert set(model.heads[0].E0) == {1, 8}


def test_dispersion_that_differs_is_said_in_one_line(crossfield: Command, file: Path, out: Path) -> None:
    outcome = crossfield(
        "heads", "add", file, "mine", "--theory", "wb97m_d3bj_def2svp", "--from", "head1", "-o", out
    )
    line = outcome.out.splitlines()[-1]
    assert line.startswith(
        "labels contain different dispersion (none in head0, head1; D3(BJ) in mine): energies"
    )
    assert line in crossfield("heads", "list", out).out


def test_a_file_of_mace_torch(crossfield: Command, out: Path, tmp_path: Path) -> None:
    copy = tmp_path / "mace.model"
    copy.write_bytes(NONLINEAR.read_bytes())
    assert "house" in crossfield("heads", "list", copy).out
    assert crossfield("heads", "rename", copy, "house", "mine", "-o", out).code == 0
    found = provenance(out)
    assert found["imported"]["file"] == "mace.model"
    assert found["surgery"][0]["file"] == "mace.model"
    outcome = crossfield("heads", "rename", copy, "house", "mine", "-o", copy, "--overwrite")
    assert (outcome.code, outcome.err.count("one of the inputs")) == (2, 1)
    assert copy.read_bytes() == NONLINEAR.read_bytes()


def test_the_input_is_not_overwritten_unasked(crossfield: Command, refused: Refused, file: Path) -> None:
    before = file.read_bytes()
    assert "one of the inputs" in refused("heads", "remove", file, "head0", "-o", file)
    assert "one of the inputs" in refused("heads", "merge", file, file, "-o", file, "--overwrite")
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("list nowhere.safetensors", "nowhere.safetensors: no such file"),
        ("add FILE x --theory pbe_gpaw -o OUT", "choose one: --from HEAD"),
        ("add FILE x --theory pbe_gpaw --from head0 --zero -o OUT", "choose one: --from HEAD"),
        ("add FILE x --theory pbe_gpaw --zero -o OUT", "--zero needs --E0"),
        ("add FILE x --theory pbe_gpw --from head0 -o OUT", "did you mean 'pbe_gpaw'"),
        ("add FILE x --theory pbe_gpaw --from hed0 -o OUT", "did you mean 'head0'"),
        ("add FILE head1 --theory pbe_gpaw --from head0 -o OUT", "there is a head 'head1' already"),
        ("add FILE x --from head0 -o OUT", "Missing option '--theory'"),
        ("add FILE x --theory pbe_gpaw --from head0", "Missing option '--output'"),
        ("add FILE x --theory pbe_gpaw --zero --E0 H=-1,H=-2 -o OUT", "--E0: H is given twice"),
        ("add FILE x --theory pbe_gpaw --zero --E0 Hx=-1 -o OUT", "--E0: 'Hx' is not an element"),
        ("add FILE x --theory pbe_gpaw --zero --E0 X=-1 -o OUT", "--E0: 'X' is not an element"),
        ("add FILE x --theory pbe_gpaw --zero --E0 H=one -o OUT", "must be a number (eV), not 'one'"),
        ("add FILE x --theory pbe_gpaw --zero --E0 H=nan -o OUT", "must be finite"),
        ("add FILE x --theory pbe_gpaw --zero --E0 H=1,2 -o OUT", "--E0 2: expected ELEMENT=ENERGY"),
        ("add FILE x --theory pbe_gpaw --zero --E0 U=-1 -o OUT", "elements [92] outside the model"),
        ("add FILE x --theory pbe_gpaw --zero --E0 no.yaml -o OUT", "no.yaml: no such file (--E0 takes"),
        ("remove FILE head0 head1 -o OUT", "these are all it has: head0, head1"),
        ("remove FILE x -o OUT", "unknown head 'x' (this model has: head0, head1)"),
        ("rename FILE head0 head1 -o OUT", "there is a head 'head1' already"),
        ("reorder FILE head1 -o OUT", "name all heads: head0 would be lost"),
        ("reorder FILE head1 head1 -o OUT", "'head1' is named twice"),
        ("default FILE -o OUT", "choose one: the name of a head, or --none"),
        ("default FILE head1 --none -o OUT", "choose one: the name of a head, or --none"),
        ("default FILE x -o OUT", "unknown head 'x'"),
        ("merge FILE FILE --rename head0 -o OUT", "--rename head0: expected OLD=NEW"),
        ("merge FILE FILE --rename a=b --rename a=c -o OUT", "--rename a is given twice"),
        ("merge FILE FILE --rename a=b -o OUT", "unknown head 'a'"),
        ("elements FILE -o OUT", "choose one: --add ELEMENTS or --only ELEMENTS"),
        ("elements FILE --add F --only H -o OUT", "choose one: --add ELEMENTS or --only ELEMENTS"),
        ("elements FILE --add F,H -o OUT", "the model knows H already"),
        ("elements FILE --add Flu -o OUT", "--add Flu: 'Flu' is not an element"),
        ("elements FILE --only H,F -o OUT", "does not cover F"),
        ("elements FILE --only= -o OUT", "'' is not an element"),
    ],
)
def test_refusals(refused: Refused, file: Path, out: Path, arguments: str, message: str) -> None:
    places = {"FILE": file, "OUT": out}
    assert message in refused("heads", *(places.get(a, a) for a in arguments.split()))
    assert not out.parent.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- H\n", "must hold ELEMENT: ENERGY lines"),
        ("", "must hold ELEMENT: ENERGY lines"),
        ("H: [1]\n", "line 1: expected ELEMENT: ENERGY"),
        ("H: 1\nH: 2\n", "H is given twice"),
        ("H: {\n", "not valid YAML"),
        ("[" * 1500, "not valid YAML"),
        ("\x00", "not valid YAML"),
        ("No: 1\nH: true\n", "the energy of H must be a number (eV), not 'true'"),
    ],
)
def test_files_of_energies(refused: Refused, file: Path, out: Path, tmp_path: Path, text, message) -> None:
    energies = tmp_path / "E0.yaml"
    energies.write_text(text)
    line = refused("heads", "add", file, "x", "--theory", "pbe_gpaw", "--zero", "--E0", energies, "-o", out)
    assert line.startswith(f"error: {energies}: ")
    assert message in line


def test_backbones_that_differ(refused: Refused, file: Path, out: Path, tmp_path: Path) -> None:
    other = checkpoint.load(file)
    with torch.no_grad():
        other.embedding.weight[0, 0] += 0.5
    checkpoint.save(tmp_path / "b.safetensors", other, {})
    line = refused("heads", "merge", file, tmp_path / "b.safetensors", "-o", out)
    assert "weight 'embedding.weight' by up to 0.5" in line


def test_a_strange_provenance_is_no_obstacle(
    crossfield: Command, file: Path, out: Path, tmp_path: Path
) -> None:
    """It is for people; whoever wrote the file may have put anything there."""
    for i, strange in enumerate(({"surgery": "none", "data": 3}, {"data": {"head0": None}})):
        path = tmp_path / f"{i}.safetensors"
        checkpoint.save(path, checkpoint.load(file), strange)
        assert crossfield("heads", "rename", path, "head0", "a", "-o", out).code == 0
        assert len(provenance(out)["surgery"]) == 1


def test_help(crossfield: Command) -> None:
    outcome = crossfield("heads")
    assert outcome.code == 2
    assert all(re.search(rf"\b{name} +[A-Z]", outcome.out) for name in COMMANDS)
    assert "heads" in crossfield("--help").out


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_keep_their_lines(crossfield: Command, name: str) -> None:
    """At 80 columns every example is one line that begins with the command."""
    outcome = crossfield("heads", name, "--help")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    start = lines.index(next(line for line in lines if line.strip() == "Examples"))
    examples = list(takewhile(str.strip, lines[start + 1 :]))
    assert len(examples) >= 2
    assert all(line.startswith(f"   crossfield heads {name} ") for line in examples)


def test_the_record_is_json(crossfield: Command, file: Path, out: Path) -> None:
    crossfield("heads", "elements", file, "--add", "F", "-o", out)
    metadata = json.loads(crossfield("info", out, "--json").out)
    assert metadata["provenance"]["surgery"][0]["operation"] == "add elements"
