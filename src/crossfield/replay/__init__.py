"""Replay: what is kept of earlier data while new heads are learnt, so that nothing is forgotten.

`selection` chooses structures (`filters`, `drawing`, `farthest` and `descriptors` are its steps), `written`
keeps a selection as a file, and `labels` has them labelled by a head of the base model (`labelling`, `parts`
and `lock`), in a file (`artefact`) that knows what it was made from (`fingerprint`).
"""

from crossfield.replay.artefact import Labelled
from crossfield.replay.descriptors import describe
from crossfield.replay.fingerprint import Fingerprint
from crossfield.replay.labelling import Interrupted
from crossfield.replay.labels import pseudo_label, read_labels
from crossfield.replay.selection import Selection, SelectionConfig, SelectionRecord, select
from crossfield.replay.written import WrittenSelection, read_record, write_selection

__all__ = [
    "Fingerprint",
    "Interrupted",
    "Labelled",
    "Selection",
    "SelectionConfig",
    "SelectionRecord",
    "WrittenSelection",
    "describe",
    "pseudo_label",
    "read_labels",
    "read_record",
    "select",
    "write_selection",
]
