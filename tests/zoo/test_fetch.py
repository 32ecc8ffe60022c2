from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import rich.prompt
import torch

from crossfield.errors import InputError
from crossfield.theory import get_theory
from crossfield.zoo import cache
from crossfield.zoo.fetch import cached, fetch, local_model
from crossfield.zoo.published import published
from tests.zoo.server import CONTENT, Answer, publish, replace_converter, serving

MODULE = sys.modules["crossfield.zoo.fetch"]
DIGEST = hashlib.sha256(CONTENT).hexdigest()
TORCH = b"PK\x03\x04" + CONTENT  # what is taken for a file of mace-torch
OTHER = Answer(content=CONTENT[::-1])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache, and no licence accepted."""
    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CROSSFIELD_ACCEPT_LICENCE", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(sys.modules["crossfield.zoo.download"], "PAUSE", 0.001)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def conversions(monkeypatch):
    return replace_converter(monkeypatch)


def change(monkeypatch, **fields):
    """The registry of another version of crossfield."""
    monkeypatch.setitem(published(), "here", published()["here"].model_copy(update=fields))


# ---------------------------------------------------------------------------------------------- download


def test_downloaded_once(server, monkeypatch, folder):
    publish(monkeypatch, server, sha256=DIGEST, size=len(CONTENT))
    path = fetch("here")
    assert path == folder / "downloads" / "here.model"
    assert path.read_bytes() == CONTENT
    assert fetch("here") == path
    assert len(server.asked) == 1


def test_afterwards_no_network_is_needed(monkeypatch, conversions):
    with serving() as server:
        publish(monkeypatch, server)
        path = local_model("here")
    assert local_model("here") == path
    assert fetch("here").read_bytes() == CONTENT


def test_unknown_name():
    with pytest.raises(InputError, match="did you mean 'mace-mh-1'"):
        fetch("mace-mh1")


def test_another_file_than_published(server, monkeypatch, folder):
    publish(monkeypatch, server, sha256="0" * 64)
    with pytest.raises(InputError, match="not the file that was published") as error:
        fetch("here")
    assert "first download" not in str(error.value)
    assert [path.name for path in (folder / "downloads").iterdir()] == [".here.model.lock"]


def test_the_first_download_is_trusted_and_remembered(server, monkeypatch, folder):
    publish(monkeypatch, server)
    path = fetch("here")
    assert cache.recall("checksums", "here") == {"url": server.url, "sha256": DIGEST}

    path.unlink()
    assert fetch("here") == path

    path.unlink()
    server.then = OTHER
    with pytest.raises(InputError) as error:
        fetch("here")
    record = cache.place_of("checksums", "here")
    assert f"expected {DIGEST}" in str(error.value)
    assert f"first download; if the authors say that they replaced the file, delete {record}" in str(
        error.value
    )
    assert not path.exists()

    record.unlink()
    assert fetch("here").read_bytes() == OTHER.content


def test_another_address_is_trusted_anew(server, monkeypatch):
    publish(monkeypatch, server)
    fetch("here").unlink()
    server.then = OTHER
    change(monkeypatch, url=f"{server.url}/second")
    assert fetch("here").read_bytes() == OTHER.content


@pytest.mark.parametrize("sha256", [DIGEST, None])
def test_a_cached_file_that_was_changed(server, monkeypatch, conversions, sha256):
    publish(monkeypatch, server, sha256=sha256)
    path = fetch("here")
    path.write_bytes(CONTENT[:-1])
    for use in (fetch, local_model):
        with pytest.raises(InputError, match=r"here\.model: not the file that was published .*delete it"):
            use("here")
    assert conversions == []
    path.unlink()
    assert local_model("here").exists()


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_at_once_download_once(server, monkeypatch, capfd):
    publish(monkeypatch, server, sha256=DIGEST)
    server.script = [Answer(stall_after=1000)]
    found = []
    threads = [threading.Thread(target=lambda: found.append(fetch("here"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_for(lambda: server.asked)
    server.over.set()
    for thread in threads:
        thread.join(20)
    assert len(found) == 3
    assert [asked.range for asked in server.asked] == [None, "bytes=1000-"]
    assert capfd.readouterr().err.count("waiting for another process") == 2


def test_a_process_that_is_killed_leaves_a_part_and_no_lock(server, monkeypatch, folder):
    model = publish(monkeypatch, server, sha256=DIGEST)
    server.script = [Answer(stall_after=100_000)]
    code = (
        "import json, sys\n"
        "from crossfield.zoo.published import Published, published\n"
        "from crossfield.zoo.fetch import fetch\n"
        "published()['here'] = Published.model_construct(**json.loads(sys.argv[1]))\n"
        "fetch('here')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, model.model_dump_json()])
    part = folder / "downloads" / "here.model.part"
    try:
        wait_for(lambda: process.poll() is not None or (part.exists() and part.stat().st_size))
    finally:
        process.kill()
        process.wait()
    size = part.stat().st_size
    assert fetch("here").read_bytes() == CONTENT
    assert [asked.range for asked in server.asked] == [None, f"bytes={size}-"]


# ----------------------------------------------------------------------------------------------- licence


def test_a_licence_that_must_be_accepted(server, monkeypatch):
    publish(monkeypatch, server, licence="ASL")
    with pytest.raises(InputError) as error:
        fetch("here")
    for text in (
        "Academic Software License (https://github.com/gabor1/ASL)",
        "non-commercial",
        "crossfield models here --download --accept-licence",
        "accept_licence=True",
        "CROSSFIELD_ACCEPT_LICENCE=ASL",
    ):
        assert text in str(error.value)
    assert server.asked == []


def test_accepted_once_for_all(server, monkeypatch, conversions):
    publish(monkeypatch, server, licence="ASL")
    path = fetch("here", accept_licence=True)
    assert cache.recall("licences", "ASL").keys() == {"accepted"}
    assert fetch("here") == path
    path.unlink()
    assert local_model("here").exists()


def test_accepted_in_the_environment(server, monkeypatch):
    publish(monkeypatch, server, licence="ASL")
    monkeypatch.setenv("CROSSFIELD_ACCEPT_LICENCE", "MIT")
    with pytest.raises(InputError):
        fetch("here")
    monkeypatch.setenv("CROSSFIELD_ACCEPT_LICENCE", "ASL")
    assert fetch("here").exists()


def test_what_is_cached_still_needs_a_licence(server, monkeypatch, conversions, tmp_path):
    """A file that someone converted by its path was not fetched under a licence."""
    publish(monkeypatch, server, licence="ASL", sha256=hashlib.sha256(TORCH).hexdigest())
    (tmp_path / "mine.model").write_bytes(TORCH)
    ready = local_model(tmp_path / "mine.model")
    with pytest.raises(InputError, match="Academic"):
        local_model("here")
    assert local_model("here", accept_licence=True) == ready
    assert server.asked == []


@pytest.mark.parametrize(("answer", "accepted"), [("y", True), ("n", False), ("", False), (EOFError, False)])
def test_asked_at_a_terminal(server, monkeypatch, capsys, answer, accepted):
    publish(monkeypatch, server, licence="ASL")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    def reply(*_, **__):
        if answer is EOFError:
            raise EOFError
        return answer

    monkeypatch.setattr(rich.prompt.Confirm, "get_input", reply)
    if accepted:
        assert fetch("here").exists()
    else:
        with pytest.raises(InputError, match="Academic"):
            fetch("here")
    out, err = capsys.readouterr()
    assert out == ""
    assert "non-commercial" in err


# -------------------------------------------------------------------------------------------- conversion


def test_a_published_model_is_converted_once(server, monkeypatch, conversions, folder):
    model = publish(monkeypatch, server, sha256=DIGEST)
    assert cached(model) is None
    raw = fetch("here")
    assert cached(model) == raw
    path = local_model("here")
    assert path.read_bytes() == b"converted " + CONTENT
    assert path.parent == folder / "models"
    assert path.name.startswith(f"{DIGEST}-v1-")
    assert path.suffix == ".safetensors"
    assert cached(model) == path
    raw.unlink()
    assert local_model("here") == path
    assert conversions == [(CONTENT, model)]


def test_another_file_is_converted_once_for_its_content(conversions, tmp_path, folder):
    digest = hashlib.sha256(TORCH).hexdigest()
    (tmp_path / "a.model").write_bytes(TORCH)
    path = local_model("a.model")
    assert path == folder / "models" / f"{digest}-v1.safetensors"
    shutil.move(tmp_path / "a.model", tmp_path / "b")
    assert local_model(tmp_path / "b") == path
    assert conversions == [(TORCH, None)]


@pytest.mark.parametrize("sha256", [hashlib.sha256(TORCH).hexdigest(), None])
def test_a_published_file_is_known_at_any_path(server, monkeypatch, conversions, tmp_path, sha256):
    """Its heads have their theories, whether it comes from the network or from a stick."""
    server.then = Answer(content=TORCH)
    model = publish(monkeypatch, server, sha256=sha256)
    path = local_model("here")
    (tmp_path / "copy.model").write_bytes(TORCH)
    assert local_model("copy.model") == path
    assert conversions == [(TORCH, model)]


def test_converted_again_when_more_is_known(server, monkeypatch, conversions):
    publish(monkeypatch, server, sha256=DIGEST)
    paths = [local_model("here")]
    change(monkeypatch, heads={"solids": "rpbe_gpaw", "surfaces": "rpbe_gpaw"})
    paths.append(local_model("here"))
    change(monkeypatch, default_head="surfaces")
    paths.append(local_model("here"))
    monkeypatch.setattr(sys.modules["crossfield.zoo.convert"], "VERSION", 2)
    paths.append(local_model("here"))
    assert len(set(paths)) == len(conversions) == 4
    assert get_theory("rpbe_gpaw") == conversions[1][1].theories()["solids"]
    change(monkeypatch, description="Other words")
    assert local_model("here") == paths[-1]


def test_a_conversion_that_fails_leaves_nothing(conversions, tmp_path, monkeypatch, folder):
    def refuse(source, target, *, published=None, digest=None):
        raise InputError("not a model", file=source)

    monkeypatch.setattr(sys.modules["crossfield.zoo.convert"], "convert", refuse)
    (tmp_path / "a.model").write_bytes(TORCH)
    with pytest.raises(InputError, match=r"a\.model: not a model"):
        local_model("a.model")
    assert list((folder / "models").iterdir()) == []


def test_old_pickles_are_for_the_converter_to_judge(conversions, tmp_path):
    (tmp_path / "old.model").write_bytes(pickle.dumps({"a": 1}, protocol=2))
    torch.save({"a": torch.zeros(2)}, tmp_path / "new.model")
    local_model("old.model")
    local_model("new.model")
    assert len(conversions) == 2


def test_without_a_place_to_keep_it(conversions, tmp_path, folder):
    folder.write_text("a file")
    (tmp_path / "a.model").write_bytes(TORCH)
    with pytest.raises(InputError, match="set CROSSFIELD_CACHE"):
        local_model("a.model")


def test_a_prepared_cache_need_not_be_written(server, monkeypatch, conversions):
    publish(monkeypatch, server, licence="ASL")
    path = local_model("here", accept_licence=True)

    def refuse(*_, **__):
        raise AssertionError("something was to be written")

    for name in ("remember", "make_folder_of", "claimed"):
        monkeypatch.setattr(cache, name, refuse)
    assert local_model("here", accept_licence=True) == path
    assert fetch("here").exists()


# ------------------------------------------------------------------------------------------------- names


def test_own_checkpoints_are_used_where_they_are(path, conversions, folder):
    assert local_model(path) == path
    assert local_model(str(path)) == path
    assert conversions == []
    assert not folder.exists()


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x02\0\0\0\0\0\0{}", b"\x00" * 20])
def test_what_is_no_model_is_for_the_reader_to_refuse(tmp_path, conversions, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    assert local_model("a.safetensors") == Path("a.safetensors")
    assert local_model(tmp_path) == tmp_path
    assert conversions == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.safetensors", r"^nothing\.safetensors: no such file$"),
        ("runs/nothing", r"^runs/nothing: no such file$"),
        ("./mace-mh-1", r"^\./mace-mh-1: no such file; did you mean 'mace-mh-1'\?$"),
        ("mace-mh-1.model", r"^mace-mh-1\.model: no such file; did you mean 'mace-mh-1'\?$"),
        ("MACE-MH-1", r"^'MACE-MH-1' is neither a file nor a published model; did you mean 'mace-mh-1'\? \("),
        ("x", r"^'x' is neither a file nor a published model \(`crossfield models` lists those there are\)$"),
        ("", r"^'' is neither a file nor a published model"),
    ],
)
def test_neither_file_nor_model(name, message):
    with pytest.raises(InputError, match=message):
        local_model(name)


def test_a_name_that_is_both(server, monkeypatch, conversions, tmp_path):
    model = publish(monkeypatch, server)
    (tmp_path / "here").write_bytes(TORCH)
    (tmp_path / "there").write_bytes(b"mine")
    local_model("here")
    assert conversions == [(CONTENT, model)]
    local_model("./here")
    assert conversions[1:] == [(TORCH, None)]
    assert local_model("there") == Path("there")
    assert os.fspath(local_model("./there")) == "there"
