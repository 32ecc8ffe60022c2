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
        ("seed=3", ["unknown key seed", "known: base, heads"]),
        ("heads.molecules.E0=least", ["heads.molecules.E0", "least_squares"]),
        ("heads.crystals.theory=null", ["heads.crystals.theory is missing"]),
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
        ("sampling={new: 0.5}", ["sampling: new is for kind=balanced, and has no effect with proportional"]),
        ("sampling={kind: uniform, new: 0.9}", ["sampling: new is for kind=balanced", "uniform"]),
        ("sampling={temperature: 3}", ["sampling: temperature is for kind=temperature or balanced"]),
        ("sampling={kind: uniform, ratios: {crystals: 1}}", ["sampling: ratios is for kind=ratios"]),
        ("sampling.kind=ratios", ["sampling: kind=ratios needs ratios"]),
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


FINE = """
base: model.safetensors
heads: {mine: {theory: pbe_gpaw, data: mine.xyz}}
output: runs/fine
"""


@pytest.fixture
def fine(tmp_path: Path) -> Path:
    path = tmp_path / "fine.yaml"
    path.write_text(FINE)
    return path


def test_base_heads_and_output_are_enough(fine: Path) -> None:
    config = load_config(fine)
    assert config.base == "model.safetensors"
    assert (config.replay, config.elements, config.adapt.kind) == ("auto", "keep", "full")
    assert config.heads["mine"].start == "auto"
    assert config.forgetting.fail


def test_defaults_are_others_where_there_is_a_base(short: Path, fine: Path) -> None:
    """Gentle steps, energies that count, and a share of its own for what is new."""
    scratch, with_base = load_config(short), load_config(fine)
    for keys in FINETUNING_KEYS:
        before, after = (_value(config, keys) for config in (scratch, with_base))
        assert after == FINETUNING_KEYS[keys]
        assert before != after
    assert with_base.training.batch_size == scratch.training.batch_size
    assert with_base.loss.delta == scratch.loss.delta


FINETUNING_KEYS = {
    "training.epochs": 50,
    "training.learning_rate": 1e-3,
    "training.weight_decay": 0.0,
    "training.clip": 1.0,
    "training.ema": 0.99,
    "loss.energy": 10.0,
    "sampling.kind": "balanced",
}


def _value(config: object, keys: str) -> object:
    for key in keys.split("."):
        config = getattr(config, key)
    return config


def test_what_is_given_wins_over_the_defaults_of_a_base(fine: Path, tmp_path: Path) -> None:
    """In the file or as an override, and also where it says what the default is without a base."""
    fine.write_text(f"{FINE}training: {{epochs: 3, clip: null}}\nsampling: {{kind: proportional}}\n")
    config = load_config(fine, ["training.learning_rate=0.005", "loss={energy: 1.0}"])
    assert (config.training.epochs, config.training.clip, config.training.learning_rate) == (3, None, 0.005)
    assert config.training.ema == 0.99
    assert (config.sampling.kind, config.loss.energy, config.loss.forces) == ("proportional", 1.0, 10.0)


