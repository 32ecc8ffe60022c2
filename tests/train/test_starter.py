"""First configurations: what is found in awkward data, and that the file runs as it is."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import write

from crossfield.errors import InputError
from crossfield.model import InputConfig, Model, ModelConfig
from crossfield.theory import Head, InputMeaning, Theory
from crossfield.train import load_config, train
from crossfield.train.setup import prepare
from crossfield.train.starter import Request, Starter, starter
from crossfield.train.starter.plan import DRAWS, STEPS, length
from crossfield.zoo import checkpoint
from tests.structures import small_model

Make = Callable[..., Path]


def saved(path: Path, *elements: int) -> Path:
    """A model whose two heads know these elements."""
    theories = [Theory(name=f"base{k}", method="PBE") for k in range(2)]
    E0 = dict.fromkeys(elements, -1.0)
    heads = [Head(name=f"head{k}", theory=theory, E0=E0) for k, theory in enumerate(theories)]
    config = ModelConfig(
        elements=elements, cutoff=4.0, channels=4, l_max=1, correlation=2, radial_network=(8,)
    )
    torch.manual_seed(1)
    checkpoint.save(path, Model(config, heads), {})
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Knows silver, of which little ships with the package, and neon."""
    return saved(tmp_path_factory.mktemp("base") / "base.safetensors", 10, 47)


def neon(k: int, size: int = 3) -> Atoms:
    """A cluster with a harmonic energy and its forces, at a random place in the well."""
    steps = 0.05 * np.random.default_rng(k).normal(size=(size, 3))
    steps -= steps.mean(axis=0)
    atoms = Atoms(f"Ne{size}", 2.6 * np.arange(size)[:, None] * [1, 0, 0] + steps)
    atoms.info["energy"] = 2.0 * float((steps**2).sum()) - 7.0 * size
    atoms.arrays["forces"] = -4.0 * steps
    return atoms


def clusters(count: int = 24) -> list[Atoms]:
    """Of four sizes, four frames to a system."""
    frames = [neon(k, 2 + k % 4) for k in range(count)]
    for k, frame in enumerate(frames):
        frame.info["system"] = f"s{k // 4}"
    return frames


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def save(frames: list[Atoms], name: str = "my.xyz", columns: tuple[str, ...] = ("forces",)) -> Path:
        path = tmp_path / name
        plain = tmp_path / name.removesuffix(".gz")
        write(plain, frames, format="extxyz", columns=["symbols", "positions", *columns], write_results=False)
        if path != plain:
            path.write_bytes(gzip.compress(plain.read_bytes()))
            plain.unlink()
        return path

    return save


def begin(*data: Path, **more: Any) -> tuple[Starter, dict[str, Any]]:
    """A first configuration, read back as YAML."""
    file = more.pop("file", data[0].parent / "config.yaml")
    found = starter(Request(data=data, file=file, **more))
    found.write(file)
    load_config(file)
    return found, yaml.safe_load(file.read_text("utf-8"))


def warned(found: Starter, part: str) -> bool:
    return any(part in warning for warning in found.warnings)


def test_common_case_is_short(make: Make, base: Path) -> None:
    data = make(clusters())
    found, config = begin(data, base=str(base), method="PBE-D3")
    lines = [line for line in found.text.splitlines() if line.strip()]
    assert len(lines) <= 16
    assert sum("#" in line for line in lines) >= 8
    assert max(map(len, lines)) <= 110
    assert set(config) == {"base", "heads", "theories", "replay", "training", "output"}
    assert config["heads"] == {"my": {"theory": "my", "data": str(data), "E0": "auto"}}
    assert config["theories"] == {"my": {"method": "PBE-D3"}}
    assert config["replay"] == "auto"
    assert config["output"] == "runs/my"
    assert "TODO" not in found.text
    (warning,) = found.warnings
    assert "dispersion is not the same as in the base: labels of theory my contain dispersion (D3)" in warning
    assert "those of head0, head1 none" in warning


def test_written_file_trains(make: Make, base: Path, tmp_path: Path) -> None:
    """With everything awkward at once: names, a folder of its own, gzip, isolated atoms, one system."""
    frames = [neon(k) for k in range(12)]
    atom = Atoms("Ne", info={"config_type": "IsolatedAtom", "REF_energy": -7.0})
    for frame in frames:
        frame.info["REF_energy"] = frame.info.pop("energy")
        frame.arrays["REF_forces"] = frame.arrays.pop("forces")
    atom.arrays["REF_forces"] = np.zeros((1, 3))
    data = make([*frames, atom], "my data.v1.xyz.gz", ("REF_forces",))
    found, config = begin(data, base=str(base), file=tmp_path / "deep" / "er" / "c.yaml")
    head = config["heads"]["my_data_v1"]
    assert head["data"]["files"] == str(data)  # absolute, as it was given
    assert head["data"]["keys"] == {"energy": "REF_energy", "forces": "REF_forces"}
    assert head["split"] == {"by": "frame"}
    assert dict(found.facts)["isolated atoms"] == "Ne"
    quick = ["training.epochs=1", "training.device=cpu", "training.threads=1", "forgetting.fail=false"]
    result = train(load_config(tmp_path / "deep" / "er" / "c.yaml", quick))
    assert [head.name for head in result.model.heads] == ["head0", "head1", "my_data_v1"]
    assert result.model.heads[2].E0[10] == -7.0
    assert result.folder == tmp_path / "deep" / "er" / "runs" / "my_data_v1"
    assert result.forgetting is not None


