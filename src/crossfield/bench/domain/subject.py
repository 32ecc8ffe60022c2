"""What is measured: a head of a model, or any ASE calculator."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from ase.calculators.calculator import Calculator as AseCalculator

from crossfield.bench.domain.dispersion import FUNCTIONALS, functional
from crossfield.bench.domain.results import SubjectResult
from crossfield.errors import InputError, nearest
from crossfield.messages import say
from crossfield.model.fingerprint import fingerprint
from crossfield.simulate.calculator import Calculator
from crossfield.theory import Theory, known_theories
from crossfield.zoo import load
from crossfield.zoo.download import file_sha256
from crossfield.zoo.fetch import local_model

MOST_FILES, MOST_BYTES = 5000, 1 << 30  # of a package that is not installed, to be read for its fingerprint


@dataclass(frozen=True)
class HeadMaker:
    """Makes calculators of one head of a model; goes to other processes."""

    path: Path
    head: str
    dtype: str
    device: str

    def __call__(self) -> AseCalculator:
        """A calculator, with tables of radial functions of the default accuracy, as users have it."""
        potential = load(self.path, dtype=self.dtype, device=self.device)
        return Calculator(potential, self.head)


@dataclass(frozen=True)
class FactoryMaker:
    """Makes calculators of someone else's: `MODULE:NAME` is called with the arguments given."""

    module: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self) -> AseCalculator:
        """A calculator.

        Raises:
            InputError: it cannot be imported, or does not take these arguments.
        """
        where = f"{self.module}:{self.name}"
        try:
            factory = importlib.import_module(self.module)
        except Exception as error:  # someone else's code
            raise InputError(f"{where} cannot be imported: {_said(error)}") from error
        for part in self.name.split("."):
            factory = getattr(factory, part, None)  # type: ignore[assignment]
        if not callable(factory):
            raise InputError(f"{where}: module {self.module} has no such function or class")
        try:
            with redirect_stdout(sys.stderr):  # results go to standard output, and nothing else
                made = factory(**self.arguments)
        except Exception as error:  # someone else's code
            raise InputError(f"{where} cannot be made with {dict(self.arguments)}: {_said(error)}") from error
        if not hasattr(made, "get_property"):
            raise InputError(f"{where} gives a {type(made).__name__}, which is no ASE calculator")
        return made


@dataclass(frozen=True)
class Subject:
    """A model that is measured.

    Attributes:
        name: for people.
        head: which answers; None for someone else's calculator.
        theory: that its answers stand for.
        elements: atomic numbers that it covers; None: not known.
        reads: which of "charge" and "spin" its answers depend on.
        refuses: why it cannot answer for a charge (e) and multiplicity (2S+1) that it reads; None: it can.
        fingerprint: SHA-256 of all that its answers follow from.
        dtype: precision; None: not known.
        versions: of what computes.
        weights: SHA-256 of the file of the model; None for someone else's calculator.
        make: makes a calculator, in this process or another.
    """

    name: str
    head: str | None
    theory: Theory
    elements: frozenset[int] | None
    reads: frozenset[str]
    refuses: Callable[[int, int], str | None]
    fingerprint: str
    dtype: str | None
    versions: Mapping[str, str]
    weights: str | None
    make: Callable[[], AseCalculator]

    def unread(self, charge: int, spin: int) -> str | None:
        """Which of a total charge and multiplicity it takes no notice of; None: of neither that matters."""
        if charge != 0 and "charge" not in self.reads:
            return f"charge {charge:+d}, and the model reads no charge"
        if spin != 1 and "spin" not in self.reads:
            return f"multiplicity {spin}, and the model reads no spin"
        return None

    @property
    def doubt(self) -> str | None:
        """What a user should know before: that it is not known what the answers stand for."""
        if functional(self.theory.method) in FUNCTIONALS or self.head is not None:
            return None
        stated = (
            f"{self.theory.method!r} is no functional that is known here"
            if self.theory.method
            else ("no --theory is given")
        )
        return f"{stated}: no D3 is added, and it cannot be told which references are of another functional"

    def as_result(self) -> SubjectResult:
        """As it is written down."""
        return SubjectResult(
            name=self.name,
            weights=self.weights,
            head=self.head,
            theory=self.theory.model_dump(mode="json"),
            fingerprint=self.fingerprint,
            dtype=self.dtype,
            versions=dict(self.versions),
            elements=None if self.elements is None else tuple(sorted(self.elements)),
        )