def test_ratios_say_their_kind(short: Path, fine: Path) -> None:
    """Also where another one is the default."""
    for path, head in ((short, "crystals"), (fine, "mine")):
        sampling = load_config(path, [f"sampling.ratios={{{head}: 2}}"]).sampling
        assert (sampling.kind, sampling.ratios) == ("ratios", {head: 2.0})
    assert load_config(fine, ["sampling.temperature=3"]).sampling.kind == "balanced"


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["adapt={kind: lora, rank: 2}"],
        ["sampling={ratios: {mine: 1, old: 2}}"],
        ["sampling.kind=uniform"],
    ],
)
def test_keys_that_a_kind_does_not_read_are_not_written(
    fine: Path, tmp_path: Path, overrides: list[str]
) -> None:
    """They could not be read again."""
    config = load_config(fine, overrides)
    written = config.as_dict()
    assert ("rank" in written["adapt"]) == (config.adapt.kind == "lora")
    assert ("ratios" in written["sampling"]) == (config.sampling.kind == "ratios")
    (tmp_path / "full.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
    assert load_config(tmp_path / "full.yaml").as_dict() == written


def test_replay_is_switched_off_in_yaml(fine: Path) -> None:
    """Where `off` without quotes is False."""
    assert load_config(fine, ["replay=off"]).replay == "off"
    fine.write_text(f"{FINE}replay: 'off'\n")
    assert load_config(fine).replay == "off"


def test_replay_of_heads_has_defaults_and_short_forms(fine: Path) -> None:
    replay = load_config(fine, ["replay={crystals: null, surfaces: {data: [a.xyz, b.xyz]}}"]).replay
    assert isinstance(replay, dict)
    crystals, surfaces = replay["crystals"], replay["surfaces"]
    assert crystals.own
    assert crystals.with_bundled
    assert (crystals.select.method, crystals.select.count) == ("farthest", 1000)
    assert surfaces.data is not None
    assert surfaces.data.files == (Path("a.xyz"), Path("b.xyz"))
    assert not surfaces.with_bundled


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model={channels: 8}", ["model", "the base brings its own sizes"]),
        ("forgeting.fail=false", ["unknown key forgeting", "did you mean 'forgetting'"]),
        ("forgetting.tolerence=0.1", ["forgetting.tolerence", "did you mean 'tolerance'"]),
        ("forgetting.tolerance=0", ["forgetting.tolerance", "greater than 0"]),
        ("adapt.knd=lora", ["adapt.knd", "did you mean 'kind'"]),
        ("adapt.kind=lorra", ["adapt.kind", "'lora'"]),
        ("adapt.rank=0", ["adapt.rank", "greater than 0"]),
        ("adapt.learning_rates={readouts: -1}", ["adapt.learning_rates.readouts", "greater than"]),
        ("replay=sometimes", ["replay", "'auto'", "'sometimes'"]),
        ("replay=on", ["replay", "'auto'"]),
        ("replay={crystals: {slect: {}}}", ["unknown key replay.crystals.slect", "did you mean 'select'"]),
        ("replay={crystals: {select: {cuont: 3}}}", ["replay.crystals.select.cuont", "did you mean 'count'"]),
        (
            "replay={crystals: {select: {method: all, count: 3}}}",
            ["replay.crystals.select", "takes no count"],
        ),
        ("replay={crystals: {weight: -1}}", ["replay.crystals.weight", "greater than 0", "-1"]),
        ("replay={crystals: {weights: {force: 1}}}", ["crystals.weights.force", "did you mean 'forces'"]),
        ("replay={crystals: {own: false, bundled: false}}", ["replay.crystals", "nothing is replayed"]),
        ("replay={crystals: {data: {keys: {}}}}", ["replay.crystals.data.files is missing"]),
        ("heads.mine.weights={energies: 1}", ["heads.mine.weights.energies", "did you mean 'energy'"]),
        ("heads.mine.weights={energy: -1}", ["heads.mine.weights.energy", "greater than or equal"]),
        ("elements=all", ["elements", "'keep'"]),
        ("sampling={new: 1.0}", ["sampling.new", "less than 1"]),
        ("sampling={new: 0.9, ratios: {mine: 1}}", ["sampling: new is for kind=balanced"]),
        ("sampling={kind: balanced, ratios: {mine: 1}}", ["sampling: ratios is for kind=ratios"]),
        ("adapt={rank: 4}", ["adapt: rank is for kind=lora, and has no effect with full"]),
        ("adapt={kind: heads, alpha: 16}", ["adapt: alpha is for kind=lora"]),
        ("base=''", ["base", "at least 1 character"]),
    ],
)
def test_wrong_settings_with_a_base_name_the_key(fine: Path, override: str, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        load_config(fine, [override])
    message = str(caught.value)
    assert "\n" not in message
    for word in [str(fine), *words]:
        assert word in message
    assert "dict[" not in message


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("replay=auto", "replay: this needs a base"),
        ("replay=off", "replay: this needs a base"),
        ("elements=keep", "elements: this needs a base"),
        ("forgetting={}", "forgetting: this needs a base"),
        ("adapt.kind=heads", "adapt.kind=heads needs a base"),
        ("adapt.kind=lora", "adapt.kind=lora needs a base"),
        ("heads.crystals.start=zero", "heads.crystals: start and freeze need a base"),
        ("heads.crystals.freeze=true", "heads.crystals: start and freeze need a base"),
        ("heads.crystals.E0=estimated", "heads.crystals.E0: energies can only be estimated from a base"),
    ],
)
def test_what_needs_a_base_is_refused_without(short: Path, override: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_config(short, [override])


def test_a_head_of_a_base_may_leave_its_theory_out(fine: Path) -> None:
    assert load_config(fine, ["heads.mine.theory=null"]).heads["mine"].theory is None


@pytest.mark.parametrize("replay", [None, "off", {"crystals": {"data": "a.xyz", "weights": {"energy": 2}}}])
def test_written_with_all_defaults_it_reads_back_the_same(fine: Path, tmp_path: Path, replay: object) -> None:
    given = yaml.safe_load(FINE) | ({} if replay is None else {"replay": replay})
    config = config_from_dict(given, ["adapt.learning_rates={interactions.0: 0.1}", "heads.mine.E0={H: -1}"])
    (tmp_path / "full.yaml").write_text(yaml.safe_dump(config.as_dict(), sort_keys=False))
    again = load_config(tmp_path / "full.yaml")
    assert again.as_dict() == config.as_dict()
    assert again.replay == config.replay
    assert "model" not in config.as_dict()