def test_scratch_trains_with_the_charges_of_the_data(make: Make, tmp_path: Path) -> None:
    frames = [molecule("OH") for _ in range(24)]
    for k, frame in enumerate(frames):
        frame.rattle(0.03, seed=k)
        frame.info.update(energy=-2050.0 - k % 3, total_charge=k % 2 - 1, multiplicity=1 + k % 2)
        frame.arrays["forces"] = np.random.default_rng(k).normal(size=(2, 3))
        frame.arrays["forces"] -= frame.arrays["forces"].mean(axis=0)
    found, config = begin(make(frames), method="HF")
    theory = config["theories"]["my"]
    assert (theory["charge"], theory["spin"]) == ("total charge (e)", "multiplicity 2S+1")
    assert theory["default_charge"] is theory["default_spin"] is None
    assert config["heads"]["my"]["data"]["keys"] == {"charge": "total_charge", "spin": "multiplicity"}
    inputs = config["model"]["inputs"]
    assert inputs == {"charge": {"classes": 2, "offset": 1}, "spin": {"classes": 3, "offset": 0}}
    assert dict(found.facts)["charge"] == "-1 to 0"
    small = ["model.channels=4", "model.l_max=1", "model.correlation=2", "training.epochs=1"]
    result = train(load_config(tmp_path / "config.yaml", [*small, "training.device=cpu"]))
    assert result.model.config.inputs["charge"].offset == 1


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([{}] * 8, {}),
        ([{"charge": 0}] * 8, {"charge": "total charge (e)"}),
        ([{"charge": -2}] * 8, {"charge": "total charge (e)", "default_charge": -2}),
        ([{"charge": 0}, {"charge": 2}] * 4, {"charge": "total charge (e)", "default_charge": None}),
        ([{"charge": 2}, {}] * 4, {"charge": "total charge (e)"}),
        ([{"spin": 1}, {"spin": 3}] * 4, {"spin": "multiplicity 2S+1", "default_spin": None}),
    ],
)
def test_meaning_of_charge_and_spin(
    make: Make, states: list[dict[str, int]], expected: dict[str, object]
) -> None:
    """A default only where frames need one, or all are alike."""
    frames = [neon(k, 2 + k % 4) for k in range(8)]
    for frame, state in zip(frames, states, strict=True):
        frame.info.update(state)
    _, config = begin(make(frames), method="PBE")
    assert config["theories"]["my"] == {"method": "PBE", **expected}


def test_base_that_cannot_read_charges(make: Make, base: Path) -> None:
    frames = clusters()
    for k, frame in enumerate(frames):
        frame.info["charge"] = 2 * (k % 2)
    found, _ = begin(make(frames), base=str(base), method="PBE")
    assert warned(found, "frames differ in charge (0 to 2), which the base does not read")


def test_a_charge_beyond_the_base_is_refused(make: Make, tmp_path: Path) -> None:
    inputs = {"charge": InputConfig(classes=3, offset=1)}
    path = tmp_path / "m.safetensors"
    checkpoint.save(path, small_model(inputs=inputs), {})
    frames = [molecule("H2O") for _ in range(8)]
    for k, frame in enumerate(frames):
        frame.info.update(energy=-1.0, charge=2 if k == 5 else 0)
    with pytest.raises(InputError, match=r"my.xyz, frame 5: charge must be between -1 and 1"):
        begin(make(frames, columns=()), base=str(path))


def test_inputs_of_the_base_keep_their_meaning(make: Make, tmp_path: Path) -> None:
    meaning = InputMeaning(meaning="electric field along z, V/Å", default=0.0)
    model = small_model(inputs={"field": InputConfig(kind="real")})
    model.heads = [
        h.model_copy(update={"theory": h.theory.model_copy(update={"inputs": {"field": meaning}})})
        for h in model.heads
    ]
    path = tmp_path / "m.safetensors"
    checkpoint.save(path, model, {})
    frames = [molecule("H2O") for _ in range(8)]
    for k, frame in enumerate(frames):
        frame.info.update(energy=-1.0, field=0.1 * k)
    _, config = begin(make(frames, columns=()), base=str(path), method="PBE")
    assert config["theories"]["my"]["inputs"] == {"field": meaning.model_dump()}


