"""Results of benchmarks that no model gave, of the size that real ones have."""

from __future__ import annotations

from functools import cache

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule

from crossfield.bench.domain.results import (
    BenchmarkResult,
    Curve,
    DomainResults,
    Entry,
    MetricResult,
    Problem,
    Structure,
    SubjectResult,
)
from crossfield.bench.domain.scores import benchmark_score, domain_scores, global_score
from crossfield.report.benchmarks import benchmark_sections
from crossfield.report.domain_radar import Named
from crossfield.report.section import Section

METALS = ("Al", "Cu", "Ag", "Au", "Ni", "Pd", "Pt", "Fe")
IDLE = (MetricResult(name="MAE", unit="eV", value=None, good=1.0, bad=2.0, weight=1.0, score=None),)
HOSTILE = '</script><img src=x onerror="alert(1)">'


def metric(name: str, value: float | None, good: float | None, bad: float | None, unit: str) -> MetricResult:
    """With its score."""
    score = None
    if value is not None and good is not None and bad is not None:
        score = min(1.0, max(0.0, (value - bad) / (good - bad)))
    return MetricResult(name=name, unit=unit, value=value, good=good, bad=bad, weight=1.0, score=score)


def result(
    name: str, domain: str, *, metrics: tuple[MetricResult, ...] = (), **fields: object
) -> BenchmarkResult:
    """A benchmark; complete unless it is said otherwise."""
    stated: dict[str, object] = {
        "metrics": metrics,
        "score": benchmark_score(metrics),
        "title": name.replace("_", " ").upper(),
        "description": f"What {name} calculates, and how.",
        "reference": "PBE",
        "status": "complete",
        "seconds": 12.5,
    }
    return BenchmarkResult(name=name, domain=domain, **(stated | fields))  # type: ignore[arg-type]


def results(benchmarks: tuple[BenchmarkResult, ...], *, quick: bool = False) -> DomainResults:
    """Of one model."""
    domains = domain_scores(benchmarks)
    total, covered, mean = global_score(domains)
    return DomainResults(
        subject=SubjectResult(
            name="model.safetensors",
            head="pbe",
            theory={"name": "pbe", "method": "PBE"},
            fingerprint="0" * 64,
            dtype="float64",
            versions={"crossfield": "0.1.0"},
            elements=(1, 6, 8),
        ),
        quick=quick,
        date="2026-01-02T03:04:05+00:00",
        machine="AMD EPYC",
        workers=2,
        global_score=total,
        covered_weight=covered,
        covered_score=mean,
        domains=domains,
        benchmarks=benchmarks,
    )


def not_run(name: str, domain: str) -> BenchmarkResult:
    """One that was not asked for."""
    return result(name, domain, status="not run", reason="it was not asked for", seconds=0.0, metrics=IDLE)


def small() -> DomainResults:
    """A few benchmarks, one of every kind."""
    return results((_binding(12), not_run("phonons", "materials"), _missing(), _equations(4), _diatomics(6)))


@cache
def large_sections() -> tuple[Section, ...]:
    """The tabs about `large`, which take a moment to make."""
    return tuple(benchmark_sections([Named("", large())]))


def large() -> DomainResults:
    """What a page has to hold: 2,500 reactions, 4,000 curves, 500 complexes of 100 atoms, large cells."""
    return results(
        (
            _equations(71),
            not_run("phonons", "materials"),
            result(
                "x23",
                "molecular_crystals",
                reference="DMC",
                dispersion="D3(BJ) of PBE, two-body",
                metrics=(metric("MAE", 5.4, 0, 100, "kJ/mol"),),
                total=23,
                done=23,
            ),
            _reactions(2500, 55),
            _binding(500),
            _big(),
            _missing(),
            _diatomics(89),
        )
    )


def _reactions(count: int, subsets: int) -> BenchmarkResult:
    rng = np.random.default_rng(0)
    references = rng.normal(20, 30, count)
    errors = rng.normal(0.4, 3, count)
    entries = [
        Entry(
            name=f"reaction {n}",
            group=f"SET{n % subsets:02d}",
            quantity="reaction energy",
            unit="kcal/mol",
            reference=float(r),
            predicted=None if n % 97 == 5 else float(r + e),
            items=(f"species {n % 100}", f"species {(n + 1) % 100}"),
        )
        for n, (r, e) in enumerate(zip(references, errors))
    ]
    missing = [e for e in entries if e.predicted is None]
    return result(
        "gmtkn55",
        "molecules",
        title="GMTKN55",
        reference="CCSD(T)/CBS",
        status="partial",
        entries=tuple(entries),
        metrics=(
            metric("WTMAD-2", 9.31, 0.5, 50, "kcal/mol"),
            metric("MAD, small", 2.2, None, None, "kcal/mol"),
        ),
        problems=tuple(
            Problem(name=e.name, kind="not covered", reason="charge +1, and the model reads no charge")
            for e in missing
        ),
        total=count,
        done=count - len(missing),
        dispersion="D3(BJ) of PBE, two-body",
        sources=("gmtkn55",),
        notes=("Of 55 subsets, 32 need only neutral closed shells.",),
        structures={
            f"species {n}": {"molecule": Structure.of(molecule(("C6H6", "CH3CH2OH", "H2O", "C2H4")[n % 4]))}
            for n in range(100)
        },
    )


