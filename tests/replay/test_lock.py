"""One process at a time, and none that waits for the dead."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from crossfield.errors import InputError
from crossfield.replay import lock
from crossfield.replay.lock import lock_of, locked

HOST = socket.gethostname()


def dead_process() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def place(path: Path, **owner: object) -> Path:
    """A lock that somebody has left."""
    lock_of(path).write_text(json.dumps(owner))
    return path


def test_it_is_there_inside_and_gone_after(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    with locked(path):
        owner = json.loads(lock_of(path).read_text())
        assert (owner["pid"], owner["host"]) == (os.getpid(), HOST)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), locked(path):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_many_take_turns(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(lock, "POLL", 0.001)
    inside, most, turns = 0, 0, 0

    def work() -> None:
        nonlocal inside, most, turns
        for _ in range(5):
            with locked(tmp_path / "labels"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.002)
                turns += 1
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert (turns, most) == (20, 1)
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_process_that_ended_is_taken_over(tmp_path: Path, capsys) -> None:
    path = place(tmp_path / "labels", pid=dead_process(), host=HOST)
    with locked(path):
        assert json.loads(lock_of(path).read_text())["pid"] == os.getpid()
    assert "has ended without finishing labels; going on" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "owner",
    [
        {"pid": 4_000_000, "host": "elsewhere"},
        {"pid": -1, "host": HOST},
        {"pid": "1", "host": HOST},
        {"pid": 2**80, "host": HOST},
        {},
    ],
    ids=str,
)
def test_one_that_may_be_alive_is_waited_for(tmp_path: Path, monkeypatch, capsys, owner) -> None:
    """Until it is gone, or has given no sign of life for long."""
    monkeypatch.setattr(lock, "POLL", 0.01)
    monkeypatch.setattr(lock, "SILENCE", 0.3)
    path = place(tmp_path / "labels", **owner)
    since = time.monotonic()
    with locked(path):
        assert time.monotonic() - since > 0.3
    said = capsys.readouterr().err
    assert said.count("waiting for") == 1
    assert "which is writing labels" in said


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_lock_that_says_nothing(tmp_path: Path, monkeypatch, content: bytes) -> None:
    monkeypatch.setattr(lock, "POLL", 0.01)
    monkeypatch.setattr(lock, "SILENCE", 0.1)
    lock_of(tmp_path / "labels").write_bytes(content)
    with locked(tmp_path / "labels"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pid", [os.getpid(), 1], ids=["own", "another user's"])
def test_a_process_of_this_machine_that_lives_keeps_its_lock_however_silent(
    tmp_path: Path, monkeypatch, pid: int
) -> None:
    monkeypatch.setattr(lock, "POLL", 0.01)
    monkeypatch.setattr(lock, "SILENCE", 0.0)
    path = place(tmp_path / "labels", pid=pid, host=HOST)
    entered = threading.Event()

    def enter() -> None:
        with locked(path):
            entered.set()

    threading.Thread(target=enter, daemon=True).start()
    assert not entered.wait(0.3)
    lock_of(path).unlink()
    assert entered.wait(30)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
def test_a_process_that_has_got_the_number_of_a_dead_one_keeps_no_lock(tmp_path: Path) -> None:
    path = place(tmp_path / "labels", pid=os.getpid(), host=HOST, began="1")
    with locked(path):
        assert json.loads(lock_of(path).read_text())["began"] != "1"


def test_signs_of_life_are_given_whatever_the_block_does(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.01)
    path = tmp_path / "labels"
    with locked(path):
        os.utime(lock_of(path), (0, 0))
        deadline = time.monotonic() + 30
        while lock_of(path).stat().st_mtime == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        place(path, pid=1, host="elsewhere")  # of others, nothing is said
        os.utime(lock_of(path), (0, 0))
        time.sleep(0.1)
        assert lock_of(path).stat().st_mtime == 0


def test_who_was_taken_for_dead_leaves_the_lock_of_another(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    with locked(path):
        place(path, pid=1, host="elsewhere")
    assert json.loads(lock_of(path).read_text()) == {"pid": 1, "host": "elsewhere"}


def test_a_lock_that_changed_hands_is_not_removed_for_stale(tmp_path: Path) -> None:
    path = place(tmp_path / "labels", pid=1, host=HOST)
    lock._remove_stale(lock_of(path), json.dumps({"pid": 2, "host": HOST}))
    assert json.loads(lock_of(path).read_text()) == {"pid": 1, "host": HOST}
    assert list(tmp_path.iterdir()) == [lock_of(path)]


def test_drives_without_links(tmp_path: Path, monkeypatch) -> None:
    def refuse(*names: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(lock, "POLL", 0.01)
    path = place(tmp_path / "labels", pid=dead_process(), host=HOST)
    with locked(path):
        assert json.loads(lock_of(path).read_text())["pid"] == os.getpid()
        assert not lock._create(lock_of(path), "x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="no file can be written to this folder"),
        locked(tmp_path / "a" / "b"),
    ):
        pass