def test_an_accepted_licence_is_written(make: Make, base: Path) -> None:
    _, config = begin(make(clusters()), base=str(base), accept_licence=True)
    assert config["accept_licence"] is True


def test_what_will_be_replayed_is_foretold(make: Make, base: Path, tmp_path: Path) -> None:
    found, config = begin(make(clusters()), base=str(base), method="PBE")
    setup = prepare(load_config(tmp_path / "config.yaml"))
    told = [int(n) for n in re.findall(r"about (\d+) structures replayed", str(found.facts))]
    assert told == pytest.approx([setup.counts["head0"], setup.counts["head1"]], rel=0.1)
    steps = config["training"]["epochs"] * len(setup.train) / config["training"]["batch_size"]
    (said,) = re.findall(r"about ([\d,]+) steps", found.text)
    assert int(said.replace(",", "")) == pytest.approx(steps, rel=0.1)


def test_isolated_atoms_in_a_file_with_other_names(make: Make, base: Path) -> None:
    atom = Atoms("Ne", info={"dft_energy": -7.0})
    atoms = make([atom], "atoms.xyz", ())
    found, config = begin(make(clusters()), base=str(base), isolated_atoms=atoms)
    assert config["heads"]["my"]["isolated_atoms"] == {
        "files": str(atoms),
        "keys": {"energy": "dft_energy"},
    } or (config["heads"]["my"]["isolated_atoms"]["keys"] == {"energy": "dft_energy"})
    assert dict(found.facts)["isolated atoms"] == "Ne"
    assert "isolated atoms for Ne" in found.text


def test_a_dimer_is_no_isolated_atom(make: Make, base: Path) -> None:
    with pytest.raises(InputError, match=r"atoms.xyz, frame 0: is not an isolated atom"):
        begin(make(clusters()), base=str(base), isolated_atoms=make([neon(0, 2)], "atoms.xyz"))


def test_single_atoms_without_a_mark_are_pointed_out(make: Make, base: Path) -> None:
    lone = Atoms("Ne", info={"energy": -7.0})
    lone.arrays["forces"] = np.zeros((1, 3))
    found, _ = begin(make([*clusters(), lone]), base=str(base))
    assert warned(found, "1 single atoms (first:")
    assert dict(found.facts)["isolated atoms"] == "none"


def test_elements_that_the_base_does_not_know(make: Make, base: Path) -> None:
    frames = [bulk("NaCl", "rocksalt", a=5.6 + 0.02 * k) for k in range(6)] + clusters(6)
    for frame in frames:
        frame.info["energy"] = -4.0 * len(frame)
    found, _ = begin(make(frames, columns=()), base=str(base))
    assert dict(found.facts)["base head head0"].startswith("no E0 for Na Cl; about ")
    assert dict(found.facts)["structures"] == "6 crystals, 6 molecules and clusters"
    assert warned(found, "the base does not know Na Cl")
    assert warned(found, "no frame has forces")
    assert "no forces, no stress" in found.text


def test_nothing_to_replay_is_said_and_written(make: Make, tmp_path: Path) -> None:
    """The base knows krypton only, which neither the data nor the bundled structures have."""
    path = saved(tmp_path / "krypton.safetensors", 36)
    found, config = begin(make(clusters()), base=str(path))
    assert config["replay"] == "off"
    assert warned(found, "of head head1 of the base nothing can be replayed by default")


def test_head_of_the_base_by_name(make: Make, base: Path) -> None:
    found, config = begin(make(clusters()), base=str(base), head="head1")
    assert list(config["heads"]["head1"]) == ["data"]
    assert "theories" not in config
    assert warned(found, "head1 is a head of the base: it is trained on, not replayed")
    with pytest.raises(InputError, match="its theory is 'base1', not 'pbe_gpaw'"):
        begin(make(clusters()), base=str(base), head="head1", theory="pbe_gpaw")


def test_names_of_files_that_are_taken(make: Make, base: Path) -> None:
    """Neither becomes a head of the base nor a known theory by accident."""
    _, config = begin(make(clusters(), "head0.xyz"), base=str(base))
    assert list(config["heads"]) == ["head0_new"]
    _, config = begin(make(clusters(), "omat_pbe.xyz"), base=str(base))
    assert config["heads"]["omat_pbe"]["theory"] == "omat_pbe_new"


def test_theory_that_the_frames_state(make: Make, base: Path) -> None:
    frames = clusters()
    for frame in frames:
        frame.info["theory"] = "pbe_gpaw"
    found, config = begin(make(frames), base=str(base))
    assert config["heads"]["my"]["theory"] == "pbe_gpaw"
    assert "theories" not in config
    with pytest.raises(InputError, match="'pbe_gpaw' is a known one"):
        begin(make(frames), base=str(base), method="PBE")
    for frame in frames[:5]:
        frame.info["theory"] = "another"
    with pytest.raises(InputError, match=r"--theory: pbe_gpaw \(19 frames\), another \(5 frames\)"):
        begin(make(frames), base=str(base))
    found, config = begin(make(frames), base=str(base), theory="pbe_gpaw")
    assert warned(found, "5 frames are not used; the first is frame 0 of ")


