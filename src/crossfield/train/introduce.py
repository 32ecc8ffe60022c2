"""What is said before training begins: the heads, what they are taught, and what is odd about it."""

from __future__ import annotations

from crossfield.data.reference_table import reference_table
from crossfield.train.head_data import SPLITS, HeadData
from crossfield.train.progress import Reporter
from crossfield.train.sections import AdaptConfig
from crossfield.train.setup import Setup
from crossfield.train.trainer import Trainer


def introduce(trainer: Trainer, reporter: Reporter) -> None:
    """Tell what a run is about to do."""
    setup, listed = trainer.setup, trainer.folder.rejected.name
    for note in setup.notes:
        reporter.say(note)
    if not len(setup.validation):
        reporter.say(
            "warning: no head has validation frames: the latest weights count as the best ones, and nothing "
            "can tell when a head is over-fitted"
        )
    for h in setup.heads:
        for line in _about(h, listed, setup, trainer.config.adapt):
            reporter.say(line)
        if h.reference is not None and not trainer.state.step:
            reporter.show(reference_table(h.reference, title=f"Reference energies of head {h.head.name}"))
    again = f", resumed at step {trainer.state.step}" if trainer.state.step else ""
    reporter.say(
        f"{setup.model.num_parameters} parameters, {trainer.adaptation.describe()}; "
        f"{trainer.sampler.steps} steps per epoch, on {trainer.fabric.device}, "
        f"{trainer.config.training.precision}{again}"
    )


def _about(h: HeadData, listed: str, setup: Setup, adapt: AdaptConfig) -> list[str]:
    name, theory = h.head.name, h.head.theory.name
    if h.role == "kept" and adapt.kind == "heads":
        return [f"head {name} ({theory}): as in the base, bit for bit"]
    if h.role == "kept":
        compared = len(h.frames.test)
        seen = f"they are compared on {compared} structures" if compared else "and no structure shows them"
        return [
            f"warning: head {name} ({theory}) is neither trained nor replayed: nothing keeps its answers as "
            f"they are; {seen}"
        ]
    counts = ", ".join(f"{len(getattr(h.frames, part))} {part}" for part in SPLITS)
    counts += f", {len(h.isolated)} isolated atoms" if h.isolated else ""
    role = "replayed, " if h.role == "replayed" else ""
    aside = ""
    if h.rejected:
        aside = f"; {len(h.rejected)} not used (first: {h.rejected[0].reason}), listed in {listed}"
    lines = [f"head {name} ({theory}): {role}{counts}{aside}; scale {h.head.scale:.3g} eV"]
    lines += [f"head {name}: {note}" for note in h.notes]
    warnings = list(h.warnings)
    if h.reference is not None and h.reference.conditioning:
        warnings.append(h.reference.conditioning)
    if common := _on_both_sides(h):
        warnings.append(f"{common} validation and test frames are of systems trained on")
    if len(setup.validation) and not h.frames.validation:
        warnings.append("no validation frames, and so no say in the score, nor a warning of over-fitting")
    return lines + [f"warning: head {name}: {warning}" for warning in warnings]


def _on_both_sides(h: HeadData) -> int:
    """Number of validation and test frames whose system is trained on; files named for them may have such."""
    trained = {frame.group for frame in h.frames.train}
    return sum(frame.group in trained for frame in (*h.frames.validation, *h.frames.test))
