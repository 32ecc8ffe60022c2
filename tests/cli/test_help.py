"""What the command says about itself."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.cli.conftest import Command

COMMANDS = (
    "init finetune",
    "init scratch",
    "train",
    "evaluate",
    "predict",
    "info",
    "models",
    "convert",
    "heads add",
    "heads merge",
    "replay select",
    "replay label",
    "bench speed",
    "demo",
)


def test_version(crossfield: Command) -> None:
    assert crossfield("--version") == (0, f"crossfield {version('crossfield')}\n", "")


def test_help_lists_the_commands(crossfield: Command) -> None:
    outcome = crossfield("--help")
    assert outcome.code == 0
    assert all(re.search(rf"\b{name.split()[0]} +[A-Z]", outcome.out) for name in COMMANDS)
    assert "--install-completion" in outcome.out


def test_without_a_command_there_is_help(crossfield: Command) -> None:
    outcome = crossfield()
    assert outcome.code == 2
    assert "Usage: crossfield" in outcome.out


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_keep_their_lines(crossfield: Command, name: str) -> None:
    """At 80 columns every example is one line that begins with the command."""
    outcome = crossfield(*name.split(), "--help")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    start = lines.index(next(line for line in lines if line.strip() == "Examples"))
    examples = []
    for line in lines[start + 1 :]:
        if not line.strip():
            break
        examples.append(line.rstrip())
    assert len(examples) >= 2
    assert all(line.startswith(f"   crossfield {name}") for line in examples)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evalute",), "No such command 'evalute'. Did you mean 'evaluate'? (see crossfield --help)"),
        (("--hed",), "No such option: --hed"),
        (("evaluate", "a", "b", "--batch", "3"), "--batch-size"),
        (("train",), "Missing argument 'CONFIG' (see crossfield train --help)"),
        (("info", "a", "b"), "unexpected extra argument"),
        (("predict", "a", "b", "--batch-size", "0"), "--batch-size"),
        (("predict", "a", "b", "--threads", "many"), "--threads"),
        (("demo", "--minutes", "nan"), "--minutes"),
    ],
)
def test_mistakes_on_the_command_line(refused: Command, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["train", "--help"], ["evaluate", "-h"], ["bench", "speed", "-h"]],
)
def test_help_is_quick(arguments: list[str]) -> None:
    """PyTorch takes seconds to import; what needs it not must not wait for it."""
    code = (
        "import sys; from crossfield.cli.main import main\n"
        f"sys.argv = ['crossfield', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "slow = {'torch', 'ase', 'numpy', 'plotly', 'lightning_fabric'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(crossfield: Command, shell: str) -> None:
    outcome = crossfield("--show-completion", shell)
    assert outcome.code == 0
    assert "_CROSSFIELD_COMPLETE" in outcome.out
