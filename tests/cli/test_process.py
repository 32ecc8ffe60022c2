"""The installed command in a process of its own: training, interruption, output that nobody reads."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crossfield.zoo import checkpoint

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def script() -> str:
    """The console script that belongs to this interpreter."""
    found = shutil.which("crossfield", path=str(Path(sys.executable).parent))
    assert found, "crossfield is not installed in this environment"
    return found


def test_train_from_a_configuration(script: str, data: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [script, "train", str(data / "config.yaml"), f"output={tmp_path / 'run'}"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert f"best weights: {tmp_path / 'run' / 'best.safetensors'}" in done.stdout
    assert done.stdout.endswith(f"a page about it: crossfield report {tmp_path / 'run'}\n")
    assert [h.name for h in checkpoint.load(tmp_path / "run" / "best.safetensors").heads] == [
        "molecules",
        "crystals",
    ]


def test_interruption_leaves_a_model(script: str, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    arguments = [script, "train", str(data / "config.yaml"), f"output={folder}", "training.epochs=100000"]
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    try:
        deadline = time.monotonic() + 100
        log = folder / "log.jsonl"
        while not (log.exists() and log.read_text().count("\n") >= 2):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert err == ""
    assert "interrupted after step" in out
    assert checkpoint.load(folder / "last.safetensors").num_parameters > 0


def test_a_refusal_is_one_line(script: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [script, "info", "none.safetensors"], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: none.safetensors: no such file\n"


def test_output_to_a_full_disk(script: str, model: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [script, "info", str(model), "--json"], stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert done.returncode == 2
    assert done.stderr.decode() == "error: No space left on device\n"
