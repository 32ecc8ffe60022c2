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
from crossfield.zoo.download import file_sha256
from crossfield.zoo.once import Once

LARGEST = 20 << 30  # bytes that an archive may unpack to
Place = Path | zipfile.Path  # a folder, or one in an archive; both have /, iterdir, read_text, open


class Source(BaseModel):
    """A published set.

    Attributes:
        name: key.
        title: what its authors call it.
        url: where it is.
        file: its name; that of an archive ends in ".zip", and without this it is the name of its folder.
        sha256: of this file; None: not known, so that the first download is trusted, and later ones compared
            with it.
        size: of this file, bytes; None: not known.
        licence: as its authors state it, else "not stated".
        citation: what to cite.
        contents: in one line.
        top: name of the one folder in the archive, where it is not that of the archive.
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
    top: Annotated[str, Field(pattern=r"^[\w.\-]+$")] | None = None
    by_hand: bool = False

    @property
    def stem(self) -> str:
        """Name of the archive without its ending."""
        return Path(self.file).stem


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
        """The folder that the archive of a set holds; of a set that is no archive, the file itself.

        Raises:
            InputError: it is not there and cannot be had, or is not what was published.
        """
        if name not in self._opened:
            self._opened[name] = self._open(get_source(name))
        return self._opened[name]

    def _open(self, source: Source) -> Place:
        if self._local is not None:
            archive = self._local / source.file
            if archive.is_file():
                advice = "put the published file there, or take this one away to have it downloaded"
                found = file_sha256(archive)
                if source.sha256 not in (None, found):
                    raise InputError(
                        f"is not the file that was published (SHA-256 {found}, expected {source.sha256}); "
                        f"{advice}",
                        file=archive,
                    )
                return _folder(archive, source, advice)
            if (folder := _unpacked(source, self._local)) is not None:
                return folder
        target = cache_folder() / "benchmarks" / "sources" / source.file
        if not target.exists():
            if source.by_hand:
                raise InputError(
                    f"set {source.name} is many files: put them from {source.url} into "
                    f"{source.stem}/ of the folder that --data names"
                )
            if not self._online:
                raise InputError(f"set {source.name} ({source.file}) is neither in --data nor in the cache")
        # remembered under a name of its own, among those of models
        once = Once(f"benchmarks-{source.name}", source.url, source.size, source.sha256)
        once.fetch(target)
        return _folder(target, source, "delete it to have it downloaded again")


def _unpacked(source: Source, local: Path) -> Path | None:
    """Where an archive was unpacked: beside it, into a folder of its name, or its contents into that."""
    if not source.file.endswith(".zip"):
        return None
    own = local / source.stem
    top = source.top or source.stem
    return next((folder for folder in (own / top, local / top, own) if folder.is_dir()), None)


def get_source(name: str) -> Source:
    """The set of this name.

    Raises:
        InputError: no such set.
    """
    sources = known_sources()
    if name not in sources:
        raise InputError(f"unknown set {name!r}{nearest(name, list(sources))}")
    return sources[name]


def _folder(path: Path, source: Source, advice: str) -> Place:
    """The folder in an archive; a file that is none, as it is."""
    if not source.file.endswith(".zip"):
        return path
    return zipfile.Path(_whole(path, advice), at=f"{source.top or source.stem}/")


def _whole(path: Path, advice: str) -> zipfile.ZipFile:
    """An archive all of whose files unpack."""
    try:
        archive = zipfile.ZipFile(path)
        size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST:
            raise InputError(f"unpacks to {size / 1e9:.1f} GB, which no set does", file=path)
        damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"is no archive, or damaged ({error}); {advice}", file=path) from error
    if damaged is not None:
        raise InputError(f"is damaged: {damaged} does not unpack; {advice}", file=path)
    return archive
