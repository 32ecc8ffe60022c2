"""The published sets that benchmarks read: where they are, under which licence, what to cite."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from crossfield.errors import InputError, nearest
from crossfield.files import cache_folder
from crossfield.zoo import cache as kept
from crossfield.zoo.download import download, file_sha256

LARGEST = 20 << 30  # bytes that an archive may unpack to
Place = Path | zipfile.Path  # a folder, or one in an archive; both have /, iterdir, read_text, open


class Source(BaseModel):
    """A published set.

    Attributes:
        name: key.
        title: what its authors call it.
        url: where it is.
        file: its name; that of an archive ends in ".zip", and without this it is the name of its folder.
        sha256: of this file; None: not known, so that the first download is trusted.
        size: of this file, bytes; None: not known.
        licence: as its authors state it, else "not stated".
        citation: what to cite.
        contents: in one line.
        by_hand: whether the URL is a page with many files, which are to be put into that folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    url: Annotated[str, Field(pattern=r"^https://[^\s/]+/\S+$")]
    file: Annotated[str, Field(pattern=r"^[\w.\-]+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None
    size: PositiveInt | None
    licence: str
    citation: str
    contents: str
    by_hand: bool = False


@cache
def known_sources() -> Mapping[str, Source]:
    """All sets, by name."""
    text = resources.files("crossfield.bench.domain").joinpath("sources.yaml").read_text("utf-8")
    return {name: Source(name=name, **fields) for name, fields in yaml.safe_load(text).items()}


class Sources:
    """Opens sets: from a folder of local copies, from the cache, or from where they were published.

    Args:
        local: folder with archives as published, or unpacked; looked at first. Nothing is written to it.
        online: whether to download what is in neither.
    """

    def __init__(self, local: Path | None = None, *, online: bool = True) -> None:
        if local is not None and not local.is_dir():
            raise InputError("is no folder", file=local)
        self._local, self._online = local, online
        self._opened: dict[str, Place] = {}

    def open(self, name: str) -> Place:
        """The top of a set, in which its files have the paths that they have in the archive.

        A set that is no archive is the file itself.

        Raises:
            InputError: it is not there and cannot be had, or is not what was published.
        """
        if name not in self._opened:
            self._opened[name] = self._open(get_source(name))
        return self._opened[name]

    def _open(self, source: Source) -> Place:
        if self._local is not None:
            archive, folder = self._local / source.file, self._local / Path(source.file).stem
            if archive.is_file():
                return _checked(archive, source)
            if folder.is_dir() and source.file.endswith(".zip"):
                # archives hold one folder of their own name, which those who unpack may or may not keep
                return self._local
        target = cache_folder() / "benchmarks" / "sources" / source.file
        if not target.exists():
            if source.by_hand:
                raise InputError(
                    f"set {source.name} is many files: put them from {source.url} into "
                    f"{Path(source.file).stem}/ of the folder that --data names"
                )
            if not self._online:
                raise InputError(f"set {source.name} ({source.file}) is neither in --data nor in the cache")
            with kept.claimed(target) as place:
                if not place.exists():
                    download(source.url, place, sha256=source.sha256, size=source.size)
        return _checked(target, source)


def get_source(name: str) -> Source:
    """The set of this name.

    Raises:
        InputError: no such set.
    """
    sources = known_sources()
    if name not in sources:
        raise InputError(f"unknown set {name!r}{nearest(name, list(sources))}")
    return sources[name]


def _checked(path: Path, source: Source) -> Place:
    """A file that is what was published; its top, if it is an archive."""
    if source.sha256 is not None and (found := file_sha256(path)) != source.sha256:
        raise InputError(
            f"is not the file that was published (SHA-256 {found[:12]}…, expected {source.sha256[:12]}…); "
            "delete it to have it downloaded again",
            file=path,
        )
    return _top(path) if source.file.endswith(".zip") else path


def _top(path: Path) -> zipfile.Path:
    """The top of an archive all of whose files unpack."""
    try:
        archive = zipfile.ZipFile(path)
        size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST:
            raise InputError(f"unpacks to {size / 1e9:.1f} GB, which no set does", file=path)
        damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"is no archive, or damaged ({error}); delete it", file=path) from error
    if damaged is not None:
        raise InputError(f"is damaged: {damaged} does not unpack; delete it", file=path)
    return zipfile.Path(archive)
