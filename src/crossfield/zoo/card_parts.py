"""A model card in words: the parts that every way of showing it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crossfield.theory import Head, dispersion_of, symbols
from crossfield.theory.units import GPA_PER_EV_A3, MEV, digits
from crossfield.zoo.card import Card, Errors, Quantity
from crossfield.zoo.published import LICENCES

PAPER = (
    "Batatia, Lin, Hart, Kasoar, Elena, Norwood, Wolf, Csányi: Cross Learning between Electronic Structure "
    "Theories for Unifying Molecular, Surface, and Inorganic Crystal Foundation Force Fields, "
    "arXiv 2510.25380"
)
QUANTITIES: tuple[Quantity, ...] = ("energy", "forces", "stress")
UNITS = {"energy": ("meV/atom", MEV), "forces": ("meV/Å", MEV), "stress": ("GPa", GPA_PER_EV_A3)}
DIGITS = 12  # of a checksum


@dataclass(frozen=True)
class Part:
    """Part of a card, plain text: facts as a list, or a table, with paragraphs before."""

    title: str
    paragraphs: tuple[str, ...] = ()
    items: tuple[tuple[str, str], ...] = ()  # what, and the fact; an empty what stands for none
    head: tuple[str, ...] = ()  # of a table
    rows: tuple[tuple[str, ...], ...] = ()


def parts(card: Card) -> tuple[Part, ...]:
    """All that a card says, in order; parts that have nothing to say are left out."""
    found = (
        _model(card),
        *(_head(head, card) for head in card.heads),
        _data(card),
        _settings(card),
        _errors(card),
        _forgotten(card),
        _use(card),
        _licence(card),
        _cite(card),
        _made(card),
    )
    return tuple(part for part in found if part.paragraphs or part.items or part.rows)


def _model(card: Card) -> Part:
    config = card.config
    blocks = ", ".join(dict.fromkeys(config.blocks))
    return Part(
        "Model",
        items=(
            ("architecture", f"MACE family, {config.layers} layers ({blocks}), {config.channels} channels"),
            (
                "angular momenta",
                f"messages L <= {config.max_L}, edges l <= {config.l_max}, correlation "
                + "/".join(map(str, config.correlations)),
            ),
            ("cutoff", f"{config.cutoff:g} Å"),
            ("parameters", f"{card.parameters:,} ({card.dtype})"),
            ("heads", ", ".join(head.name for head in card.heads)),
            ("default head", card.default_head or "none: name one"),
            ("elements", " ".join(symbols(config.elements))),
            ("reads besides positions", ", ".join(config.inputs) or "nothing"),
            ("fingerprint", f"{card.fingerprint} (SHA-256 of configuration, heads and weights)"),
        ),
    )


def _head(head: Head, card: Card) -> Part:
    theory, taught = head.theory, card.taught.get(head.name)
    items = [
        ("theory", theory.name),
        ("method", theory.method or "not stated"),
        ("basis", theory.basis or "not stated"),
        ("dispersion in the labels", dispersion_of(theory)),
        ("charge", theory.charge),
        ("spin", theory.spin),
        *((f"input {name}", meaning.meaning) for name, meaning in theory.inputs.items()),
        ("zero of energy, and where the method is described", theory.reference or "not stated"),
        ("data behind the theory", theory.data or "not stated"),
        ("elements", " ".join(symbols(head.E0))),
    ]
    if taught is not None and taught.E0_origin:
        of = sorted(set(taught.E0_origin.values()))
        items.append(("reference energies E0 from", ", ".join(of)))
    if taught is not None and taught.start:
        items.append(("started from the head", taught.start))
    return Part(f"Head {head.name}", items=tuple(items))


def _data(card: Card) -> Part:
    rows = tuple(
        (
            head.name,
            taught.role or "not stated",
            *(f"{taught.frames.get(split, 0):,}" for split in ("train", "validation", "test")),
            f"{taught.isolated_atoms:,}",
            f"{taught.rejected:,}",
            "the base's own answers" if taught.own_answers else "of the theory",
        )
        for head in card.heads
        if (taught := card.taught.get(head.name)) is not None
    )
    files = tuple(
        (name, f"{file} (SHA-256 {digest[:DIGITS]}…)")
        for name, taught in card.taught.items()
        for file, digest in taught.files.items()
    )
    head = ("head", "role", "train", "validation", "test", "isolated atoms", "rejected", "labels")
    unknown = [h.name for h in card.heads if h.name not in card.taught]
    paragraphs = (f"What these heads were trained on is not recorded in the file: {', '.join(unknown)}.",)
    return Part("Training data", paragraphs if unknown else (), files, head, rows)


def _settings(card: Card) -> Part:
    items = [] if card.base is None else [("base", _base(card))]
    items += [] if card.imported is None else [("imported from", card.imported)]
    if card.step is not None:
        epochs = "" if card.epoch is None else f" ({card.epoch:.4g} epochs)"
        items.append(("weights of step", f"{card.step:,}{epochs}"))
    items += [("changed afterwards by crossfield heads", text) for text in card.surgery]
    return Part("Training", (), tuple(items), ("setting", "value"), card.settings)


def _base(card: Card) -> str:
    digest = card.base_fingerprint
    return f"{card.base}" + (f" (fingerprint {digest[:DIGITS]}…)" if digest else "")


def _errors(card: Card) -> Part:
    if card.results is None:
        return Part("Errors", ("No errors are known of these weights.",))
    rows = []
    for head in card.heads:
        split = "test" if head.name in card.results.test else "validation"
        errors = getattr(card.results, split).get(head.name)
        for quantity in QUANTITIES if errors is not None else ():
            row = _error(errors, card.results.baseline.get(head.name), quantity)
            rows += [] if row is None else [(head.name, split, *row)]
    text = "The constant is E0 plus the mean energy per atom of the training frames, no forces and no stress."
    columns = ("head", "split", "property", "MAE", "RMSE", "MAE of the constant", "labels")
    return Part("Errors", (text,), (), columns, tuple(rows))


def _error(errors: Errors, baseline: Errors | None, quantity: Quantity) -> tuple[str, ...] | None:
    error = getattr(errors, quantity)
    if error is None:
        return None
    guess = None if baseline is None else getattr(baseline, quantity)
    unit = UNITS[quantity][0]
    numbers = (error.mae, error.rmse, None if guess is None else guess.mae)
    return f"{quantity}, {unit}", *(_number(x, quantity) for x in numbers), f"{error.labels:,}"


def _forgotten(card: Card) -> Part:
    if card.forgotten is None:
        return Part("Forgetting")
    rows = tuple(
        (
            change.head,
            f"{change.quantity}, {UNITS[change.quantity][0]}" + (" (drift)" if change.own_answers else ""),
            f"{change.frames:,}",
            _number(None if change.own_answers else change.before, change.quantity),
            _number(change.after, change.quantity),
            "new" if change.allowed is None else _number(change.allowed, change.quantity),
            "worse than allowed" if change.worse else "",
        )
        for change in card.forgotten.changes
    )
    items = [("unchanged, bit for bit", name) for name in card.forgotten.unchanged]
    items += [("changed, with no frames to compare", name) for name in card.forgotten.not_compared]
    text = (
        "Mean absolute errors of every head before and after training, on frames kept aside; a head of the "
        f"base may lose {100 * card.forgotten.tolerance:g} %. Drift is from the base's own answers."
    )
    columns = ("head", "property", "frames", "before", "after", "allowed", "verdict")
    return Part("Forgetting", (text,), tuple(items), columns, rows)


def _number(value: float | None, quantity: Quantity) -> str:
    return "–" if value is None else digits(UNITS[quantity][1] * value)


def _use(card: Card) -> Part:
    return Part("Intended use and limits", items=tuple(("", text) for text in _limits(card)))


def _limits(card: Card) -> Iterator[str]:
    yield (
        "Energies and forces of structures, and the stress where all three axes are periodic, at the level "
        "of theory of the head that is asked; for structures like those that this head was taught."
    )
    if len(card.heads) > 1:
        yield "Energies of different heads have different zeros: compare them within one head only."
    for head in card.heads:
        dispersion = dispersion_of(head.theory)
        if dispersion == "none":
            yield f"Head {head.name}: labels have no dispersion; a correction such as D3 may be added."
        elif dispersion == "not stated":
            yield f"Head {head.name}: it is not known whether labels have dispersion."
        else:
            yield f"Head {head.name}: labels have dispersion ({dispersion}); add none."
        if head.theory.charge != "ignored" and "charge" not in card.config.inputs:
            yield f"Head {head.name}: the theory knows charge and spin, and the model does not read them."
        if head.theory.notes:
            yield f"Head {head.name}: {head.theory.notes}."
    reach = card.config.layers * card.config.cutoff
    yield f"Atoms further apart than {reach:g} Å do not know of each other: no long-range electrostatics."
    yield "No uncertainty is given. Far from the training data errors can be far larger than those above."


def _licence(card: Card) -> Part:
    items = []
    for origin in card.origins:
        licence = LICENCES.get(origin.licence)
        known = origin.licence if licence is None else f"{licence.title} ({licence.url}). {licence.terms}"
        items.append((f"weights, from {origin.name}", known))
    if not card.origins and (other := card.base or card.imported):
        items.append(("weights", f"that of {other}, which is not known here"))
    if not items:
        items.append(("weights", "set by whoever publishes them"))
    items.append(("training data", "not recorded in the file; that of the data sets named with each head"))
    return Part("Licence", items=tuple(items))


def _cite(card: Card) -> Part:
    items = [("architecture and training", PAPER)]
    items += [(origin.name, origin.reference) for origin in card.origins if origin.reference]
    theories = {head.theory.name: head.theory.reference for head in card.heads if head.theory.reference}
    items += [(f"theory {name}", reference) for name, reference in theories.items()]
    return Part("How to cite", items=tuple(items))


def _made(card: Card) -> Part:
    return Part("Versions", items=(("written", card.written), *card.versions.items()))
