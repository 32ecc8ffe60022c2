"""Several processes that want the same labels."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from crossfield.replay import read_labels
from crossfield.replay.lock import lock_of

ROOT = Path(__file__).parents[2]
CODE = """
import json, sys, time
from pathlib import Path
from crossfield.inference.potential import Potential
from crossfield.replay import labelling, pseudo_label
from tests.replay.frames import awkward_frames
from tests.structures import small_model

labelling.SHARD, evaluated = 4, []
original = labelling.evaluate

def watched(model, graph):
    evaluated.append(graph.num_structures)
    time.sleep(float(sys.argv[2]))
    return original(model, graph)

labelling.evaluate = watched
path = Path(sys.argv[1])
potential, frames = Potential(small_model(), "head0"), awkward_frames(2)
path.with_name(f"ready-{sys.argv[3]}").touch()
while len(list(path.parent.glob("ready-*"))) < int(sys.argv[4]):
    time.sleep(0.01)
labelled = pseudo_label(potential, None, frames, path)
print(json.dumps([sum(evaluated), [frame.energy for frame in labelled]]))
"""


def start(path: Path, name: str, *, together: int, pause: float) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(path), str(pause), name, str(together)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_one_is_killed_and_two_that_start_together_go_on(tmp_path: Path) -> None:
    """Of the dead, finished parts are used and the lock is no obstacle. Only one of the two labels."""
    path, parts = tmp_path / "labels", tmp_path / "labels.parts"
    killed = start(path, "a", together=1, pause=0.5)
    deadline = time.monotonic() + 100
    while not (parts.exists() and len(list(parts.glob("0*"))) >= 2):
        assert killed.poll() is None, killed.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert lock_of(path).exists()
    assert not path.exists()
    done = 4 * len(list(parts.glob("0*")))

    processes = [start(path, name, together=3, pause=0.2) for name in "bc"]
    outcomes = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outcomes
    (first, energies), (second, others) = (json.loads(out) for out, _ in outcomes)
    assert sorted((first, second)) == [0, 22 - done]
    assert energies == others == [frame.energy for frame in read_labels(path).frames]
    assert "waiting for process" in outcomes[0 if first == 0 else 1][1]
    assert "has ended without finishing labels; going on" in "".join(err for _, err in outcomes)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["labels", "ready-a", "ready-b", "ready-c"]
