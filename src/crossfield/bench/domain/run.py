"""Measure a model: what is known is kept, the rest is calculated, and all of it scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from crossfield.bench.domain.benchmark import Benchmark, Findings, Item, Values
from crossfield.bench.domain.desk import Job
from crossfield.bench.domain.dispersion import functional_mismatch
from crossfield.bench.domain.plan import Missing, Plan, make_plan, notes_on_states
from crossfield.bench.domain.results import (
    MEASURED,
    BenchmarkResult,
    DomainResults,
    Problem,
    Structure,
    read_results,
    write_results,
)
from crossfield.bench.domain.scores import benchmark_score, domain_scores, global_score, scored
from crossfield.bench.domain.sources import Sources
from crossfield.bench.domain.store import Store, folder_of, note_subject, results_file
from crossfield.bench.domain.subject import Subject
from crossfield.bench.domain.workers import Shop, calculate_all
from crossfield.bench.machine import processor
from crossfield.errors import InputError

ENOUGH = 0.5  # share of the calculations of a benchmark without which it has no score
Progress = Callable[[str, int, int], None]  # benchmark, items done, items in all


def run(
    subject: Subject,
    asked: Sequence[Benchmark],
    catalogue: Sequence[Benchmark],
    sources: Sources,
    *,
    quick: bool = False,
    workers: int = 1,
    limit: float | None = 3600.0,
    retry: bool = False,
    progress: Progress | None = None,
) -> DomainResults:
    """Run benchmarks on a model. Killed at any moment, the next call does only the rest.

    Args:
        subject: the model.
        asked: benchmarks to run.
        catalogue: all there are; those that are not asked for keep their former results, or show as not run.
        sources: of the sets.
        quick: only the small part of every set.
        workers: processes; 0: this one, which then hangs or dies with a calculator.
        limit: seconds after which a calculation is given up; None: never.
        retry: calculations that failed before are done again.
        progress: is told how far a benchmark is.

    Returns:
        The results; they are kept in the folder of the model, too.
    """
    folder = folder_of(subject)
    store = Store(folder)
    file = results_file(folder, quick=quick)
    with store.opened():
        planned = {b.name: make_plan(b, subject, sources, quick=quick) for b in asked}
        plans = [p for p in planned.values() if isinstance(p, Plan)]
        shop = Shop(subject.make, workers, limit, store.folder / "output.log")
        _calculate(plans, store, shop, retry=retry, tell=progress or _silent)
        found = {b.name: _result(b, planned[b.name], subject) for b in asked}
        before = _former(file, subject)  # only now, since another run may have come in between
        ordered = [_latest(b, found.get(b.name), before.get(b.name)) for b in catalogue]
        results = _all(subject, ordered, quick=quick, workers=workers)
        write_results(results, file)
        note_subject(subject, folder)
    return results


def _latest(
    benchmark: Benchmark, new: BenchmarkResult | None, old: BenchmarkResult | None
) -> BenchmarkResult:
    """The result to keep: what was measured once does not go because a set could not be read later."""
    if new is None:
        return old or _without(benchmark, "not run", "it was not asked for")
    if new.status != "missing" or new.total > 0 or old is None or old.status not in MEASURED:
        return new
    note = f"in a later run it was missing ({new.reason}); these are the numbers from before"
    return old if note in old.notes else old.model_copy(update={"notes": (*old.notes, note)})


def _silent(name: str, done: int, total: int) -> None:
    """Nobody listens."""


def _former(file: Path, subject: Subject) -> Mapping[str, BenchmarkResult]:
    """Earlier results of the same model, head and theory, whatever its name; of another, none."""
    try:
        former = read_results(file)
    except (InputError, OSError):
        return {}
    own, other = subject.as_result(), former.subject
    same = (own.fingerprint, own.head, own.theory) == (other.fingerprint, other.head, other.theory)
    return {b.name: b for b in former.benchmarks} if same else {}


def _calculate(plans: Sequence[Plan], store: Store, shop: Shop, *, retry: bool, tell: Progress) -> None:
    """Outcomes of all covered items, of all benchmarks at once; what is known is not done again."""
    jobs: dict[str, Job] = {}
    asking: dict[str, list[str]] = {}  # names of the benchmarks, once per item, by digest
    left: dict[str, int] = {}
    for plan in plans:
        name = plan.benchmark.name
        for item in plan.items:
            digest = plan.digests.get(item.name)
            if digest is None:
                continue
            known = store.get(digest)
            if known is None or (retry and known.status != "done"):
                jobs.setdefault(digest, Job(digest, plan.benchmark.calculate, item, plan.parameters))
                asking.setdefault(digest, []).append(name)
        left[name] = sum(names.count(name) for names in asking.values())
        tell(name, len(plan.digests) - left[name], len(plan.digests))
    totals = {plan.benchmark.name: len(plan.digests) for plan in plans}
    for job, outcome in calculate_all([*jobs.values()], shop):
        store.add(job.digest, job.item.name, outcome)
        for name in asking[job.digest]:
            left[name] -= 1
            tell(name, totals[name] - left[name], totals[name])
    for plan in plans:
        plan.outcomes = {n: found for n, d in plan.digests.items() if (found := store.get(d)) is not None}


def _result(benchmark: Benchmark, plan: Plan | Missing, subject: Subject) -> BenchmarkResult:
    if isinstance(plan, Missing):
        return _without(benchmark, "missing", plan.reason, plan.problems)
    values = {name: o.values for name, o in plan.outcomes.items() if o.status == "done"}
    failed = [
        Problem(name=name, kind=o.status, reason=o.reason)
        for name, o in plan.outcomes.items()
        if o.status != "done"
    ]
    problems = [*plan.inputs.problems, *plan.problems, *failed]
    seconds = sum(o.seconds for o in plan.outcomes.values())
    if not values:
        reason = f"nothing could be calculated ({problems[0].name}: {problems[0].reason})" if problems else ""
        return _without(benchmark, "missing", reason, problems, total=len(plan.items), seconds=seconds)
    try:
        return _analysed(plan, subject, values, problems, seconds)
    except Exception as error:  # noqa: BLE001  absurd numbers of one model must not cost the other results
        reason = f"the analysis failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return _without(benchmark, "missing", reason, problems, total=len(plan.items), seconds=seconds)


def _analysed(
    plan: Plan, subject: Subject, values: Mapping[str, Values], problems: Sequence[Problem], seconds: float
) -> BenchmarkResult:
    benchmark = plan.benchmark
    findings = benchmark.analyse(plan.inputs, values)
    metrics = scored(benchmark.metrics, findings.metrics)
    enough = plan.share >= ENOUGH
    return BenchmarkResult(
        **_described(benchmark),
        status="partial" if problems else "complete",
        reason="" if enough else f"no score: fewer than {ENOUGH:.0%} of its calculations could be done",
        score=benchmark_score(metrics) if enough else None,
        metrics=metrics,
        mismatch=functional_mismatch(subject.theory, benchmark.reference, plan.parameters),
        dispersion=plan.remark,
        total=len(plan.items),
        done=len(values),
        seconds=seconds,
        entries=tuple(findings.entries),
        curves=tuple(findings.curves),
        problems=tuple(problems),
        notes=(*findings.notes, *notes_on_states(plan, subject)),
        structures=_structures(plan.items, findings),
    )


def _structures(items: Sequence[Item], findings: Findings) -> dict[str, dict[str, Structure]]:
    """Structures that entries refer to."""
    wanted = {name for entry in findings.entries for name in entry.items}
    return {
        item.name: {role: Structure.of(atoms) for role, atoms in item.structures.items()}
        for item in items
        if item.name in wanted
    }


def _without(
    benchmark: Benchmark,
    status: str,
    reason: str,
    problems: Sequence[Problem] = (),
    *,
    total: int = 0,
    seconds: float = 0.0,
) -> BenchmarkResult:
    """A benchmark without numbers."""
    return BenchmarkResult(
        **_described(benchmark),
        status=status,
        reason=reason,
        metrics=scored(benchmark.metrics, {}),
        total=total,
        seconds=seconds,
        problems=tuple(problems),
    )


def _described(benchmark: Benchmark) -> dict[str, object]:
    return {
        "name": benchmark.name,
        "title": benchmark.title,
        "domain": benchmark.domain,
        "description": benchmark.description,
        "reference": benchmark.reference.method,
        "sources": tuple(benchmark.sources),
    }


def _all(
    subject: Subject, benchmarks: Sequence[BenchmarkResult], *, quick: bool, workers: int
) -> DomainResults:
    domains = domain_scores(benchmarks)
    total, covered, mean = global_score(domains)
    return DomainResults(
        subject=subject.as_result(),
        quick=quick,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=processor(),
        workers=workers,
        global_score=total,
        covered_weight=covered,
        covered_score=mean,
        domains=domains,
        benchmarks=tuple(benchmarks),
    )
