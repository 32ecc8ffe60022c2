from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from crossfield.errors import InputError
from crossfield.train import config_from_dict, load_config

SHORT = """
heads:
  crystals: {theory: pbe_gpaw, data: crystals.xyz.gz, isolated_atoms: atoms.xyz.gz}
  molecules:
    theory: wb97m_d3bj_def2svp
    data: {files: [a.xyz, b.xyz], keys: {energy: REF_energy}}
    E0: {H: -13.6, 8: -432}
    weight: 2.0
model: {cutoff: 5.0, channels: 64}
training: {epochs: 100, batch_size: 16, learning_rate: 1e-2}
output: runs/first
"""


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "short.yaml"
    path.write_text(SHORT)
    return path


def test_short_file_is_enough(short: Path) -> None:
    config = load_config(short)
    assert config.heads["crystals"].data.files == (Path("crystals.xyz.gz"),)
    assert config.heads["crystals"].E0 == "auto"
    assert config.heads["molecules"].data.keys.energy == "REF_energy"
    assert config.heads["molecules"].E0 == {1: -13.6, 8: -432.0}
    assert config.training.learning_rate == 0.01
    assert config.model_for((1, 8)).elements == (1, 8)
    assert config.model_for((1, 8)).channels == 64
    assert config.folder == short.parent / "runs/first"


def test_overrides_are_yaml_and_win(short: Path) -> None:
    config = load_config(
        short,
        [
            "training.epochs=3",
            "model.correlation=[2, 1]",
            "heads.crystals.weight=0.5",
            "loss.stress=0",
            "training.clip=null",
            "schedule={kind: cosine, final: 0.1}",
        ],
    )
    assert config.training.epochs == 3
    assert config.model.correlation == (2, 1)
    assert config.heads["crystals"].weight == 0.5
    assert config.loss.stress == 0.0
    assert config.training.clip is None
    assert (config.schedule.kind, config.schedule.final) == ("cosine", 0.1)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.epoch=3", ["training.epoch", "did you mean 'epochs'"]),
        ("traning.epochs=3", ["unknown key traning", "did you mean 'training'"]),
        ("model.cutof=5", ["model.cutof", "did you mean 'cutoff'"]),
        ("model.inputs={charge: {kinds: class}}", ["model.inputs.charge.kinds", "did you mean 'kind'"]),
        ("heads.crystal.weight=1", ["unknown head 'crystal'", "did you mean 'crystals'"]),
        ("heads.crystals.wieght=1", ["heads.crystals.wieght", "did you mean 'weight'"]),
        ("heads.molecules.data.keys.enregy=E", ["heads.molecules.data.keys.enregy", "'energy'"]),
        ("sampling.kind=unifrom", ["sampling.kind", "uniform"]),
        ("training.xyz=1", ["unknown key training.xyz", "known: epochs"]),
        ("training.epochs=many", ["training.epochs", "integer", "'many'"]),
        ("training.learning_rate=-1", ["training.learning_rate", "greater than 0", "-1"]),
        ("training.learning_rate=.inf", ["training.learning_rate", "finite"]),
        ("heads.molecules.E0={Hx: 1}", ["heads.molecules.E0", "'Hx' is not an element"]),
        ("heads.molecules.E0={H: x}", ["heads.molecules.E0", "energy of H must be a number"]),
        ("heads.crystals.scale=big", ["heads.crystals.scale: should be 'auto' or a valid number", "'big'"]),
        ("heads.crystals.scale=-1", ["heads.crystals.scale: should be 'auto' or greater than 0", "-1"]),
        ("heads.crystals.split={validaton: 0.2}", ["heads.crystals.split.validaton", "'validation'"]),
        ("heads.crystals.data=3", ["heads.crystals.data: should be keys and values, not 3"]),
        ("theories={x: {methd: PBE}}", ["theories.x.methd", "did you mean 'method'"]),
        ("model.inputs={spn: {}}", ["model.inputs.spn", "'charge' or 'spin'"]),
        ("seed=3", ["unknown key seed", "known: heads"]),
        ("heads.molecules.E0=least", ["heads.molecules.E0", "least_squares"]),
        ("heads.crystals.theory=null", ["heads.crystals.theory", "string"]),
        ("model.elements=[1]", ["model", "elements come from the data"]),
        ("model.max_L=5", ["model.max_L"]),
        ("model={max_L: 3, l_max: 2}", ["model", "max_L (3) cannot exceed l_max (2)"]),
        ("split.validation=0.95", ["split", "no frame to train on"]),
        ("heads={}", ["heads"]),
        ("heads={a.b: {theory: x, data: y}}", ["heads.a.b"]),
        ("output", ["'output'", "key=value"]),
        ("training.epochs.x=1", ["training.epochs is a value", "'x'"]),
        ("training.epochs=[1", ["training.epochs", "not valid YAML"]),
        ("model.cutoff=.inf", ["model.cutoff", "finite"]),
        ("heads.crystals.shift=.nan", ["heads.crystals.shift", "finite"]),
        ("loss={energy: 0, forces: 0, stress: 0}", ["loss", "nothing would be learnt"]),
        ("loss={late: {energy: 0, forces: 0, stress: 0}}", ["loss", "nothing would be learnt"]),
    ],
)
def test_wrong_override_is_one_line_that_names_the_key(short: Path, override: str, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        load_config(short, [override])
    message = str(caught.value)
    assert "\n" not in message
    for word in [str(short), *words]:
        assert word in message


def test_missing_key_is_named() -> None:
    with pytest.raises(InputError, match=r"heads\.a\.data is missing"):
        config_from_dict({"heads": {"a": {"theory": "pbe_gpaw"}}, "output": "x"})


def test_duplicate_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("heads:\n  a: {theory: x, data: y}\n  a: {theory: z, data: y}\noutput: run\n")
    with pytest.raises(InputError, match=r"line 3: the key 'a' is given twice") as caught:
        load_config(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "word"),
    [("- 1", "keys and values"), ("", "keys and values"), ("a: [", "line 1"), ("\xff", "text file")],
)
def test_broken_file(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=word):
        load_config(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")


def test_values_are_not_changed_by_overrides() -> None:
    given = yaml.safe_load(SHORT)
    config_from_dict(given, ["training.epochs=1", "sampling.kind=uniform"])
    assert given == yaml.safe_load(SHORT)


def test_yaml_anchors_can_be_merged(tmp_path: Path) -> None:
    text = """
heads:
  a: &common {theory: pbe_gpaw, data: a.xyz, weight: 2.0}
  b:
    <<: *common
    data: b.xyz
output: run
"""
    (tmp_path / "c.yaml").write_text(text)
    heads = load_config(tmp_path / "c.yaml").heads
    assert (heads["b"].weight, str(heads["b"].data.files[0])) == (2.0, "b.xyz")