def head_subject(model: str, head: str | None, *, dtype: str = "float64", device: str = "auto") -> Subject:
    """A head of a model of ours, or of the MACE family.

    Args:
        model: file, or name of a published model.
        head: its name; None: the default one.
        dtype, device: as in `crossfield.load`.

    Raises:
        InputError: no such model or head.
    """
    path = local_model(model).absolute()
    potential = load(path, dtype=dtype, device=device)
    chosen = potential.theory_head(head)
    described = [
        version("crossfield"),
        fingerprint(potential.model),
        chosen.name,
        potential.backend,
        potential.model.device.type,
        str(potential.table_accuracy),
    ]
    config = potential.model.config

    def refuses(charge: int, spin: int) -> str | None:
        try:
            config.check_inputs(charge=charge, spin=spin)
        except InputError as error:
            return error.message
        return None

    return Subject(
        name=model,
        head=chosen.name,
        theory=chosen.theory,
        elements=frozenset(chosen.E0),
        reads=frozenset(config.inputs) & {"charge", "spin"},
        refuses=refuses,
        fingerprint=_digest(described),
        dtype=dtype,
        versions={"crossfield": version("crossfield"), "torch": version("torch")},
        weights=file_sha256(path),
        make=HeadMaker(path, chosen.name, dtype, device),
    )


def calculator_subject(
    spec: str, arguments: Mapping[str, Any], *, theory: str | None = None, reads: frozenset[str] = frozenset()
) -> Subject:
    """Someone else's calculator.

    Args:
        spec: `MODULE:NAME`, a class or function that gives an ASE calculator.
        arguments: what it is called with.
        theory: a known level of theory, or the name of a functional; None: not known.
        reads: which of "charge" and "spin" it reads of `atoms.info`.

    Raises:
        InputError: it cannot be made.
    """
    module, _, name = spec.partition(":")
    make = FactoryMaker(module, name, arguments)
    make()  # whatever is wrong is said before anything is calculated
    package = module.partition(".")[0]
    versions = {name: version(name) for name in ("ase", "torch")}
    installed = packages_distributions().get(package, [])
    for distribution in installed or [package]:
        try:
            versions[distribution] = version(distribution)
        except PackageNotFoundError:
            versions[distribution] = "not known"
    known = known_theories()
    meant = known.get(theory or "") or Theory(name=theory or "not stated", method=theory or "")
    if meant.name == theory and theory not in known and "_" in theory:
        raise InputError(f"--theory {theory}: no known level of theory{nearest(theory, [*known])}")
    text = json.dumps(dict(arguments), sort_keys=True, default=str)
    return Subject(
        name=spec if not arguments else f"{spec} {text}",
        head=None,
        theory=meant,
        elements=None,
        reads=reads,
        refuses=lambda charge, spin: None,
        fingerprint=_digest([spec, text, *_content(module, arguments, installed), *_listed(versions)]),
        dtype=None,
        versions=versions,
        weights=None,
        make=make,
    )


def _listed(versions: Mapping[str, str]) -> list[str]:
    return [f"{name} {number}" for name, number in sorted(versions.items())]


def _content(module: str, arguments: Mapping[str, Any], installed: Sequence[str]) -> list[str]:
    """Digests of the files that a calculator follows from: its module, and what its arguments name.

    The version of a package that is installed stands for its other files; of one that is not, all are read.
    """
    source = getattr(sys.modules[module], "__file__", None)
    values = [v for value in arguments.values() for v in (value if isinstance(value, list) else [value])]
    files = [Path(v) for v in (source, *values) if isinstance(v, str) and v]
    if not installed:
        files += _files(module.partition(".")[0])
    return [file_sha256(file) for file in files if file.is_file()]


def _files(package: str) -> list[Path]:
    """The files of a package that is not installed; of a module alone, none but itself."""
    found: list[Path] = []
    for folder in getattr(sys.modules[package], "__path__", ()):
        for path in sorted(Path(folder).rglob("*")):
            parts = path.relative_to(folder).parts
            if not any(part.startswith(".") or part == "__pycache__" for part in parts) and path.is_file():
                found.append(path)
    if len(found) > MOST_FILES or sum(path.stat().st_size for path in found) > MOST_BYTES:
        say(
            f"package {package} is not installed and too large to be compared: what was calculated is kept "
            "even if its files change; install it, and raise its version with every change"
        )
        return []
    return found


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _digest(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
