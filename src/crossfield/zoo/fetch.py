"""From the name of a published model, or any model file, to a file in Crossfield's own format."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from crossfield.errors import InputError, nearest
from crossfield.files import cache_folder
from crossfield.zoo import cache
from crossfield.zoo.download import file_sha256
from crossfield.zoo.once import Once
from crossfield.zoo.published import LICENCES, Published, get_published, published

ACCEPT_VARIABLE = "CROSSFIELD_ACCEPT_LICENCE"
# how files of torch.save begin, and so those of mace-torch; safetensors files have "{" as their ninth byte
_TORCH = re.compile(rb"PK\x03\x04|\x80[\x02-\x05](?!.{6}\{)", re.DOTALL)


def local_model(name_or_path: str | os.PathLike[str], *, accept_licence: bool = False) -> Path:
    """A file in Crossfield's own format; downloads and converts, once, what is not yet.

    A published name that is also the name of a file here means the published model; `./NAME`, or a name with
    a suffix, means the file.

    Args:
        name_or_path: a published model, a file of Crossfield's, or one of mace-torch.
        accept_licence: the licence of a published model is accepted.

    Raises:
        InputError: there is no such file or model, the licence is not accepted, or the download failed.
    """
    text = os.fspath(name_or_path)
    path = Path(text)
    looks_like_path = bool(path.suffix) or any(mark in text for mark in (os.sep, os.altsep) if mark)
    if os.path.exists(text) and (looks_like_path or text not in published()):
        return _own_format(path)
    models = published()
    if text in models:
        model = models[text]
        _check_licence(model, accept_licence)
        ready = _known_conversion(model)
        return ready or _converted(*_downloaded(model), model)
    hint = nearest(path.stem.lower() if looks_like_path else text.lower(), list(models))
    if looks_like_path:
        raise InputError(f"no such file{hint}", file=text)
    raise InputError(
        f"{text!r} is neither a file nor a published model{hint} (`crossfield models` lists those there are)"
    )


def fetch(name: str, *, accept_licence: bool = False) -> Path:
    """The file of a published model, as its authors published it; downloaded unless it is in the cache.

    Args:
        name: see `crossfield.zoo.published.published`.
        accept_licence: its licence is accepted.

    Raises:
        InputError: no such model, the licence is not accepted, or the download failed.
    """
    model = get_published(name)
    _check_licence(model, accept_licence)
    return _downloaded(model)[0]


def cached(model: Published) -> Path | None:
    """The file of a model that is in the cache: converted, else as it was published; None: there is none."""
    raw = _raw_path(model)
    return _known_conversion(model) or (raw if raw.exists() else None)


def _own_format(path: Path) -> Path:
    if not path.is_file():
        return path  # who reads it says what is wrong
    with path.open("rb") as file:
        if not _TORCH.match(file.read(9)):
            return path
    digest = file_sha256(path)
    same = (model for model in published().values() if _once(model).checksum() == digest)
    return _converted(path, digest, next(same, None))


def _downloaded(model: Published) -> tuple[Path, str]:
    """The published file, and its SHA-256."""
    path = _raw_path(model)
    return path, _once(model).fetch(path)


def _once(model: Published) -> Once:
    return Once(model.name, model.url, model.size, model.sha256)


def _converted(source: Path, digest: str, model: Published | None) -> Path:
    from crossfield.zoo.convert import convert

    target = _conversion_path(digest, model)
    if not target.exists():
        cache.make_folder_of(target)
        convert(source, target, published=model, digest=digest)
    return target


def _known_conversion(model: Published) -> Path | None:
    """The converted file, if it exists: for it the published file need neither be read nor there."""
    digest = _once(model).checksum()
    path = None if digest is None else _conversion_path(digest, model)
    return path if path and path.exists() else None


def _conversion_path(digest: str, model: Published | None) -> Path:
    from crossfield.zoo.convert import VERSION

    name = f"{digest}-v{VERSION}"
    if model is not None:
        # a newer crossfield may know more about its heads
        heads = {head: theory.model_dump() for head, theory in model.theories().items()}
        text = json.dumps([heads, model.default_head])
        name += f"-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return cache_folder() / "models" / f"{name}.safetensors"


def _raw_path(model: Published) -> Path:
    return cache_folder() / "downloads" / f"{model.name}.model"


def _check_licence(model: Published, accept: bool) -> None:
    """Check that a licence was accepted, once for all models under it.

    Raises:
        InputError: it was not; the message says what it forbids, and how to accept it.
    """
    name, licence = model.licence, LICENCES[model.licence]
    if not licence.ask or cache.recall("licences", name):
        return
    if os.environ.get(ACCEPT_VARIABLE) == name:  # which says so every time
        return
    if not (accept or _asked(model)):
        raise InputError(
            f"{model.name} is under the {licence.title} ({licence.url}). {licence.terms} If you accept this: "
            f"run `crossfield models {model.name} --download --accept-licence`, set {ACCEPT_VARIABLE}={name} "
            "or use accept_licence=True in Python"
        )
    with suppress(InputError):  # where the cache cannot be written to, it is asked again
        cache.remember("licences", name, {"accepted": datetime.now(UTC).isoformat(timespec="seconds")})


def _asked(model: Published) -> bool:
    """The answer of whoever sits at the terminal; no if nobody does."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    from rich.console import Console
    from rich.prompt import Confirm

    licence = LICENCES[model.licence]
    console = Console(stderr=True, highlight=False)
    console.print(
        f"{model.name} is under the {licence.title} ({licence.url}).\n{licence.terms}", markup=False
    )
    try:
        return Confirm.ask("Do you accept this licence?", console=console, default=False)
    except EOFError:
        return False
