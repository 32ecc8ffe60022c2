"""Results of other models that their authors, or others, have published, with where each number stands."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

Text = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Origin(_Strict):
    """Where numbers stand.

    Attributes:
        cite: authors, title or journal, year.
        place: table, figure or file in it.
        url: of it.
    """

    cite: Text
    place: Text
    url: Annotated[str, Field(pattern=r"^https://[^\s/]+/\S+$")]


class PublishedResult(_Strict):
    """A number that one model reached in one metric.

    Attributes:
        model: what the source calls it.
        benchmark: name of one, or "global" of the score; not checked here, since the catalogue imports
            every set.
        metric: of the benchmark, as far as it has such a one.
        value: in `unit`.
        unit: "" where there is none.
        conditions: which part of the set, with what settings.
        differs: in what this is not what the benchmark does here.
        origin: where the number stands.
    """

    model: Text
    benchmark: Text
    metric: Text
    value: FiniteFloat
    unit: str
    conditions: Text
    differs: str
    origin: Origin


class _Table(_Strict):
    """Numbers of several models under the same conditions; fields: see `PublishedResult`."""

    benchmark: Text
    metric: Text
    unit: str
    source: Text
    conditions: Text
    differs: str
    values: Annotated[dict[Text, FiniteFloat], Field(min_length=1)]


class _File(_Strict):
    sources: dict[Text, Origin]
    tables: list[_Table]

    @model_validator(mode="after")
    def _sources_are_named(self) -> Self:
        used = {table.source for table in self.tables}
        if unknown := used - self.sources.keys():
            raise ValueError(f"no such source: {', '.join(sorted(unknown))}")
        if idle := self.sources.keys() - used:
            raise ValueError(f"source of no table: {', '.join(sorted(idle))}")
        return self


def read_published(content: Any) -> dict[str, tuple[PublishedResult, ...]]:
    """Results by benchmark, in the order of the file.

    Args:
        content: of a file like published.yaml, as YAML gives it.

    Raises:
        ValueError: unknown source, a number that is not finite, a source without a citation, or
            the same model twice with the same metric and source.
    """
    file = _File.model_validate(content)
    found: dict[str, list[PublishedResult]] = {}
    seen: set[tuple[str, ...]] = set()
    for table in file.tables:
        for model, value in table.values.items():
            key = (table.benchmark, table.metric, model, table.source)
            if key in seen:
                raise ValueError(f"twice: {', '.join(key)}")
            seen.add(key)
            found.setdefault(table.benchmark, []).append(
                PublishedResult(
                    model=model,
                    value=value,
                    origin=file.sources[table.source],
                    **table.model_dump(exclude={"values", "source"}),
                )
            )
    return {benchmark: tuple(results) for benchmark, results in found.items()}


@cache
def published_results() -> Mapping[str, tuple[PublishedResult, ...]]:
    """All published results, by benchmark; benchmarks without any are not in it."""
    text = resources.files("crossfield.bench.domain").joinpath("published.yaml").read_text("utf-8")
    return read_published(yaml.safe_load(text))
