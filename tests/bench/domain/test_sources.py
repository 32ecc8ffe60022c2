from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crossfield.bench.domain import sources
from crossfield.bench.domain.sources import Source, Sources, get_source, known_sources
from crossfield.errors import InputError
from tests.zoo.server import Answer, Server, serving


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def archive(path: Path, top: str = "set") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{top}/one/POSCAR", "first\n" * 50)
        file.writestr(f"{top}/two.txt", "second", compress_type=zipfile.ZIP_STORED)
    return path


Known = Callable[..., Source]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, server: Server) -> Known:
    """Makes "set" a known set, on this server."""

    def make(content: bytes = b"", **changes: object) -> Source:
        server.then = Answer(content=content)
        fields: dict[str, object] = {
            "name": "set",
            "title": "A set",
            "url": server.url,
            "file": "set.zip",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content) or None,
            "licence": "CC0",
            "citation": "Nobody 2020",
            "contents": "Two files",
        }
        source = Source.model_construct(**(fields | changes))
        monkeypatch.setattr(sources, "known_sources", lambda: {"set": source})
        return source

    return make


def test_every_known_set_says_where_it_is_and_what_to_cite() -> None:
    assert known_sources()
    for source in known_sources().values():
        assert source.url.startswith("https://")
        assert source.licence
        assert len(source.citation) > 20
        assert (source.sha256 is None) == (source.size is None)


def test_a_set_is_downloaded_once(tmp_path: Path, server: Server, known: Known) -> None:
    known(archive(tmp_path / "a.zip").read_bytes())
    for _ in range(2):
        top = Sources().open("set")
        assert (top / "two.txt").read_text() == "second"
    assert len(server.asked) == 1


def test_what_came_first_is_what_later_ones_are_compared_with(
    tmp_path: Path, server: Server, known: Known
) -> None:
    """Where no checksum was published."""
    content = archive(tmp_path / "a.zip").read_bytes()
    known(content, sha256=None, size=None)
    Sources().open("set")
    file = tmp_path / "cache" / "benchmarks" / "sources" / "set.zip"
    file.write_bytes(archive(tmp_path / "b.zip", "other").read_bytes())
    with pytest.raises(InputError, match=r"not the file that came at the first download.*delete it"):
        Sources().open("set")
    file.unlink()
    server.then = Answer(content=(tmp_path / "b.zip").read_bytes())
    with pytest.raises(InputError, match=r"first download; .*delete .*checksums/benchmarks-set\.json"):
        Sources().open("set")
    server.then = Answer(content=content)
    assert (Sources().open("set") / "two.txt").read_text() == "second"


@pytest.mark.parametrize("top", [None, "Inner_Name"])
@pytest.mark.parametrize("place", ["{top}", "set", "set/{top}"])
def test_unpacked_sets_are_found_however_they_were_unpacked(
    tmp_path: Path, known: Known, top: str | None, place: str
) -> None:
    known(top=top)
    folder = tmp_path / place.format(top=top or "set")
    folder.mkdir(parents=True)
    (folder / "two.txt").write_text("own")
    assert (Sources(tmp_path, online=False).open("set") / "two.txt").read_text() == "own"


def test_the_folder_in_an_archive_may_have_another_name(tmp_path: Path, known: Known) -> None:
    known(archive(tmp_path / "set.zip", "Inner_Name").read_bytes(), top="Inner_Name")
    assert (Sources(tmp_path).open("set") / "two.txt").read_text() == "second"


def test_local_copies_come_first_packed_or_unpacked(tmp_path: Path, server: Server, known: Known) -> None:
    packed, unpacked = tmp_path / "packed", tmp_path / "unpacked"
    packed.mkdir()
    known(archive(packed / "set.zip").read_bytes())
    zipfile.ZipFile(packed / "set.zip").extractall(unpacked)
    for folder in (packed, unpacked):
        top = Sources(folder).open("set")
        assert (top / "one" / "POSCAR").read_text() == "first\n" * 50
    assert not server.asked


def test_a_set_of_one_file_is_that_file(tmp_path: Path, known: Known) -> None:
    (tmp_path / "set.json.gz").write_bytes(b"content")
    known(b"content", file="set.json.gz")
    top = Sources(tmp_path).open("set")
    assert top.name == "set.json.gz"
    assert top.read_bytes() == b"content"


def test_what_is_nowhere_is_missing_without_a_network(tmp_path: Path, known: Known) -> None:
    known()
    with pytest.raises(InputError, match="neither in --data nor in the cache"):
        Sources(tmp_path, online=False).open("set")


def test_a_set_of_many_files_says_what_to_do(tmp_path: Path, known: Known, server: Server) -> None:
    known(by_hand=True)
    with pytest.raises(InputError, match=r"put them from .* into set/ of the folder that --data names"):
        Sources(tmp_path).open("set")
    assert not server.asked
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.yaml").touch()
    assert (Sources(tmp_path).open("set") / "a.yaml").exists()


def test_another_file_than_was_published_is_refused(tmp_path: Path, known: Known) -> None:
    known(archive(tmp_path / "set.zip").read_bytes(), sha256="0" * 64)
    with pytest.raises(InputError, match="is not the file that was published") as error:
        Sources(tmp_path).open("set")
    assert error.value.file == tmp_path / "set.zip"
    # it is the user's own, and would not be downloaded while it is there
    assert error.value.message.endswith("or take this one away to have it downloaded")


def test_a_download_of_another_file_is_refused(tmp_path: Path, known: Known) -> None:
    known(archive(tmp_path / "a.zip").read_bytes(), sha256="0" * 64)
    with pytest.raises(InputError, match="SHA-256"):
        Sources().open("set")


@pytest.mark.parametrize("keep", [0, 10, 120])
def test_a_truncated_archive_is_refused_by_name(tmp_path: Path, known: Known, keep: int) -> None:
    content = archive(tmp_path / "whole.zip").read_bytes()
    (tmp_path / "set.zip").write_bytes(content[:keep])
    known(sha256=None)
    with pytest.raises(InputError, match=r"set\.zip: is no archive, or damaged .*take this one away"):
        Sources(tmp_path).open("set")


def test_a_changed_byte_is_found(tmp_path: Path, known: Known) -> None:
    content = bytearray(archive(tmp_path / "set.zip").read_bytes())
    place = content.index(b"second")
    content[place] ^= 1
    (tmp_path / "set.zip").write_bytes(content)
    known(sha256=None)
    with pytest.raises(InputError, match=r"set/two\.txt does not unpack"):
        Sources(tmp_path).open("set")


def test_an_archive_that_unpacks_to_more_than_any_set_is_refused(
    tmp_path: Path, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(tmp_path / "set.zip")
    known(sha256=None)
    monkeypatch.setattr(sources, "LARGEST", 100)
    with pytest.raises(InputError, match="which no set does"):
        Sources(tmp_path).open("set")


def test_a_wrong_name_is_told() -> None:
    with pytest.raises(InputError, match="did you mean 's24'"):
        get_source("s25")
