"""`crossfield report`."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crossfield.bench.domain.run import run
from crossfield.bench.domain.sources import Sources
from crossfield.bench.domain.subject import head_subject
from crossfield.cli.main import main
from tests.bench.domain.toys import toy
from tests.report.runs import make_run, save_model


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["crossfield", "report", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code


def test_the_page_of_a_run_stands_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run")
    opened: list[str] = []
    monkeypatch.setattr("typer.launch", opened.append)
    assert call(monkeypatch, run, "--open") in (0, None)
    page = run / "report.html"
    assert capsys.readouterr().out == f"{page}\n"
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert opened == [page.as_uri()]
    assert call(monkeypatch, run) in (0, None)  # replaced
    assert len(opened) == 1


def test_the_page_of_a_model_stands_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "m.safetensors", ("pbe",))
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "m.safetensors") in (0, None)
    assert (tmp_path / "m.html").exists()
    assert call(monkeypatch, "m.safetensors", "-o", "new/folder/page.html") in (0, None)
    assert (tmp_path / "new/folder/page.html").exists()


def test_what_was_measured_of_the_same_weights_is_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    save_model(tmp_path / "m.safetensors", ("pbe", "other"))
    benchmark = toy(title="Springs of two kinds")
    run(head_subject("m.safetensors", "pbe"), [], [benchmark], Sources(online=False), quick=True)
    save_model(tmp_path / "unlike.safetensors", ("pbe",))
    for model, shown in (("m", True), ("unlike", False)):
        assert call(monkeypatch, f"{model}.safetensors") in (0, None)
        assert ("Springs of two kinds" in (tmp_path / f"{model}.html").read_text("utf-8")) == shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RUN", "--serve", "-o", "a.html"], "--serve writes no file"),
        (["RUN", "--port", "8000"], "--port and --host go with --serve"),
        (["RUN", "--host", "0.0.0.0"], "--port and --host go with --serve"),
        (["RUN", "-o", "RUN"], "this is a folder"),
        (["m.safetensors", "-o", "m.safetensors"], "this is one of the inputs"),
        (["RUN", "-o", "RUN/log.jsonl"], "this is one of the inputs"),
        (["RUN/best.safetensors", "-o", "RUN/errors.json"], "this is one of the inputs"),
        (["nothing"], "neither a file nor a published model"),
        (["RUN/replay"], "no such file"),
        (["RUN", "--bench", "m.safetensors"], "is no JSON"),
        (["RUN", "--serve", "--host", "203.0.113.1"], "cannot listen on 203.0.113.1"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = make_run(tmp_path / "run")
    save_model(tmp_path / "m.safetensors", ("pbe",))
    weights = (tmp_path / "m.safetensors").read_bytes()
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, *(a.replace("RUN", str(run)) for a in arguments)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert (tmp_path / "m.safetensors").read_bytes() == weights
    assert not list(tmp_path.rglob("*.html"))


def test_a_served_page_ends_with_an_interrupt(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", finished=False)
    command = [sys.executable, "-m", "crossfield.cli.main", "report", str(run), "--serve", "--no-open"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # an interrupt counts although tests in the background ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:")
        address = line.split()[0].removeprefix("http://").rstrip("/")
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request("GET", "/changes")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert error == ""
    assert not list(run.glob("*.html"))
