from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from ase.io import read
from pydantic import ValidationError

from crossfield.data.frame import Frame, Weights
from crossfield.data.parse import reduced_formula
from crossfield.data.read import read_source, read_structures
from crossfield.data.source import Keys, Source
from crossfield.errors import InputError
from crossfield.theory import Theory
from tests.data.frames import WATER, write_water
from tests.data.malformed import THEORY, draft, thermal_water

PLAIN = Theory(name="plain")
CHARGED = Theory(name="charged", charge="total charge, e", spin="2S+1")
STRICT = Theory(name="strict", charge="e", spin="2S+1", default_charge=None, default_spin=None)
CELL = 'Lattice="9 0 0 0 9 0 0 0 9"'


def one(path: Path, theory: Theory = PLAIN, **keys: str | None) -> Frame:
    (frame,) = read_source(Source(files=(path,), keys=Keys(**keys)), theory).frames
    return frame


def test_labels_are_taken_under_the_names_given(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    text = WATER.format(comment='Properties=species:S:1:pos:R:3:F_ref:R:3 energy=-1 E_ref=-2 mol="a b"')
    path.write_text(text)
    frame = one(path, energy="E_ref", forces="F_ref", group="mol")
    assert frame.energy == -2
    assert frame.group == "a b"
    np.testing.assert_array_equal(frame.forces, [[0.1, 0, -0.1], [0, 0.2, 0], [-0.1, -0.2, 0.1]])
    assert frame.stress is None


def test_a_key_of_null_leaves_the_label_alone(tmp_path: Path) -> None:
    path = write_water(tmp_path / "a.xyz", "total_energy=-5")
    with pytest.raises(InputError, match=r"a\.xyz, frame 0: .*has total_energy: set keys\.energy"):
        one(path)
    assert one(path, energy=None).energy is None
    assert one(path, energy="total_energy").energy == -5


def test_missing_labels_stay_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("2\nenergy=-1.5\nH 0 0 0\nH 0 0 0.74\n1\npos\nAr 0 0 0\n")
    reading = read_source(Source(files=(path,)), PLAIN)
    assert reading.frames[0].forces is None
    assert reading.frames[0].stress is None
    assert [(r.index, r.reason) for r in reading.rejected] == [(1, "no energy, forces or stress")]


@pytest.mark.parametrize(
    "text",
    ["0.1 0.2 0.3 0.2 0.5 0.6 0.3 0.6 0.9", "0.1 0.5 0.9 0.6 0.3 0.2", "[[.1,.2,.3],[.2,.5,.6],[.3,.6,.9]]"],
)
def test_stress_of_nine_or_six_numbers(tmp_path: Path, text: str) -> None:
    frame = one(write_water(tmp_path / "a.xyz", f'{CELL} stress="{text}"'))
    np.testing.assert_allclose(frame.stress, [[0.1, 0.2, 0.3], [0.2, 0.5, 0.6], [0.3, 0.6, 0.9]])


def test_stress_is_left_out_for_some_elements(tmp_path: Path) -> None:
    path = write_water(tmp_path / "a.xyz", f'{CELL} energy=-1 stress="0.1 0.2 0.3 0.4 0.5 0.6"')
    for elements, left in (((), True), (("N",), True), (("N", "O"), False)):
        (frame,) = read_source(Source(files=(path,), stress_not_for=elements), PLAIN).frames
        assert (frame.stress is not None) == left
        assert frame.energy == -1
        assert frame.forces is not None
    with pytest.raises(ValidationError, match="'Xx' is not an element"):
        Source(files=(path,), stress_not_for=("Xx",))


def test_virial_is_read_when_asked(tmp_path: Path) -> None:
    path = write_water(tmp_path / "a.xyz", f'{CELL} energy=-1 virial="729 0 0 0 0 0 0 0 0"')
    with pytest.raises(InputError, match=r"keys\.virial"):
        one(path)
    np.testing.assert_allclose(one(path, virial="virial").stress, np.diag([-1, 0, 0]))
    assert one(path, stress=None).stress is None


def test_weights_multiply_and_default_to_one(tmp_path: Path) -> None:
    path = write_water(tmp_path / "a.xyz", "weight=2 energy_weight=0 forces_weight=0.5")
    assert one(path).weights == Weights(2.0, 0.0, 0.5, 1.0)


def test_domain_of_the_frame_wins_over_that_of_the_source(tmp_path: Path) -> None:
    path = write_water(tmp_path / "a.xyz", "energy=-1 domain=liquids", "energy=-1")
    frames = read_source(Source(files=(path,), domain="molecules"), PLAIN).frames
    assert [f.domain for f in frames] == ["liquids", "molecules"]


def test_frames_of_other_theories_are_left_aside(tmp_path: Path) -> None:
    path = write_water(tmp_path / "a.xyz", "energy=-1 theory=plain", "energy=-9 theory=other", "energy=-2")
    reading = read_source(Source(files=(path,)), PLAIN)
    assert [f.energy for f in reading.frames] == [-1, -2]
    assert reading.rejected == ((str(path), 1, "theory is other"),)
    with pytest.raises(InputError, match=r"no frame of theory x \(it has: other\)"):
        read_source(
            Source(files=(write_water(tmp_path / "b.xyz", "energy=-9 theory=other"),)), Theory(name="x")
        )


def test_charge_and_spin_follow_the_theory(tmp_path: Path) -> None:
    stated = write_water(tmp_path / "a.xyz", "energy=-1 charge=-1 spin=2.0")
    silent = write_water(tmp_path / "b.xyz", "energy=-1")
    for theory in (CHARGED, STRICT):
        assert (one(stated, theory).charge, one(stated, theory).spin) == (-1, 2)
    assert (one(silent, CHARGED).charge, one(silent, CHARGED).spin) == (0, 1)
    with pytest.raises(
        InputError, match="theory strict needs the total charge and the frame does not state it"
    ):
        one(silent, STRICT)
    with pytest.raises(InputError, match="the frame states charge -1, but theory plain ignores it"):
        one(stated, PLAIN)
    assert (one(stated, PLAIN, charge=None, spin=None).charge, one(silent, PLAIN).spin) == (0, 1)


def test_isolated_atoms_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(
        "1\nenergy=-13 config_type=IsolatedAtom\nH 0 0 0\n1\nenergy=-14 config_type=isolated_atom\nH 0 0 0\n"
        "1\nenergy=-15\nH 0 0 0\n1\nconfig_type=IsolatedAtom note=1\nHe 0 0 0\n"
    )
    reading = read_source(Source(files=(path,)), PLAIN)
    assert [f.energy for f in reading.isolated] == [-13, -14]
    assert [f.energy for f in reading.frames] == [-15]
    assert [r.index for r in reading.rejected] == [3]
    path.write_text(f"1\nenergy=-13 {CELL} config_type=IsolatedAtom\nH 0 0 0\n")
    with pytest.raises(InputError, match="periodic"):
        read_source(Source(files=(path,)), PLAIN)


def test_isolated_ions_are_frames_to_learn(tmp_path: Path) -> None:
    """Where the theory knows charge; they are never a reference."""
    path = tmp_path / "a.xyz"
    atoms = [("Na", -4412.0, 0, 2), ("Na", -4406.9, 1, 1), ("Al", -6590.0, 0, 2), ("Al", -6536.7, 3, 1)]
    path.write_text(
        "".join(
            f"1\nenergy={E} charge={q} spin={s} config_type=IsolatedAtom\n{Z} 0 0 0\n" for Z, E, q, s in atoms
        )
    )
    reading = read_source(Source(files=(path,)), STRICT)
    assert [(f.energy, f.charge) for f in reading.isolated] == [(-4412.0, 0), (-6590.0, 0)]
    assert [(f.energy, f.charge, f.spin) for f in reading.frames] == [(-4406.9, 1, 1), (-6536.7, 3, 1)]
    with pytest.raises(InputError, match=r"frame 1: .*must be neutral .* which theory plain ignores"):
        read_source(Source(files=(path,)), PLAIN)


def test_a_lattice_without_pbc_is_periodic(tmp_path: Path) -> None:
    assert one(write_water(tmp_path / "a.xyz", f"energy=-1 {CELL}")).pbc.all()
    slab = one(write_water(tmp_path / "b.xyz", f'energy=-1 {CELL} pbc="T T F"'))
    assert slab.pbc.tolist() == [True, True, False]
    assert not one(write_water(tmp_path / "c.xyz", "energy=-1")).cell.any()


def test_group_falls_back_to_the_reduced_formula(tmp_path: Path) -> None:
    assert one(write_water(tmp_path / "a.xyz", "energy=-1")).group == "H2O"
    assert reduced_formula(np.array([8, 22, 8, 8, 22, 8])) == "O2Ti"


def test_several_files_relative_to_a_folder(tmp_path: Path) -> None:
    write_water(tmp_path / "a.xyz", "energy=-1")
    write_water(tmp_path / "b.xyz", "energy=-2", "energy=-3")
    reading = read_source(Source(files=("a.xyz", "b.xyz")), PLAIN, base=tmp_path)
    assert [(Path(f.file).name, f.index) for f in reading.frames] == [
        ("a.xyz", 0),
        ("b.xyz", 0),
        ("b.xyz", 1),
    ]
    with pytest.raises(InputError, match="listed twice"):
        read_source(Source(files=("a.xyz", "a.xyz")), PLAIN, base=tmp_path)


def test_gzip_is_told_by_content(tmp_path: Path) -> None:
    plain = write_water(tmp_path / "plain.xyz.gz", "energy=-1")
    packed = tmp_path / "packed.xyz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert one(plain).energy == one(packed).energy == -1


def test_windows_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = write_water(tmp_path / "a.xyz", "energy=-1", "energy=-2")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert [f.energy for f in read_source(Source(files=(path,)), PLAIN).frames] == [-1, -2]


@pytest.mark.parametrize(
    "comment",
    [
        "energy = -1",
        "energy=-1 note='it said \"so\"'",
        'energy="-1" empty="" bare',
        r'note="a \"b\" =c" energy=-1',
        "smiles=C[C@H](=O)N energy=-1 set={1 2}",
        'energy=-1 angles="_JSON [[1, 2], [3]]"',
    ],
)
def test_comment_lines_of_many_styles(tmp_path: Path, comment: str) -> None:
    assert one(write_water(tmp_path / "a.xyz", comment)).energy == -1


def test_units_that_are_ours_may_be_declared(tmp_path: Path) -> None:
    comment = f'energy=-1 energy_unit=eV forces_unit=eV/A stress_unit=eV/A^3 {CELL} stress="9 9 9 0 0 0"'
    assert one(write_water(tmp_path / "a.xyz", comment)).stress[0, 0] == 9


def test_weights_of_other_names_are_not_silently_dropped(tmp_path: Path) -> None:
    path = write_water(tmp_path / "a.xyz", "energy=-1 config_energy_weight=3 molecular_weight=18")
    with pytest.raises(InputError, match=r"keys\.energy_weight"):
        one(path)
    assert one(path, energy_weight="config_energy_weight").weights.energy == 3


def test_list_mode_keeps_the_rest_but_not_nothing(tmp_path: Path) -> None:
    path = write_water(tmp_path / "a.xyz", "energy=-1", "energy=nan", "energy=-2")
    reading = read_source(Source(files=(path,), bad_frames="list"), PLAIN)
    assert [f.index for f in reading.frames] == [0, 2]
    assert "not finite" in reading.rejected[0].reason
    path = write_water(tmp_path / "a.xyz", "energy=nan")
    with pytest.raises(
        InputError, match="no usable frame of theory plain; the first one: energy is not finite"
    ):
        read_source(Source(files=(path,), bad_frames="list"), PLAIN)


def test_the_unit_check_can_be_turned_off(tmp_path: Path) -> None:
    drafts = thermal_water(12)
    drafts[3].comment["energy"] = str(float(drafts[3].comment["energy"]) / 27.2114)
    path = tmp_path / "a.xyz"
    path.write_text("".join(d.text() for d in drafts))
    theory = Theory(name=THEORY)
    assert len(read_source(Source(files=(path,), check_units=False), theory).frames) == 12
    reading = read_source(Source(files=(path,), bad_frames="list"), theory)
    assert [r.index for r in reading.rejected] == [3]


def test_keys_and_sources_are_checked() -> None:
    with pytest.raises(ValidationError, match="two different things"):
        Keys(energy="energy", group="energy")
    with pytest.raises(ValidationError, match="cannot be empty"):
        Keys(energy=" ")
    with pytest.raises(ValidationError):
        Source(files=())
    assert Source(files="a.xyz").files == (Path("a.xyz"),)


def test_structures_are_read_without_labels(tmp_path: Path) -> None:
    path = write_water(tmp_path / "a.xyz", "energy=nan", "charge=1 spin=2")
    reading = read_structures(path)
    assert [(f.energy, f.forces, f.stress, f.theory) for f in reading.frames] == [(None, None, None, "")] * 2
    assert [(f.charge, f.spin) for f in reading.frames] == [(0, 1), (1, 2)]
    with pytest.raises(InputError, match=r"a\.xyz, frame 0: theory strict needs the total charge"):
        read_structures(path, theory=STRICT)
    listed = read_structures(path, theory=STRICT, bad_frames="list")
    assert [(len(listed.frames), r.index) for r in listed.rejected] == [(1, 0)]


def test_structures_pass_the_same_checks(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("2\n\nH 0 0 0\nH 0 0 0\n")
    with pytest.raises(InputError, match=r"a\.xyz, frame 0: atoms 0 and 1 are at the same place"):
        read_structures(path)
    with pytest.raises(InputError, match="no usable structure"):
        read_structures(path, bad_frames="list")
    with pytest.raises(InputError, match="spin 2 is impossible with 10 electrons"):
        read_structures(write_water(path, "spin=2"))


def test_the_same_as_ase(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("".join(draft("crystal", k).text() for k in range(3)))
    frames = read_source(Source(files=(path,)), Theory(name=THEORY)).frames
    for frame, atoms in zip(frames, read(path, ":"), strict=True):
        np.testing.assert_array_equal(frame.Z, atoms.numbers)
        np.testing.assert_array_equal(frame.positions, atoms.positions)
        np.testing.assert_array_equal(frame.cell, atoms.cell.array)
        np.testing.assert_array_equal(frame.forces, atoms.get_forces())
        np.testing.assert_array_equal(frame.stress, atoms.get_stress(voigt=False))
        assert frame.energy == atoms.get_potential_energy()


def test_a_large_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("".join(d.text() for d in thermal_water(2000)))
    frames = read_source(Source(files=(path,)), Theory(name=THEORY)).frames
    assert [frame.index for frame in frames] == list(range(2000))
