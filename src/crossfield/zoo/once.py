"""Files that are downloaded once, and compared ever after with what they have to be."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from crossfield.errors import InputError
from crossfield.zoo import cache
from crossfield.zoo.download import ChecksumError, download, file_sha256


class Once(NamedTuple):
    """A published file. Where no checksum is published, that of the first download counts from then on."""

    name: str  # under which that one is remembered
    url: str
    size: int | None  # bytes
    sha256: str | None  # as published

    def checksum(self) -> str | None:
        """What its SHA-256 must be; None: not known yet."""
        if self.sha256 is not None:
            return self.sha256
        facts = cache.recall("checksums", self.name)
        return facts.get("sha256") if facts and facts.get("url") == self.url else None

    def fetch(self, path: Path) -> str:
        """Download it, unless it is there, and compare it.

        Returns:
            Its SHA-256.

        Raises:
            InputError: the download failed, or it is another file.
        """
        if not path.exists():
            with cache.claimed(path) as target:
                if not path.exists():  # else another process has just finished
                    self._download(target)
        digest, expected = file_sha256(path), self.checksum()
        if expected is None:
            cache.remember("checksums", self.name, {"url": self.url, "sha256": digest})
        elif digest != expected:
            why = "" if self.sha256 else "not the file that came at the first download; "
            raise InputError(
                f"not the file that was published ({why}SHA-256 {digest}, expected {expected}); delete it to "
                "have it downloaded again",
                file=path,
            )
        return digest

    def _download(self, target: Path) -> None:
        try:
            download(self.url, target, sha256=self.checksum(), size=self.size)
        except ChecksumError as error:
            if self.sha256 is not None:
                raise
            raise InputError(
                f"{error.message}. Expected is what came at the first download; if the authors say that they "
                f"replaced the file, delete {cache.place_of('checksums', self.name)}",
                file=error.file,
            ) from error
