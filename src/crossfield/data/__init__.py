"""Labelled structures: sources, checks, splits, reference energies, batches.

`source` says what to read, `read` reads it (`textfile`, `extxyz`, `labels`, `geometry` and `consistency`
are its steps), `split` sets whole groups aside, `reference` and `statistics` give E0 and the scale of a
head, `batch` makes what the training loop consumes.
"""
