"""Labels under whatever names files have them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from crossfield.data.label_names import LabelNames, comment_lines, label_names
from crossfield.data.read import read_source
from crossfield.data.source import Keys, Source
from crossfield.errors import InputError
from crossfield.theory import Theory
from tests.data.frames import WATER, write_water

CELL = 'Lattice="9 0 0 0 9 0 0 0 9"'


def water(comment: str, *columns: str) -> str:
    """A frame whose columns of three numbers have these names."""
    properties = ":".join(["species:S:1:pos:R:3", *(f"{name}:R:3" for name in columns)])
    first, _, *rows = WATER.format(comment="").rstrip("\n").split("\n")
    rows = [" ".join(row.split()[:4] + row.split()[4:] * len(columns)) for row in rows]
    return "\n".join([first, f"Properties={properties} {comment}", *rows]) + "\n"


def names(folder: Path, *frames: str) -> LabelNames:
    path = folder / "a.xyz"
    path.write_text("".join(frames))
    return label_names(comment_lines([path]))


@pytest.mark.parametrize(
    ("comment", "columns", "keys"),
    [
        ("energy=-1", ("forces",), {}),
        ("REF_energy=-1", ("REF_forces",), {"energy": "REF_energy", "forces": "REF_forces"}),
        ("dft_energy=-1", ("dft_force",), {"energy": "dft_energy", "forces": "dft_force"}),
        ("Energy=-1", ("Forces",), {"energy": "Energy", "forces": "Forces"}),
        ("energy=-1 free_energy=-1.5", ("forces",), {}),
        ("free_energy=-1.5", ("forces",), {"energy": "free_energy"}),
        ("energy=-1 REF_energy=-2", ("forces", "REF_forces"),
         {"energy": "REF_energy", "forces": "REF_forces"}),
        ("energy=-1 MACE_energy=-2", ("forces", "MACE_forces"), {}),
        ("energy=-1 energy_method=ref", ("forces", "forces_std"), {}),
        ("energy=-1 gap_energy=2 formation_energy=1", ("forces", "magnetic_force_mask"), {}),
        ("energy=-1 total_charge=1 multiplicity=2", ("forces",),
         {"charge": "total_charge", "spin": "multiplicity"}),
        ("energy=-1 config_weight=2 config_energy_weight=3 config_virials_weight=0", (),
         {"weight": "config_weight", "energy_weight": "config_energy_weight",
          "stress_weight": "config_virials_weight"}),
        (f'energy=-1 {CELL} REF_stress="0 0 0 0 0 0"', (), {"stress": "REF_stress"}),
        (f'energy=-1 {CELL} REF_virials="0 0 0 0 0 0"', (), {"virial": "REF_virials"}),
        (f'energy=-1 {CELL} stress="0 0 0 0 0 0" virial="1 0 0 0 0 0"', (), {}),
    ],
)  # fmt: skip
def test_names_are_found_and_read(
    tmp_path: Path, comment: str, columns: tuple[str, ...], keys: dict[str, str]
) -> None:
    """What is proposed is what the reader takes, without a complaint."""
    found = names(tmp_path, *[water(comment, *columns)] * 2)
    assert found.keys == keys
    source = Source(files=(tmp_path / "a.xyz",), keys=Keys.model_validate(found.keys))
    theory = Theory(name="x", charge="e", spin="2S+1")
    read = read_source(source, theory).frames
    assert all(frame.energy is not None for frame in read)
    assert all((frame.forces is not None) == bool(columns) for frame in read)
    assert all((frame.stress is not None) == ("stress" in comment or "REF_vir" in comment) for frame in read)


def test_different_values_under_two_names_are_told(tmp_path: Path) -> None:
    same = names(tmp_path, water("energy=-1 free_energy=-1.0000001"))
    other = names(tmp_path, water("energy=-1 free_energy=-1.5"))
    assert same.warnings == ()
    (warning,) = other.warnings
    assert warning == "energy may be under energy or free_energy; keys.energy is energy"


def test_the_name_that_more_frames_have(tmp_path: Path) -> None:
    """Isolated atoms are often labelled by hand."""
    found = names(tmp_path, *[water("energy=-1")] * 3, water("energy=-1 REF_energy=-1"))
    assert found.keys == {}
    assert found.stated["energy"] == 4


def test_stress_without_a_volume_is_left_unread(tmp_path: Path) -> None:
    """Some codes write zeros for molecules."""
    zeros = 'REF_stress="0 0 0 0 0 0"'
    found = names(tmp_path, water(f"energy=-1 {CELL} {zeros}"), water(f'energy=-1 {zeros} pbc="F F F"'))
    assert found.keys == {"stress": None}
    assert "1 frames have REF_stress, but not three periodic axes" in found.warnings[0]
    assert found.name("stress") is None


def test_one_name_is_not_read_as_two_labels(tmp_path: Path) -> None:
    found = names(tmp_path, water("energy=-1 charge_multiplicity=1", "forces"))
    assert found.keys == {"charge": "charge_multiplicity"}
    assert found.stated["spin"] == 0


def test_files_that_name_one_label_differently(tmp_path: Path) -> None:
    a = write_water(tmp_path / "a.xyz", "energy=-1", "energy=-2")
    b = write_water(tmp_path / "b.xyz", "dft_energy=-1")
    with pytest.raises(InputError, match=r"b.xyz: has its energy under dft_energy, and other files have it"):
        label_names(comment_lines([a, b]))


def test_lines_that_cannot_be_read_name_their_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz.gz"
    path.write_bytes(gzip.compress((water("energy=-1") + water("energy=-1 energy=-2")).encode()))
    with pytest.raises(InputError, match=r"a.xyz.gz, frame 1: the key 'energy' occurs twice"):
        comment_lines([path])
    assert len(comment_lines([path], "list")) == 1