def test_theory_that_is_nearly_known(make: Make) -> None:
    found, config = begin(make(clusters()), theory="omat-pbe")
    assert warned(found, "did you mean 'omat_pbe'?")
    assert warned(found, "--method")
    assert config["theories"] == {"omat-pbe": {"method": "not stated"}}


def test_paths_start_at_the_folder_of_the_file(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(clusters())
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    _, config = begin(Path("../my.xyz"), file=Path("new/c.yaml"), output=Path("out"))
    assert config["heads"]["my"]["data"] == "../../my.xyz"
    assert config["output"] == "../out"
    assert load_config(Path("new/c.yaml")).folder.resolve() == tmp_path / "here" / "out"


def test_names_that_yaml_would_misread(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("off.xyz", "1e5.xyz", "a: b #c.xyz", "[x], {y}.xyz", "Ångström 'ω'.xyz"):
        make(clusters(), name)
        _, config = begin(Path(name), file=Path("c.yaml"), theory="null", method="- # :")
        (head,) = config["heads"].values()
        assert head["data"] == name
        assert head["theory"] == "null"
        assert load_config(Path("c.yaml")).theories["null"].method == "- # :"


def test_odd_forces_are_pointed_out(make: Make) -> None:
    frames = clusters()
    for frame in frames:
        frame.arrays["forces"] *= 10  # else 80 would be so much more that other units are suspected
    frames[3].arrays["forces"][0] += [80.0, 0, 0]
    found, _ = begin(make(frames))
    assert warned(found, "1 frames have forces above 50 eV/Å")
    assert warned(found, "the forces of 1 frames do not sum to zero")
    for frame in frames:
        frame.arrays["forces"] *= 0
    found, _ = begin(make(frames))
    assert warned(found, "all forces are zero")


def test_a_run_in_the_folder_is_pointed_out(make: Make, tmp_path: Path) -> None:
    (tmp_path / "runs" / "my").mkdir(parents=True)
    (tmp_path / "runs" / "my" / "log.jsonl").touch()
    found, _ = begin(make(clusters()))
    assert warned(found, "holds a run already")


def test_bad_frames_stop_or_are_left_out(make: Make) -> None:
    frames = clusters()
    frames[7].info["energy"] = float("nan")
    path = make(frames)
    with pytest.raises(InputError, match=r"my.xyz, frame 7: energy is not finite"):
        begin(path)
    found, config = begin(path, skip_bad=True)
    assert config["heads"]["my"]["data"]["bad_frames"] == "list"
    assert warned(found, "1 frames are not used")


def test_an_element_without_any_energy(make: Make) -> None:
    frames = clusters()
    frames[4].numbers[0] = 18
    del frames[4].info["energy"]
    with pytest.raises(InputError, match=r"frame 4: no frame with an energy contains Ar"):
        begin(make(frames))


def test_split_falls_back_by_steps(make: Make) -> None:
    def split(frames: list[Atoms]) -> object:
        return begin(make(frames))[1]["heads"]["my"].get("split")

    assert split(clusters(40)) is None
    assert split([neon(k) for k in range(12)]) == {"by": "frame"}
    two = [neon(k) for k in range(40)]
    for k, frame in enumerate(two):
        frame.info["system"] = f"s{k % 2}"
    assert split(two) == {"by": "frame"}  # where systems can make no three sets
    assert split([neon(0), neon(1)]) == {"validation": 0.0, "test": 0.0}


@pytest.mark.parametrize("new", [1, 40, 400, 4_000, 40_000, 400_000])
@pytest.mark.parametrize("replayed", [0, 800, 10_000])
@pytest.mark.parametrize("atoms", [1.0, 20.0, 400.0])
def test_length_keeps_its_rule(new: int, replayed: int, atoms: float) -> None:
    """About 200 draws of each new frame, within 2,000 to 20,000 steps, and at least ten validations."""
    found = length(atoms, new, replayed)
    assert found.batch_size * atoms <= 256 or found.batch_size == 2
    assert found.epochs >= 10
    one_pass = -(-(new + replayed) // found.batch_size)
    assert found.steps == found.epochs * (found.steps_per_epoch or one_pass)
    assert 0.9 * STEPS[0] <= found.steps <= 1.1 * STEPS[1]
    if 1.1 * STEPS[0] < found.steps < 0.9 * STEPS[1]:
        assert found.draws == pytest.approx(DRAWS, rel=0.1)
