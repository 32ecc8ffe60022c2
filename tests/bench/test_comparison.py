"""The plain logic of benchmarks/speed.py: which cases there are, what the tables say, what is resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cases import BATCH, GPU, INFERENCE, LARGEST, SIZES, STEP, TRAINING, Case, cases
from crossfield.bench.structures import NAMES, structure, structures
from largest import between, doubled, edges_of, repeated
from record import Record, best
from roofline import Peaks
from speed_tables import batch_table, headline, means, roofline_table, stops, targets_table, times_table
from targets import TARGETS
from turns import Line, Measured, compare
from worker import out_of_memory

ABOUT = {
    "processor": "a processor",
    "cores": 16,
    "device": {"name": "a GPU", "memory": 139.8},
    "threads": 2,
    "crossfield": {"crossfield": "0.1.0", "torch": "2.11.0", "python": "3.12.3"},
    "mace-torch": {"mace-torch": "0.3.16", "e3nn": "0.4.4", "torch": "2.11.0", "python": "3.12.3"},
    "library": "cueq",
    "source": "0123",
}
PEAKS = Peaks({"float32": 50e12, "tf32": 300e12}, 4e12)
MINE = Measured(0.002, 20, 800.0, 300.0, "triton", 1000)
THEIRS = Measured(0.024, 20, 9000.0, 8500.0, "e3nn", 1000)
LINE = Line(Case("MH-1", "float32", INFERENCE, "diamond 1000"), 1000, 159_000, MINE, THEIRS, {"energy": 1e-7})


def test_a_processor_has_the_small_structures_in_both_sizes_and_precisions() -> None:
    found = cases()
    assert {case.structure for case in found} == set(NAMES)
    assert {case.size for case in found} == {"128 channels", "MH-1"}
    assert len(found) == 2 * 2 * 3 * len(NAMES)
    assert not {BATCH, LARGEST} & {case.quantity for case in found}


def test_a_gpu_has_the_published_size_in_float32_unless_others_are_asked_for() -> None:
    found = cases(gpu=True)
    assert len(found) == sum(map(len, GPU.values()))
    assert {(case.size, case.dtype) for case in found} == {("MH-1", "float32")}
    assert found[-1].quantity == LARGEST  # what may end in an error comes last
    other = cases(gpu=True, sizes=["128"], dtypes=["64"], quantities=["step"])
    assert {case[:3] for case in other} == {("128 channels", "float64", STEP)}
    assert len(cases(gpu=True, quick=True)) == 5


def test_every_structure_of_a_gpu_can_be_made_and_every_target_is_measured() -> None:
    for quantity, names in GPU.items():
        for name in names:
            if not name.startswith(("water", "4096")):
                atoms = structures(name)
                count, _, kind = name.rpartition(" × ")
                assert len(atoms) == int(count or 1)
                assert len(atoms[-1]) == int(kind.split()[1])
        assert quantity in (INFERENCE, STEP, TRAINING, BATCH, LARGEST)
    for target in TARGETS:
        assert set(target.structures) <= set(GPU[target.quantity])


@pytest.mark.parametrize(("name", "copies"), [("Si 2", (2, 1, 3)), ("AlN 32", (1, 1, 2))])
def test_edges_of_copies_are_those_that_a_search_finds(name: str, copies: tuple[int, int, int]) -> None:
    atoms = structure(name)
    many, edges = repeated(atoms, edges_of(atoms, 6.0), copies)
    searched = edges_of(many, 6.0)
    assert (np.diff(edges.receiver) >= 0).all()
    order = np.lexsort((*edges.shift.T[::-1], edges.sender, edges.receiver))
    for ours, found in zip(edges, searched, strict=True):
        assert np.array_equal(ours[order], found)


def test_copies_are_doubled_and_then_tried_between() -> None:
    sizes = doubled()
    assert [int(np.prod(next(sizes))) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert between((1, 1, 2)) is None
    last = between((4, 4, 8))
    assert last is not None
    assert np.prod(last) == 0.75 * 128


def test_a_row_has_times_their_ratio_and_memory() -> None:
    (row,) = times_table([LINE]).rows
    assert row == [
        *("MH-1", "diamond 1000", "float32", INFERENCE, "1,000", "159.0"),
        *("2.00", "24.0", "12.00", "2.00", "800", "9,000", "300", "8,500"),
    ]
    (alone,) = times_table([replace(LINE, theirs=None)]).rows
    assert alone[7:9] == ["–", "–"]


def test_the_largest_of_each_have_no_ratio_and_say_what_stopped_them() -> None:
    ours = replace(MINE, atoms=1_024_000, seconds=2.5, stopped="memory")
    line = Line(LINE.case._replace(quantity=LARGEST), 1_024_000, 162_816_000, ours, THEIRS, None)
    assert line.ratio is None
    (row,) = times_table([line]).rows
    assert row[4] == "1,024,000 and 1,000"
    assert "Crossfield 1,024,000 atoms in 2,500 ms (stopped by memory)" in stops([line])
    (target,) = targets_table([line]).rows
    assert target[:4] == ["atoms that fit", "at least 1,000,000", "1,024,000", "yes"]
    assert means([LINE, line]).count("case") == 1


def test_targets_are_compared_with_the_published_size_in_float32_alone() -> None:
    (row,) = targets_table([LINE]).rows
    assert row[1:4] == ["at most 3.00 µs/atom", "2.00 µs/atom", "yes"]
    (row,) = targets_table([replace(LINE, ours=replace(MINE, seconds=0.004))]).rows
    assert row[3] == "no"
    assert not targets_table([replace(LINE, case=LINE.case._replace(size="128 channels"))]).rows


def test_the_roofline_has_fractions_of_both_rates_and_of_bandwidth() -> None:
    table = roofline_table([LINE], PEAKS)
    (row,) = table.rows
    shown = dict(zip(table.columns, row, strict=True))
    percent = {name: float(shown[name].rstrip("%")) for name in ("of peak", "of TF32", "of bandwidth")}
    assert percent["of peak"] == pytest.approx(6 * percent["of TF32"], rel=0.02)
    assert 0.0 < percent["of bandwidth"] < 100.0
    assert float(shown["bound, ms"]) < 2.0
    assert "of TF32" not in roofline_table([LINE], Peaks({"float32": 1e12}, 1e11)).columns


def test_a_third_of_the_rate_in_tf32_counts_where_it_is_the_higher_one() -> None:
    assert PEAKS.best("float32") == 100e12
    assert Peaks({"float32": 50e12, "tf32": 60e12}, 1.0).best("float32") == 50e12


def test_many_crystals_are_told_per_second() -> None:
    case = LINE.case._replace(quantity=BATCH, structure="64 × AlN 32")
    (row,) = batch_table([LINE, replace(LINE, case=case)]).rows
    assert row == ["MH-1", "64 × AlN 32", "float32", "32,000", "2,667", "12.00"]


def test_the_headline_names_device_and_library() -> None:
    text = headline(ABOUT, PEAKS, {"triton"})
    assert text.startswith("a GPU, 140 GiB, on a processor")
    assert "converted to cuEquivariance" in text
    assert "300,000 GFLOP/s in tf32" in text
    assert "mace-torch was not measured" in headline(ABOUT | {"mace-torch": None}, PEAKS, set())


def test_a_run_is_resumed_only_on_the_same_device_with_the_same_library(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    record = Record(path, ABOUT, PEAKS._asdict())
    record.begin()
    record.add(LINE)
    again = Record(path, ABOUT, PEAKS._asdict() | {"bandwidth": 5e12})
    again.resume()
    assert again.lines == [LINE]
    assert again.peaks["bandwidth"] == 5e12
    for change in ({"library": "e3nn"}, {"device": {"name": "another", "memory": 80.0}}):
        with pytest.raises(SystemExit, match="does not belong into one table"):
            Record(path, ABOUT | change, PEAKS._asdict()).resume()


def test_the_higher_of_two_peaks_counts() -> None:
    other = {"flops": {"float32": 60e12, "tf32": 200e12}, "bandwidth": 3e12}
    assert best(PEAKS._asdict(), other) == {"flops": {"float32": 60e12, "tf32": 300e12}, "bandwidth": 4e12}


def test_results_that_differ_end_the_run() -> None:
    results = {"atoms": 4, "edges": 9, "parameters": 3, "energy": [-8.0, -8.1], "stress": None}
    ours, theirs = results | {"forces": [[0.5, 0, 0]]}, results | {"forces": [[0.5001, 0, 0]]}
    assert compare(LINE.case, ours, theirs)["forces"] == pytest.approx(1e-4)
    with pytest.raises(SystemExit, match="energy differs"):
        compare(LINE.case, ours, theirs | {"energy": [-8.0, -8.2]})
    with pytest.raises(SystemExit, match="not the same work"):
        compare(LINE.case, ours, theirs | {"edges": 10})


def test_an_error_of_cuda_may_mean_that_memory_is_out() -> None:
    assert out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"))
    assert out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"))
    assert not out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))


def test_every_size_is_a_configuration() -> None:
    from crossfield.model import ModelConfig

    for fields in SIZES.values():
        ModelConfig.model_validate(fields)
