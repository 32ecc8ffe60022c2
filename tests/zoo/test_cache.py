from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from crossfield.errors import InputError
from crossfield.files import cache_folder
from crossfield.zoo import cache


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("CROSSFIELD_CACHE", "~/models")
    assert cache_folder() == tmp_path / "models"
    monkeypatch.setenv("CROSSFIELD_CACHE", "")
    assert cache_folder() == tmp_path / "xdg" / "crossfield"
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_folder() == tmp_path / ".cache" / "crossfield"


def test_no_home(monkeypatch):
    def nowhere():
        raise RuntimeError("no home")

    monkeypatch.delenv("CROSSFIELD_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(InputError, match="set CROSSFIELD_CACHE"):
        cache_folder()


def test_looking_makes_nothing(folder):
    assert cache.recall("licences", "ASL") is None
    assert not folder.exists()


def test_a_folder_that_cannot_be_written(folder, monkeypatch):
    folder.write_text("a file")
    for write in (
        lambda: cache.remember("licences", "ASL", {}),
        lambda: cache.claimed(folder / "downloads" / "x").__enter__(),
    ):
        with pytest.raises(InputError, match=r"models cannot be kept here \(.*\); set CROSSFIELD_CACHE"):
            write()
    folder.unlink()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match=r"licences: models cannot be kept here \(Permission denied\)"):
        cache.remember("licences", "ASL", {})


def test_what_is_remembered(folder):
    cache.remember("checksums", "a", {"sha256": "x"})
    cache.remember("checksums", "b", {"sha256": "y"})
    cache.remember("checksums", "a", {"sha256": "z"})
    assert cache.recall("checksums", "a") == {"sha256": "z"}
    assert cache.recall("checksums", "b") == {"sha256": "y"}
    assert cache.recall("licences", "a") is None
    assert sorted(p.name for p in (folder / "checksums").iterdir()) == ["a.json", "b.json"]


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff"])
def test_damaged_facts_are_named(text):
    cache.remember("checksums", "a", {})
    cache.place_of("checksums", "a").write_bytes(text)
    with pytest.raises(InputError, match=r"a\.json: this is damaged; delete it"):
        cache.recall("checksums", "a")


def run_together(work, count=4):
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_one_at_a_time(folder, capfd):
    """The lock belongs to the open file, so threads exclude each other as processes do."""
    path, inside, most = folder / "downloads" / "x.model", [], []

    def work():
        with cache.claimed(path) as own:
            assert own == path
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    run_together(work)
    assert most == [1, 1, 1, 1]
    assert "waiting for another process that downloads x.model\n" in capfd.readouterr().err


def test_without_locks_everyone_has_a_file_of_his_own(folder, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    path = folder / "downloads" / "x.model"
    with cache.claimed(path) as own:
        assert own != path
        own.write_text("new")
        own.with_name(f"{own.name}.part").write_text("left over")
    assert path.read_text() == "new"
    with pytest.raises(KeyError), cache.claimed(path) as own:  # noqa: PT012 (what is left is what matters)
        own.write_text("half")
        raise KeyError
    assert path.read_text() == "new"
    assert sorted(p.name for p in path.parent.iterdir()) == [".x.model.lock", "x.model"]
