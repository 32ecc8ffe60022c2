from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from crossfield.data.read import read_source
from crossfield.data.source import Source
from crossfield.errors import InputError
from crossfield.theory import get_theory
from tests.data.malformed import ALL, FRAMES, THEORY, Kind, Malformed, draft, malformed_inputs, thermal_water


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Malformed]:
    return malformed_inputs(tmp_path_factory.mktemp("malformed"))


def test_undamaged_inputs_are_read(tmp_path: Path) -> None:
    """Else everything would be refused for a reason of no interest."""
    sound = {kind: [draft(kind, k) for k in range(FRAMES)] for kind in ALL}
    for name, drafts in [*sound.items(), ("thermal", thermal_water(12))]:
        path = tmp_path / f"{name}.xyz"
        path.write_text("".join(d.text() for d in drafts))
        reading = read_source(Source(files=(path,)), get_theory(THEORY))
        assert len(reading.frames) == len(drafts)
        assert not reading.rejected


def test_inputs_are_many_and_distinct(inputs: list[Malformed]) -> None:
    assert len(inputs) >= 200
    assert len({malformed.name for malformed in inputs}) == len(inputs)
    written = [p for p in next(m.path for m in inputs).parent.iterdir() if p.is_file()]
    damaged = [path for path in written if not path.name.startswith("keys_")]  # there the keys are at fault
    assert len({path.read_bytes() for path in damaged}) == len(damaged) >= 200


def test_every_malformed_input_is_refused(inputs: list[Malformed]) -> None:
    """One line that names the file, the frame where there is one, and what is wrong."""
    wrong = []
    for malformed in inputs:
        try:
            read_source(malformed.source(), get_theory(THEORY))
        except InputError as error:
            text = str(error)
            named = text.startswith(str(malformed.path)) and "\n" not in text
            if not named or malformed.message not in text or error.frame != malformed.frame:
                wrong.append(f"{malformed.name}: expected {malformed.message!r} ({malformed.frame}): {text}")
        else:
            wrong.append(f"{malformed.name}: was read")
    assert not wrong, "\n".join(wrong)


def test_bad_frames_can_be_listed(inputs: list[Malformed]) -> None:
    """With "list" one bad frame costs that frame only; a damaged file is refused as before."""
    listed = 0
    for malformed in inputs:
        source = malformed.source().model_copy(update={"bad_frames": "list"})
        try:
            reading = read_source(source, get_theory(THEORY))
        except InputError:
            continue
        listed += 1
        assert [r.index for r in reading.rejected] == [malformed.frame], malformed.name
        assert malformed.message in reading.rejected[0].reason
        assert len(reading.frames) in (FRAMES - 1, 11)
    assert listed >= 150


SUSPECTS = b' \t\n"=[]{}:,.-+0123456789eETFnaif\\'


def _mutated(text: bytes, noise: random.Random) -> bytes:
    """Text with a few bytes replaced, removed, doubled or moved."""
    data = bytearray(text)
    for _ in range(noise.randint(1, 4)):
        at, length = noise.randrange(len(data)), noise.randint(1, 12)
        piece = data[at : at + length]
        kind = noise.randrange(4)
        if kind == 0:
            data[at : at + length] = bytes(noise.choice(SUSPECTS) for _ in piece)
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = piece * noise.randint(1, 30)
        else:
            there = noise.randrange(len(data))
            data[there:there] = piece
    return bytes(data)


@pytest.mark.parametrize("kind", ALL)
def test_random_damage_never_ends_in_another_error(tmp_path: Path, kind: Kind) -> None:
    """Damaged text is refused in one line, or is still sound and gives finite labels."""
    noise = random.Random(3)
    text = "".join(draft(kind, k).text() for k in range(FRAMES)).encode()
    path = tmp_path / "damaged.xyz"
    refused = accepted = 0
    for _ in range(400):
        path.write_bytes(_mutated(text, noise))
        try:
            reading = read_source(Source(files=(path,)), get_theory(THEORY))
        except InputError as error:
            refused += str(error).startswith(str(path)) and "\n" not in str(error)
            continue
        accepted += 1
        for frame in reading.frames:
            assert np.isfinite(frame.positions).all()
            assert frame.forces is None or np.isfinite(frame.forces).all()
    assert refused + accepted == 400
    assert refused > 200