def _binding(count: int) -> BenchmarkResult:
    """Complexes, of which the first failed; 100 atoms each where there are many."""
    rng = np.random.default_rng(1)
    structures = {}
    for n in range(count):
        guest = molecule("C6H6")
        host = molecule("C60") if count > 100 else molecule("C2H6")
        guest.translate(host.positions.max(axis=0))
        if count > 100:
            host += Atoms("Ne28", positions=rng.uniform(-9, -6, (28, 3)))
        structures[f"complex {n}"] = {"complex": Structure.of(host + guest), "host": Structure.of(host)}
    entries = [
        Entry(
            name=f"complex {n}",
            quantity="binding energy",
            unit="kcal/mol",
            reference=-20.0 - n,
            predicted=None if n == 0 else -19.0 - n,
            items=(f"complex {n}",),
        )
        for n in range(count)
    ]
    return result(
        "s30l",
        "molecules",
        title="S30L",
        status="partial",
        reference="experiment",
        mismatch="the model stands for PBE, the reference is ωB97M-V",
        metrics=(metric("MAE", 1.0, 2.4, 20, "kcal/mol"),),
        entries=tuple(entries),
        problems=(Problem(name="complex 0", kind="not converged", reason="0.3 eV/Å after 500 steps"),),
        total=count,
        done=count - 1,
        structures=structures,
    )


def _big() -> BenchmarkResult:
    crystal = bulk("NaCl", "rocksalt", a=5.64, cubic=True).repeat((4, 4, 5))
    metal = bulk("Cu", cubic=True).repeat((6, 6, 7))
    entries = [
        Entry(name=n, quantity="energy", unit="eV", reference=0.0, predicted=p, items=(n,))
        for n, p in (("salt", 0.3), ("copper", 0.1))
    ]
    return result(
        "lnci16",
        "molecules",
        metrics=(metric("MAE", 40.0, 0, 100, "kcal/mol"),),
        entries=tuple(entries),
        total=2,
        done=2,
        structures={"salt": {"cell": Structure.of(crystal)}, "copper": {"cell": Structure.of(metal)}},
    )


def _missing() -> BenchmarkResult:
    return result(
        "s24",
        "surfaces",
        status="missing",
        reason="set s24 is neither in --data nor in the cache",
        metrics=(metric("MAE", None, 0.05, 0.5, "eV"),),
        problems=(Problem(name=HOSTILE, kind="input", reason=f"truncated {HOSTILE}"),),
        seconds=0.0,
    )


def _equations(count: int) -> BenchmarkResult:
    entries, curves = [], []
    volumes = np.linspace(10, 12, 7)
    for n in range(count):
        name = METALS[n] if n < len(METALS) else f"crystal {n}"
        for quantity, unit, value in (("volume", "Å³/atom", 11.0), ("bulk modulus", "GPa", 140.0)):
            entries.append(
                Entry(
                    name=name,
                    quantity=quantity,
                    unit=unit,
                    reference=value + n,
                    predicted=1.01 * (value + n),
                    items=(name,),
                )
            )
        curves.append(
            Curve(
                name=name,
                group="metals",
                x_label="volume / Å³ per atom",
                y_label="energy / meV per atom",
                x=tuple(volumes),
                y=tuple((volumes - 11.1) ** 2 * 50),
                reference_x=tuple(volumes),
                reference_y=tuple((volumes - 11) ** 2 * 50),
            )
        )
    return result(
        "eos",
        "materials",
        title="Equations of state",
        metrics=(metric("Δ", 12.0, 0, 200, "meV/atom"),),
        entries=tuple(entries),
        curves=tuple(curves),
        total=count,
        done=count,
        structures={n: {"cell": Structure.of(bulk(n, "fcc", a=4.0, cubic=True))} for n in METALS[:count]},
    )


def _diatomics(elements: int) -> BenchmarkResult:
    """All pairs of the first elements, with a curve each, and a steep wall."""
    from itertools import combinations_with_replacement

    from ase.data import chemical_symbols

    rng = np.random.default_rng(2)
    x = np.linspace(0.4, 6, 100).round(3)
    pairs = ["-".join(p) for p in combinations_with_replacement(chemical_symbols[1 : elements + 1], 2)]
    curves, entries = [], []
    for pair in pairs:
        r, depth = rng.uniform(0.8, 2.5), rng.uniform(0.5, 8)
        y = depth * ((1 - np.exp(-1.8 * (x - r))) ** 2 - 1)
        curves.append(
            Curve(
                name=pair,
                group="diatomics",
                x_label="distance / Å",
                y_label="energy / eV",
                x=tuple(x),
                y=tuple(v if v < 300 else None for v in y),
            )
        )
        entries.append(
            Entry(name=pair, quantity="force flips", predicted=float(rng.integers(1, 6)), items=(pair,))
        )
    return result(
        "diatomics",
        "physicality",
        title="Diatomics",
        reference="",
        metrics=(metric("Force flips", 1.4, 1, 5, ""), metric("ρ(E, repulsion)", -0.99, -1, 1, "")),
        entries=tuple(entries),
        curves=tuple(curves),
        total=len(pairs),
        done=len(pairs),
        structures={
            p: {"pair": Structure.of(Atoms(p.split("-"), [[0, 0, 0], [0, 0, 1.5]]))}
            for p in pairs[: len(pairs)]
        },
    )
