"""Short names that tell several results of benchmarks apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath

from crossfield.bench.domain.results import DomainResults, SubjectResult
from crossfield.report.domain_radar import Named

GENERIC = frozenset(("best", "last", "model"))  # names of files that say little


def named(results: Sequence[DomainResults]) -> list[Named]:
    """Each with a name of its own: the head, else the model, both, and a number where that is not enough."""
    if len(results) == 1:
        return [Named("", results[0])]
    names = [_label(r, r.subject.head or short_name(r.subject)) for r in results]
    names = _apart(names, lambda n: _label(results[n], _both(results[n].subject)))
    names = _apart(names, lambda n: f"{names[n]} ({n + 1})")
    return [Named(name, r) for name, r in zip(names, results, strict=True)]


def short_name(subject: SubjectResult) -> str:
    """ "CHGNetCalculator" of module:CHGNetCalculator {...}; of a file its name, or that of its folder."""
    if subject.weights is None:
        return subject.name.partition(" ")[0].rpartition(":")[2] or subject.name
    path = PurePath(subject.name)
    return path.parent.name if path.stem in GENERIC and path.parent.name else path.stem or subject.name


def _both(subject: SubjectResult) -> str:
    return f"{short_name(subject)}, {subject.head}" if subject.head else subject.name


def _label(results: DomainResults, name: str) -> str:
    return f"{name}, quick" if results.quick else name


def _apart(names: Sequence[str], longer: Callable[[int], str]) -> list[str]:
    """Longer names for those that several have."""
    return [longer(n) if names.count(name) > 1 else name for n, name in enumerate(names)]
