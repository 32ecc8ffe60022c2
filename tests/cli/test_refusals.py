"""Whatever is wrong with the input is one line on standard error and exit code 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crossfield.cli import train as train_command
from tests.cli.conftest import Command
from tests.data.malformed import ALL, FRAMES, THEORY, Malformed, draft, malformed_inputs

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Malformed]:
    return malformed_inputs(tmp_path_factory.mktemp("malformed"))


def keys_of(malformed: Malformed) -> list[str]:
    """The keys of an input as options."""
    return [
        f"--key={label}={name}" for label, name in malformed.keys.model_dump(exclude_defaults=True).items()
    ]


def place(malformed: Malformed) -> str:
    return f"{malformed.path}" if malformed.frame is None else f"{malformed.path}, frame {malformed.frame}"


def test_undamaged_inputs_are_evaluated(crossfield: Command, model: Path, tmp_path: Path) -> None:
    """Else everything would be refused for a reason of no interest."""
    for kind in ALL:
        path = tmp_path / f"{kind}.xyz"
        path.write_text("".join(draft(kind, k).text() for k in range(FRAMES)))
        assert crossfield("evaluate", model, path, "--head", "molecules").code == 0


def test_evaluate_refuses_every_malformed_input(
    crossfield: Command, model: Path, inputs: list[Malformed]
) -> None:
    assert len(inputs) >= 200
    wrong = []
    for m in inputs:
        outcome = crossfield("evaluate", model, m.path, "--head", "molecules", *keys_of(m))
        one_line = outcome.err.count("\n") == 1 and outcome.err.startswith(f"error: {place(m)}: ")
        if outcome.code != 2 or not one_line or m.message not in outcome.err or outcome.out:
            wrong.append(f"{m.name}: {outcome}")
    assert not wrong, "\n".join(wrong)


def test_train_refuses_malformed_data(
    refused: Refused, data: Path, inputs: list[Malformed], tmp_path: Path
) -> None:
    for m in [m for m in inputs if not keys_of(m)][::12]:
        config = tmp_path / "config.yaml"
        config.write_text(f"heads: {{m: {{theory: {THEORY}, data: {m.path}}}}}\noutput: run\n")
        line = refused("train", config)
        assert line.startswith(f"error: {place(m)}: ")
        assert m.message in line
    assert not (tmp_path / "run").exists()


STRUCTURE = ("count", "row", "species", "position", "cell", "Lattice", "pbc", "charge", "gzip", "cut")


def test_predict_refuses_malformed_structures(
    refused: Refused, model: Path, inputs: list[Malformed], tmp_path: Path
) -> None:
    """Labels are not read, so only those inputs whose structure is damaged."""
    damaged = [m for m in inputs if m.name.startswith(STRUCTURE) and not m.path.name.startswith("mixed")]
    chosen = [m for m in damaged if not keys_of(m) and "Bohr" not in m.name][::3]
    assert len(chosen) >= 15
    for m in chosen:
        output = tmp_path / "predicted.xyz"
        line = refused("predict", model, m.path, "--head", "molecules", "-o", output)
        assert line.startswith(f"error: {place(m)}: ")
        assert not output.exists()


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_an_element_the_head_does_not_know(
    refused: Refused, model: Path, tmp_path: Path, command: str
) -> None:
    """Cu is known to the backbone, but has no reference energy in this head."""
    drafts = [draft("crystal", k) for k in range(3)]
    drafts[2].rows[0][0] = drafts[2].rows[1][0] = "Cu"
    path = tmp_path / "copper.xyz"
    path.write_text("".join(d.text() for d in drafts))
    line = refused(command, model, path, "--head", "molecules")
    assert line.startswith(
        f"error: {path}, frame 2: head 'molecules' does not cover Cu (it covers: H O Na Al Cl)"
    )


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "several heads, choose one of: molecules, crystals"),
        (("--head", "molecule"), "unknown head 'molecule'; did you mean 'molecules'?"),
        (("--head", "molecules", "--device", "gpu"), "unknown device 'gpu'"),
        (("--head", "molecules", "--dtype", "float16"), "unknown dtype 'float16'"),
        (("--head", "molecules", "--key", "enrgy=x"), "unknown label 'enrgy'; did you mean 'energy'?"),
        (("--head", "molecules", "--key", "energy"), "write energy=NAME"),
        (("--head", "molecules", "--key", "energy=a", "--key", "energy=b"), "energy is given twice"),
        (("--head", "molecules", "--key", "energy=forces"), "'forces' is named for two different things"),
    ],
)
def test_wrong_options(
    refused: Refused, data: Path, model: Path, command: str, options: tuple[str, ...], message: str
) -> None:
    assert message in refused(command, model, data / "water.xyz", *options)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_outputs_that_cannot_be_written(
    refused: Refused, data: Path, model: Path, tmp_path: Path, command: str
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    water = tmp_path / "water.xyz"
    water.write_text((data / "water.xyz").read_text())
    run = (command, model, water, "--head", "molecules", "--output")
    assert f"{tmp_path}: this is a folder" in refused(*run, tmp_path)
    assert f"{file} is a file" in refused(*run, file / "deep" / "x.xyz")
    assert "not a regular file" in refused(*run, "/dev/null")
    assert "one of the inputs" in refused(*run, water)
    assert "one of the inputs" in refused(*run, model)
    assert file.read_text() == "mine"
    assert water.read_text() == (data / "water.xyz").read_text()


def test_two_predictions_of_one_name(refused: Refused, model: Path, tmp_path: Path) -> None:
    assert "--output" in refused("predict", model, tmp_path / "a.xyz", tmp_path / "a.xyz.gz")


@pytest.mark.parametrize("command", ["info", "evaluate", "predict"])
def test_damaged_checkpoints(refused: Refused, data: Path, model: Path, tmp_path: Path, command: str) -> None:
    sound = model.read_bytes()
    damaged = {
        "empty": b"",
        "cut": sound[: len(sound) // 2],
        "flipped": sound[:-9] + bytes([sound[-9] ^ 1]) + sound[-8:],
        "long header": b"\xff" * 8 + sound[8:],
        "text": b"not a model\n" * 40,
    }
    others = () if command == "info" else (data / "water.xyz", "--head", "molecules")
    for name, content in damaged.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        assert refused(command, path, *others).startswith(f"error: {path}: ")
    assert "no such file" in refused(command, tmp_path / "none.safetensors", *others)
    assert f"error: {tmp_path}: " in refused(command, tmp_path, *others)


CONFIGS = {
    "nothing": ("", "must hold keys"),
    "a list": ("- a\n", "must hold keys"),
    "a tab": ("heads:\n\t- a\n", "line 2: not valid YAML"),
    "an open bracket": ("heads: {m: {\n", "not valid YAML"),
    "a Python object": ("heads: !!python/object:os.system {}\n", "not valid YAML"),
    "a control character": ("a: \x01\n", "not valid YAML"),
    "a list as key": ("? [a, b]\n: 1\n", "line 1: a list or a mapping cannot be a key"),
    "a key twice": ("output: a\noutput: b\n", "line 2: the key 'output' is given twice"),
    "depth without end": ("a: " + "[" * 5000, "nested far too deeply"),
    "no heads": ("output: run\n", "heads is missing"),
    "an unknown section": ("heads: {m: {theory: pbe_gpaw, data: x}}\noutput: r\ntrainin: {}\n", "'training'"),
    "text for a number": ("heads: {m: {theory: x, data: x}}\noutput: r\ntraining: {epochs: few}\n", "epochs"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_wrong_configurations(refused: Refused, tmp_path: Path, name: str) -> None:
    text, message = CONFIGS[name]
    path = tmp_path / "config.yaml"
    path.write_text(text)
    line = refused("train", path)
    assert line.startswith(f"error: {path}: ")
    assert message in line


def test_wrong_arguments_of_train(refused: Refused, data: Path, tmp_path: Path) -> None:
    config = data / "config.yaml"
    file = tmp_path / "file"
    file.write_text("")
    assert "No such file" in refused("train", tmp_path / "none.yaml")
    assert "Is a directory" in refused("train", tmp_path)
    assert "key=value" in refused("train", config, "epochs")
    assert "did you mean 'epochs'?" in refused("train", config, "training.epoch=3")
    assert "did you mean 'molecules'?" in refused("train", config, "heads.molecule.weight=3")
    assert "is a file" in refused("train", config, f"output={file}")
    assert "is a file" in refused("train", config, f"output={file / 'run'}")
    assert "no run to resume" in refused("train", config, f"output={tmp_path / 'new'}", "--resume")
    assert "choose one" in refused("train", config, "--resume", "--overwrite")
    assert "unknown theory" in refused("train", config, "heads.molecules.theory=pbe", f"output={tmp_path}/r")
    assert "is a file" in refused("demo", "--out", file)


def test_errors_of_the_disk(refused: Refused, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(train_command, "check_folder", full)
    assert refused("train", data / "config.yaml").endswith("run: No space left on device")
