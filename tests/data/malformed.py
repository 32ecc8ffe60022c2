"""Many inputs that must be refused: every kind of damage, in crystals, slabs and molecules."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from crossfield.data.source import Keys, Source

THEORY = "wb97m_d3bj_def2svp"  # asks for charge and spin
FRAMES = 3  # in each file
Kind = Literal["crystal", "slab", "molecule"]
ALL: tuple[Kind, ...] = ("crystal", "slab", "molecule")
CELLS: tuple[Kind, ...] = ("crystal", "slab")


@dataclass(frozen=True)
class Malformed:
    """One input that must raise InputError."""

    name: str
    path: Path
    message: str  # is in the error
    frame: int | None = None  # the frame the error must name
    keys: Keys = field(default_factory=Keys)

    def source(self) -> Source:
        return Source(files=(self.path,), keys=self.keys)


@dataclass
class Draft:
    """One frame before it is written, so that it can be damaged."""

    count: str
    comment: dict[str, str]
    rows: list[list[str]]
    tail: str = ""  # written after the comment

    def text(self) -> str:
        comment = " ".join(f"{key}={_quoted(value)}" for key, value in self.comment.items())
        return "\n".join([self.count, comment + self.tail, *("  ".join(row) for row in self.rows)]) + "\n"


Damage = Callable[[Draft], object]


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value


def draft(kind: Kind, number: int) -> Draft:
    """A sound frame; frames of other numbers differ a little."""
    shift = 0.03 * (number + 1)
    geometry = {
        "crystal": (
            "Na 0 0 0|Cl 2.82 0 0|Na 2.82 2.82 0|Cl 0 2.82 0",
            "5.64 0 0 0 5.64 0 2.82 0 2.82",
            "T T T",
        ),
        "slab": ("Al 0 0 8|Al 1.43 1.43 10|Al 0 0 12|O 0.1 0 13.7", "2.86 0 0 0 2.86 0 0 0 22", "T T F"),
        "molecule": ("O 0 0 0|H 0.96 0 0|H -0.24 0.93 0", "", "F F F"),
    }[kind]
    rows = [row.split() for row in geometry[0].split("|")]
    for k, row in enumerate(rows):
        row[1:] = [f"{float(x) + shift * (-1) ** k / 4:.6f}" for x in row[1:]]
        row += [f"{shift * (-1) ** k:.6f}", "0.100000", "-0.050000"]
    comment = {"Lattice": geometry[1]} if geometry[1] else {}
    comment |= {
        "Properties": "species:S:1:pos:R:3:forces:R:3",
        "theory": THEORY,
        "system": kind,
        "charge": "0",
        "spin": "2" if kind == "slab" else "1",  # the slab has 47 electrons
        "energy": f"{-2078.6 + shift:.6f}",
    }
    if kind == "crystal":
        comment["stress"] = "0.01 0.001 0 0.001 0.02 0 0 0 0.03"
    return Draft(str(len(rows)), comment | {"pbc": geometry[2]}, rows)


def put(**values: str) -> Damage:
    """Set keys of the comment line."""
    return lambda d: d.comment.update(values)


def rename(old: str, new: str) -> Damage:
    def damage(d: Draft) -> None:
        d.comment = {new if key == old else key: value for key, value in d.comment.items()}

    return damage


def drop(*keys: str) -> Damage:
    return lambda d: [d.comment.pop(key) for key in keys]


def tail(text: str) -> Damage:
    return lambda d: setattr(d, "tail", text)


def cell_value(row: int, column: int, value: str) -> Damage:
    """Set one field of the table."""
    return lambda d: d.rows[row].__setitem__(column, value)


def count(value: str) -> Damage:
    return lambda d: setattr(d, "count", value)


def properties(value: str) -> Damage:
    return put(Properties=value)


def scale(factor: float, columns: slice) -> Damage:
    def damage(d: Draft) -> None:
        for row in d.rows:
            row[columns] = [f"{float(x) * factor:.9g}" for x in row[columns]]

    return damage


def same_place(d: Draft) -> None:
    d.rows[1][1:4] = d.rows[0][1:4]


def close(d: Draft) -> None:
    d.rows[1][1:4] = [*d.rows[0][1:3], f"{float(d.rows[0][3]) + 0.2:.6f}"]


def left_handed(d: Draft) -> None:
    values = d.comment["Lattice"].split()
    d.comment["Lattice"] = " ".join(values[3:6] + values[:3] + values[6:])


def flat(d: Draft) -> None:
    values = d.comment["Lattice"].split()
    d.comment["Lattice"] = " ".join(values[:3] + values[:3] + values[6:])


# what is done to one frame, to which kinds, and what the error says; the frame is always named
DAMAGES: Sequence[tuple[str, tuple[Kind, ...], Damage, str]] = (
    # counts and rows
    ("count of zero", ALL, count("0"), "no atoms"),
    ("negative count", ALL, count("-4"), "atom count"),
    ("count in words", ALL, count("four"), "atom count"),
    ("count with a point", ALL, count("4.0"), "atom count"),
    ("absurd count", ALL, count("999999999999"), "ends inside the frame"),
    ("endless count", ALL, count("9" * 400), "atom count"),
    ("count with text", ALL, count("4 atoms"), "atom count"),
    ("blank count", ALL, count(""), "blank line"),
    ("one row too many", ALL, lambda d: d.rows.append(list(d.rows[0])), "more rows"),
    ("a row short of a column", ALL, lambda d: d.rows[1].pop(), "columns"),
    ("a row with a column more", ALL, lambda d: d.rows[1].append("1.0"), "columns"),
    ("an empty row", ALL, lambda d: d.rows[1].clear(), "columns"),
    # species
    ("unknown species", ALL, cell_value(1, 0, "Xx"), "unknown species 'Xx'"),
    ("dummy species", ALL, cell_value(0, 0, "X"), "unknown species"),
    ("species in small letters", ALL, cell_value(0, 0, "na"), "unknown species"),
    ("species beyond the table", ALL, cell_value(1, 0, "119"), "unknown species"),
    ("species as a number with a point", ALL, cell_value(1, 0, "1.5"), "unknown species"),
    # positions
    ("position in words", ALL, cell_value(1, 2, "left"), "not numbers"),
    ("position with a Fortran exponent", ALL, cell_value(1, 2, "1.0D+00"), "not numbers"),
    ("position of stars", ALL, cell_value(0, 1, "********"), "not numbers"),
    ("position NaN", ALL, cell_value(1, 1, "nan"), "not finite"),
    ("position infinite", ALL, cell_value(1, 3, "-inf"), "not finite"),
    ("position out of the world", ("slab", "molecule"), cell_value(1, 3, "1e9"), "absurd position"),
    ("position far from the slab", ("slab",), cell_value(1, 3, "8500"), "not periodic"),
    ("atoms at one place", ALL, same_place, "same place"),
    ("atoms too close", ALL, close, "apart"),
    ("positions in units of the cell", ("molecule",), scale(0.1, slice(1, 4)), "other units"),
    # forces
    ("force in words", ALL, cell_value(1, 5, "none"), "not numbers"),
    ("force NaN", ALL, cell_value(0, 6, "NaN"), "not finite"),
    ("force infinite", ALL, cell_value(0, 4, "inf"), "not finite"),
    ("absurd force", ALL, cell_value(1, 4, "12345.6"), "absurd"),
    ("forces of two numbers", ALL, properties("species:S:1:pos:R:3:forces:R:2:rest:R:1"), "forces:R:3"),
    ("forces of one number", ALL, properties("species:S:1:pos:R:3:rest:R:2:forces:R:1"), "forces:R:3"),
    ("forces as whole numbers", ALL, properties("species:S:1:pos:R:3:forces:I:3"), "forces:R:3"),
    ("forces of another name", ALL, properties("species:S:1:pos:R:3:REF_forces:R:3"), "keys.forces"),
    ("forces in capitals", ALL, properties("species:S:1:pos:R:3:Forces:R:3"), "keys.forces"),
    ("gradients for forces", ALL, properties("species:S:1:pos:R:3:gradient:R:3"), "minus the gradient"),
    # Properties
    ("Properties cut", ALL, properties("species:S:1:pos:R:3:forces:R"), "name:type:width"),
    ("Properties of unknown type", ALL, properties("species:S:1:pos:R:3:forces:Q:3"), "bad entry"),
    ("Properties of no width", ALL, properties("species:S:1:pos:R:3:forces:R:0"), "bad entry"),
    ("Properties with a width in words", ALL, properties("species:S:1:pos:R:three"), "bad entry"),
    ("Properties without pos", ALL, properties("species:S:1:xyz:R:3:forces:R:3"), "pos:R:3"),
    ("Properties without species", ALL, properties("element:S:1:pos:R:3:forces:R:3"), "species"),
    ("Properties of plane positions", ALL, properties("species:S:1:pos:R:2:forces:R:4"), "pos:R:3"),
    ("Properties with pos twice", ALL, properties("species:S:1:pos:R:3:pos:R:3"), "twice"),
    ("Properties wider than rows", ALL, properties("species:S:1:pos:R:3:forces:R:3:q:R:1"), "columns"),
    ("Properties in small letters", ALL, rename("Properties", "properties"), "Properties"),
    # comment line
    ("energy twice", ALL, tail(" energy=-1.0"), "twice"),
    ("charge twice", ALL, tail(" charge=1"), "twice"),
    ("theory twice", ALL, tail(" theory=other"), "twice"),
    ("open quote", ALL, tail(' note="never closed'), "open"),
    ("open bracket", ALL, tail(" note=[1, 2"), "open"),
    ("key without a value", ALL, tail(" note="), "no value"),
    ("value without a key", ALL, tail(" =3"), "cannot be read"),
    # energy
    ("energy NaN", ALL, put(energy="nan"), "energy is not finite"),
    ("energy infinite", ALL, put(energy="-inf"), "energy is not finite"),
    ("energy in words", ALL, put(energy="low"), "energy is not a number"),
    ("energy with a unit", ALL, put(energy="-76.4eV"), "energy is not a number"),
    ("energy twice in one value", ALL, put(energy="-76.4 -76.5"), "one number"),
    ("energy true", ALL, put(energy="T"), "energy is not a number"),
    ("absurd energy", ALL, put(energy="-1e30"), "absurd"),
    ("energy of another name", ALL, rename("energy", "REF_energy"), "has REF_energy: set keys.energy"),
    ("energy in capitals", ALL, rename("energy", "Energy"), "has Energy: set keys.energy"),
    ("energy of a code", ALL, rename("energy", "dft_energy"), "has dft_energy: set keys.energy"),
    ("free energy alone", ALL, rename("energy", "free_energy"), "has free_energy"),
    # units
    ("energy in Hartree", ALL, put(energy_units="Hartree"), "energy_units=Hartree"),
    ("forces in Hartree/Bohr", ALL, put(forces_unit="Hartree/Bohr"), "forces_unit"),
    ("stress in GPa", CELLS, put(stress_unit="GPa"), "stress_unit=GPa"),
    ("lengths in Bohr", ALL, put(length_unit="Bohr"), "length_unit=Bohr"),
    ("atomic units", ALL, put(units="au"), "units=au"),
    ("kcal/mol", ALL, put(unit="kcal/mol"), "unit=kcal/mol"),
    # cell
    ("Lattice of eight numbers", CELLS, put(Lattice="5.6 0 0 0 5.6 0 0 0"), "9 numbers"),
    ("Lattice of three numbers", CELLS, put(Lattice="5.6 5.6 5.6"), "9 numbers"),
    ("Lattice in words", CELLS, put(Lattice="a b c d e f g h i"), "Lattice is not a number"),
    ("Lattice with NaN", CELLS, put(Lattice="5.6 0 0 0 nan 0 0 0 5.6"), "Lattice is not finite"),
    ("left-handed cell", CELLS, left_handed, "negative volume"),
    ("flat cell", CELLS, flat, "zero volume"),
    ("cell of zeros", CELLS, put(Lattice="0 0 0 0 0 0 0 0 0"), "zero volume"),
    ("tiny cell", CELLS, put(Lattice="1e-4 0 0 0 1e-4 0 0 0 1e-4"), "volume"),
    ("thin cell", CELLS, put(Lattice="5.6 0 0 5.6 0.01 0 0 0 5.6"), "thick"),
    ("huge cell", CELLS, put(Lattice="1e9 0 0 0 1e9 0 0 0 1e9"), "absurdly large"),
    ("cell of another name", CELLS, rename("Lattice", "cell"), "'Lattice'"),
    ("no Lattice", CELLS, drop("Lattice"), "pbc without a Lattice"),
    ("pbc without a Lattice", ("molecule",), put(pbc="T T T"), "pbc without a Lattice"),
    ("pbc of two", ALL, put(pbc="T T"), "pbc must be"),
    ("pbc of one", ALL, put(pbc="F"), "pbc must be"),
    ("pbc of other letters", ALL, put(pbc="yes yes no"), "pbc must be"),
    ("pbc of large numbers", ALL, put(pbc="2 2 2"), "pbc must be"),
    ("pbc in capitals", ALL, rename("pbc", "PBC"), "'pbc'"),
    # stress
    ("stress of five numbers", ("crystal",), put(stress="1 2 3 4 5"), "9 or 6"),
    ("stress of three numbers", ("crystal",), put(stress="0.1 0.1 0.1"), "9 or 6"),
    ("stress of one number", ("crystal",), put(stress="0.1"), "9 or 6"),
    ("asymmetric stress", ("crystal",), put(stress="1 0.5 0 0 1 0 0 0 1"), "not symmetric"),
    ("stress NaN", ("crystal",), put(stress="nan 0 0 0 1 0 0 0 1"), "stress is not finite"),
    ("stress in words", ("crystal",), put(stress="high"), "stress is not a number"),
    ("stress as large as in GPa", ("crystal",), put(stress="30 0 0 0 30 0 0 0 30"), "GPa"),
    ("Voigt stress in kbar", ("crystal",), put(stress="300 300 290 1 2 3"), "GPa or kbar"),
    ("virial for stress", ("crystal",), rename("stress", "virial"), "virial"),
    ("stress of another name", ("crystal",), rename("stress", "REF_stress"), "has REF_stress"),
    ("stress without a volume", ("slab", "molecule"), put(stress="0 0 0 0 0 0 0 0 0"), "three periodic axes"),
    # charge and spin
    ("charge not whole", ALL, put(charge="0.5"), "whole number"),
    ("charge in words", ALL, put(charge="neutral"), "charge is not a number"),
    ("charge NaN", ALL, put(charge="nan"), "charge is not finite"),
    ("charge of more than all electrons", ALL, put(charge="500", spin="1"), "electrons"),
    ("charge of another name", ALL, rename("charge", "total_charge"), "has total_charge"),
    ("charge missing", ALL, drop("charge"), "needs the total charge"),
    ("charge of the wrong parity", ALL, put(charge="1"), "impossible"),
    ("spin zero", ALL, put(spin="0"), "2S+1"),
    ("spin negative", ALL, put(spin="-1"), "2S+1"),
    ("spin not whole", ALL, put(spin="1.5"), "whole number"),
    ("spin of the wrong parity", ("crystal", "molecule"), put(spin="2"), "impossible"),
    ("spin of more than all electrons", ALL, put(spin="1001"), "impossible"),
    ("spin of another name", ALL, rename("spin", "multiplicity"), "has multiplicity"),
    ("spin missing", ALL, drop("spin"), "needs the spin"),
    # weights
    ("negative weight", ALL, put(weight="-1"), "weight is negative"),
    ("weight NaN", ALL, put(energy_weight="nan"), "energy_weight is not finite"),
    ("weight in words", ALL, put(forces_weight="heavy"), "forces_weight is not a number"),
    ("weight of another name", ALL, put(config_weight="2.0"), "config_weight"),
    # isolated atoms
    ("isolated atom of several", ALL, put(config_type="IsolatedAtom"), "IsolatedAtom"),
)


def malformed_inputs(directory: Path) -> list[Malformed]:
    """Write the inputs under `directory` (which must be empty) and list them; more than 200."""
    return [*_files(directory), *_frames(directory), *_mixed(directory)]


def _write(path: Path, text: str | bytes) -> Path:
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def _frames(directory: Path) -> list[Malformed]:
    """Every damage in every kind of structure; its place in the file and the compression go round."""
    made = []
    for name, kinds, damage, message in DAMAGES:
        for kind in kinds:
            number = len(made)
            place = number % FRAMES
            drafts = [draft(kind, k) for k in range(FRAMES)]
            damage(drafts[place])
            # the last frame has no successor that could show a surplus of rows
            if name == "one row too many" and place == FRAMES - 1:
                drafts.append(draft(kind, FRAMES))
            suffix = ".xyz.gz" if number % 2 else ".xyz"
            path = directory / f"{number:03d}_{kind}_{name.replace(' ', '_').replace('/', '-')}{suffix}"
            text = "".join(d.text() for d in drafts)
            made.append(Malformed(f"{name} ({kind})", _write(path, text), message, place))
    return made


def _files(directory: Path) -> list[Malformed]:
    """Damage to the file as a whole."""
    sound = {kind: "".join(draft(kind, k).text() for k in range(FRAMES)) for kind in ALL}
    (directory / "a_directory.xyz").mkdir()
    (directory / "loop.xyz").symlink_to(directory / "loop.xyz")
    (directory / "dangling.xyz").symlink_to(directory / "nowhere.xyz")
    made = [
        Malformed("no such file", directory / "missing.xyz", "no such file"),
        Malformed("no such folder", directory / "missing" / "file.xyz", "no such file"),
        Malformed("directory", directory / "a_directory.xyz", "directory"),
        Malformed("link to itself", directory / "loop.xyz", "cannot be read"),
        Malformed("link to nothing", directory / "dangling.xyz", "no such file"),
        Malformed("name far too long", directory / ("x" * 300 + ".xyz"), "cannot be read"),
    ]
    noise = random.Random(1).randbytes(4000)
    packed = {kind: gzip.compress(text.encode(), mtime=0) for kind, text in sound.items()}
    broken = bytearray(packed["crystal"])
    broken[len(broken) // 2] ^= 0xFF
    contents: list[tuple[str, bytes, str]] = [
        ("empty", b"", "empty"),
        ("blank", b"\n\n   \n", "empty"),
        ("noise", noise, "binary"),
        ("noise without zeros", noise.replace(b"\0", b"\1"), "UTF-8"),
        ("zip", b"PK\x03\x04" + noise, "zip"),
        ("bzip2", b"BZh91AY&SY" + noise, "bzip2"),
        ("hdf5", b"\x89HDF\r\n\x1a\n" + noise, "HDF5"),
        ("trajectory", b"- of UlmASE-Trajectory" + noise, "trajectory"),
        ("sqlite", b"SQLite format 3\0" + noise, "SQLite"),
        ("utf16", sound["molecule"].encode("utf-16"), "binary"),
        ("latin1", sound["molecule"].replace("system=", "note=\u00e9 system=").encode("latin-1"), "UTF-8"),
        ("zeros at the end", sound["slab"].encode() + bytes(64), "binary"),
        ("gzip of nothing", gzip.compress(b"", mtime=0), "empty"),
        ("gzip of noise", gzip.compress(noise, mtime=0), "binary"),
        ("gzip with a flipped byte", bytes(broken), "damaged"),
        ("gzip with a wrong checksum", packed["slab"][:-8] + bytes(8), "damaged"),
        ("gzip with more behind it", packed["molecule"] + b"more", "damaged"),
        ("gzip header alone", packed["molecule"][:10], "cut short"),
        ("two bytes of gzip", b"\x1f\x8b", "cut short"),
        *((f"gzip cut, {kind}", packed[kind][: len(packed[kind]) * 2 // 3], "cut short") for kind in ALL),
        ("other theory alone", sound["slab"].replace(THEORY, "pbe_gpaw").encode(), "no frame of theory"),
    ]
    for number, (name, data, message) in enumerate(contents):
        path = directory / f"file_{number:02d}.xyz{'.gz' if number % 2 else ''}"
        path.write_bytes(data)
        made.append(Malformed(name, path, message))
    return made + _structural(directory, sound)


def _structural(directory: Path, sound: dict[Kind, str]) -> list[Malformed]:
    """Text that is cut, and text that is no extended XYZ."""
    made = []
    for number, kind in enumerate(ALL):
        lines = sound[kind].splitlines(keepends=True)
        per_frame = len(lines) // FRAMES
        last = (FRAMES - 1) * per_frame
        gz = ".gz" if number % 2 else ""
        shorter = lines[: per_frame + 3] + lines[per_frame + 4 :]
        spaced = [*lines[:per_frame], "\n", *lines[per_frame:]]
        unlabelled = [draft(kind, k) for k in range(FRAMES)]
        for d in unlabelled:
            d.comment["Properties"] = "species:S:1:pos:R:3"
            d.rows = [row[:4] for row in d.rows]
            d.comment.pop("energy")
            d.comment.pop("stress", None)
        texts = [
            ("cut in the rows", lines[:-1], "ends inside", FRAMES - 1),
            ("cut after the comment", lines[: last + 2], "ends inside", FRAMES - 1),
            ("cut after the count", lines[: last + 1], "ends after", FRAMES - 1),
            ("one row missing", shorter, "larger than the number of rows", 1),
            ("blank line between frames", spaced, "blank line", 1),
            ("words after the last frame", [*lines, "end of file\n"], "atom count", FRAMES),
            ("no labels at all", [d.text() for d in unlabelled], "no energy, forces or stress", 0),
        ]
        for name, part, message, frame in texts:
            path = directory / f"text_{kind}_{name.replace(' ', '_')}.xyz{gz}"
            made.append(Malformed(f"{name} ({kind})", _write(path, "".join(part)), message, frame))
        path = _write(directory / f"keys_{kind}.xyz", sound[kind])
        keys = Keys(energy_weight="importance")
        made.append(Malformed(f"a key that no frame has ({kind})", path, "keys.energy_weight", None, keys))
    others = {
        "json": '{"energy": -76.4, "atoms": ["O", "H", "H"]}\n',
        "csv": "species,x,y,z\nO,0,0,0\nH,0.96,0,0\n",
        "poscar": "NaCl\n1.0\n5.64 0 0\n0 5.64 0\n0 0 5.64\nNa Cl\n4 4\nDirect\n",
        "prose": "These are the frames of the paper.\nThey were lost.\n",
    }
    for name, text in others.items():
        path = directory / f"other_{name}.xyz"
        made.append(Malformed(name, _write(path, text), "atom count", 0))
    return made


def _mixed(directory: Path) -> list[Malformed]:
    """One frame of many in other units, which only a comparison shows; and whole files."""
    conversions: list[tuple[str, Damage, str]] = [
        ("energy in Hartree", _energy(1 / 27.2114), "energy"),
        ("energy in Rydberg", _energy(2 / 27.2114), "energy"),
        ("energy in kcal per mol", _energy(23.0605), "energy"),
        ("forces in Hartree per Bohr", scale(1 / 51.4221, slice(4, 7)), "forces"),
        ("forces in Hartree per Å", scale(1 / 27.2114, slice(4, 7)), "forces"),
        ("positions in Bohr", scale(1 / 0.529177, slice(1, 4)), "shortest distance"),
    ]
    made = []
    for number, (name, damage, message) in enumerate(conversions):
        for place in (1, 7):
            drafts = thermal_water(12)
            damage(drafts[place])
            path = directory / f"mixed_{number}_{place}.xyz{'.gz' if number % 2 else ''}"
            _write(path, "".join(d.text() for d in drafts))
            made.append(Malformed(f"{name}, frame {place} of 12", path, message, place))
    for name, damage, message in (conversions[0], conversions[-1]):
        drafts = thermal_water(12)
        for d in drafts:
            damage(d)
        path = _write(directory / f"whole_{name.replace(' ', '_')}.xyz", "".join(d.text() for d in drafts))
        made.append(Malformed(f"{name}, all frames", path, "Hartree" if message == "energy" else "Bohr", 0))
    return made


def _energy(factor: float) -> Damage:
    return lambda d: d.comment.update(energy=f"{float(d.comment['energy']) * factor:.9g}")


def thermal_water(frames: int) -> list[Draft]:
    """Water molecules at random displacements in a harmonic well, with the labels of that well."""
    stiffness = 20.0  # eV/Å^2
    noise = random.Random(7)
    drafts = []
    for _ in range(frames):
        d = draft("molecule", -1)
        energy = -2078.6
        for row in d.rows:
            steps = [noise.gauss(0, 0.03) for _ in range(3)]
            energy += 0.5 * stiffness * sum(step**2 for step in steps)
            row[1:4] = [f"{float(x) + step:.8f}" for x, step in zip(row[1:4], steps, strict=True)]
            row[4:7] = [f"{-stiffness * step:.8f}" for step in steps]
        d.comment["energy"] = f"{energy:.8f}"
        drafts.append(d)
    return drafts
