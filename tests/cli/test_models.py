"""`crossfield models`, with a server on this machine and a converter that only copies."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crossfield.zoo.published import published
from tests.cli.conftest import Command
from tests.zoo.server import CONTENT, Server, publish, replace_converter, serving


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CROSSFIELD_ACCEPT_LICENCE", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    replace_converter(monkeypatch)
    return tmp_path / "cache"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of the model "here"."""
    with serving() as server:
        publish(monkeypatch, server, licence="ASL", sha256=hashlib.sha256(CONTENT).hexdigest())
        yield server


def test_the_list_fits_on_a_page(crossfield: Command) -> None:
    outcome = crossfield("models")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in outcome.out
    words = outcome.out.split()
    for name, model in published().items():
        (line,) = (line.split() for line in lines if line.split()[:1] == [name])
        assert line[2:3] == [str(len(model.elements))]
        assert line[-2:] == [model.licence, "no"]
        assert all(theory in words for theory in model.heads.values())


def test_one_model(crossfield: Command) -> None:
    outcome = crossfield("models", "mace-mh-1")
    assert outcome.code == 0
    model = published()["mace-mh-1"]
    text = " ".join(outcome.out.split())
    for part in (model.description, model.reference, "H He Li", "non-commercial", "(ASL)", "cached no"):
        assert part in text
    assert f"  URL         {model.url}\n" in outcome.out
    for head, theory in model.theories().items():
        assert f"\nhead {head}" in outcome.out
        assert f"theory {theory.name}" in text
        assert f"dispersion {theory.dispersion}" in text
    assert f"head {model.default_head} (default)" in text
    assert max(len(line) for line in outcome.out.splitlines() if "https://" not in line) <= 80


def test_as_json(crossfield: Command) -> None:
    found = json.loads(crossfield("models", "--json").out)
    assert list(found) == list(published())
    one = json.loads(crossfield("models", "mace-mh-1", "--json").out)
    assert one == found["mace-mh-1"]
    assert one["elements"] == list(published()["mace-mh-1"].elements)
    assert one["cached"] is None


def test_looking_needs_no_network_and_writes_nothing(
    crossfield: Command, server: Server, cache: Path
) -> None:
    for arguments in ((), ("here",), ("--json",)):
        assert crossfield("models", *arguments).code == 0
    assert server.asked == []
    assert not cache.exists()


def test_download_ahead_of_time(
    crossfield: Command, refused: Callable[..., str], server: Server, cache: Path
) -> None:
    line = refused("models", "here", "--download")
    assert "non-commercial" in line
    assert "--accept-licence" in line
    assert server.asked == []

    outcome = crossfield("models", "here", "--download", "--accept-licence")
    assert outcome.code == 0, outcome.err
    assert outcome.err == f"downloading here.model from {server.url}\n"
    (path,) = (cache / "models").iterdir()
    assert f"  cached      {path}\n" in outcome.out
    assert path.read_bytes() == b"converted " + CONTENT

    again = crossfield("models", "here", "--download", "--json")
    assert json.loads(again.out)["cached"] == str(path)
    assert len(server.asked) == 1
    (line,) = (line for line in crossfield("models").out.splitlines() if line.startswith(" here "))
    assert line.split()[-2:] == ["ASL", "yes"]


def test_a_download_that_fails_is_one_line(
    refused: Callable[..., str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["crossfield.zoo.download"], "transfer", quiet)
    monkeypatch.setitem(published(), "here", published()["here"].model_copy(update={"sha256": "0" * 64}))
    line = refused("models", "here", "--download", "--accept-licence")
    assert line.startswith(f"error: {server.url}: what came is not the file that was published")


def quiet(name: str, url: str) -> object:
    from contextlib import nullcontext

    return nullcontext(lambda done, total: None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mace-mh1",), "unknown model 'mace-mh1'; did you mean 'mace-mh-1'?"),
        (("--download",), "--download needs the name of a model"),
        (("mace-mh-1", "--accept-licence"), "--accept-licence goes with --download"),
    ],
)
def test_wrong_options(refused: Callable[..., str], arguments: tuple[str, ...], message: str) -> None:
    assert message in refused("models", *arguments)
