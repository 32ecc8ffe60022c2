"""What is odd about new data, or about them and the base, so that a user looks again before training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from crossfield.data.frame import Frame
from crossfield.model.model import Model
from crossfield.theory import dispersion_beside, symbols
from crossfield.train.folder import RunFolder
from crossfield.train.starter.look import Look

FEW = 20  # frames
LARGE = 50.0  # eV/Å; not impossible, but rarely wanted
SMALL = 1e-3  # eV/Å
UNBALANCED = (0.01, 0.1)  # net force per atom: eV/Å, and of the RMS force; more is no accuracy of a code


def warnings(look: Look) -> list[str]:
    """One line each."""
    frames = look.reading.frames
    found = [*look.names.warnings, *look.level.warnings]
    if look.reading.rejected:
        first = look.reading.rejected[0]
        found.append(
            f"{len(look.reading.rejected)} frames are not used; the first is frame {first.index} of "
            f"{first.file}: {first.reason}"
        )
    if len(frames) < FEW:
        found.append(f"{len(frames)} frames are very few to learn from")
    if look.parts.why:
        found.append(f"{look.parts.why} ({look.parts.text})")
    found += _labels(frames)
    found += _atoms(look)
    if look.base is not None:
        found += _base(look, look.base)
    folder = look.request.folder(look.head)
    if RunFolder(folder).files:
        found.append(f"{folder} holds a run already: choose another --output")
    return found


def _labels(frames: Sequence[Frame]) -> Iterator[str]:
    forces = [frame for frame in frames if frame.forces is not None]
    if not any(frame.energy is not None for frame in frames):
        yield "no frame has an energy: the energies of the new head will mean nothing"
    if not forces:
        yield "no frame has forces: energies alone teach much less"
        return
    largest = np.array([_largest(frame) for frame in forces])
    if (number := int((largest > LARGE).sum())) > 0:
        k = int(largest.argmax())
        yield (
            f"{number} frames have forces above {LARGE:g} eV/Å (up to {largest[k]:.0f}, {forces[k].file}, "
            f"frame {forces[k].index}): atoms too close?"
        )
    if largest.max() < SMALL:
        yield "all forces are zero, as in relaxed structures: little can be learnt from them"
    elif unbalanced := [
        frame for frame in forces if _net(frame) > max(UNBALANCED[0], UNBALANCED[1] * _rms(frame))
    ]:
        yield (
            f"the forces of {len(unbalanced)} frames do not sum to zero (first: {unbalanced[0].file}, frame "
            f"{unbalanced[0].index}): were atoms held fixed, so that their forces were left out?"
        )


def _largest(frame: Frame) -> float:
    return 0.0 if frame.forces is None else float(np.linalg.norm(frame.forces, axis=1).max())


def _net(frame: Frame) -> float:
    """eV/Å per atom; of single atoms nothing can be said."""
    if frame.forces is None or frame.num_atoms == 1:
        return 0.0
    return float(np.linalg.norm(frame.forces.mean(axis=0)))


def _rms(frame: Frame) -> float:
    return 0.0 if frame.forces is None else float(np.sqrt(np.mean(frame.forces**2)))


def _atoms(look: Look) -> Iterator[str]:
    """Single atoms that are not marked, and electrons whose spin nobody states."""
    single = [f for f in look.reading.frames if f.num_atoms == 1 and f.charge == 0 and not f.pbc.any()]
    if single:
        yield (
            f"{len(single)} single atoms (first: {single[0].file}, frame {single[0].index}) are not marked "
            "config_type=IsolatedAtom: they give no E0"
        )
    if look.level.theory.spin == "ignored":
        odd = [f for f in look.reading.frames if not f.pbc.any() and (f.Z.sum() - f.charge) % 2]
        reads = look.base is None or "spin" in look.base.config.inputs
        if odd and reads:
            yield (
                f"{len(odd)} molecules have an odd number of electrons (first: {odd[0].file}, frame "
                f"{odd[0].index}), and no frame states a spin: all count as spin 1"
            )


def _base(look: Look, base: Model) -> Iterator[str]:
    """What does not go well with the base."""
    if look.new_elements:
        yield (
            f"the base does not know {' '.join(symbols(look.new_elements))}: they start as those most "
            "like them, and need more frames"
        )
    for name in ("charge", "spin"):
        values = {getattr(frame, name) for frame in look.reading.frames}
        if len(values) > 1 and name not in base.config.inputs:
            yield (
                f"frames differ in {name} ({min(values)} to {max(values)}), which the base does not read: "
                "it cannot tell them apart"
            )
    if look.own is not None:
        yield f"{look.head} is a head of the base: it is trained on, not replayed, and keeps its E0"
    elif differs := dispersion_beside(look.level.theory, base.heads):
        yield f"dispersion is not the same as in the base: {differs}"
    for name, count in look.replayed.items():
        if not count:
            yield f"of head {name} of the base nothing can be replayed by default: it may forget"
