"""Figures quoted from papers: strings as written, with their source and every doubt in words."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from bench.errors import SubmissionError
from bench.submission.fields import Frozen, Https, Line, Positive, Sentence, Slug, Words
from bench.submission.files import read_toml
from bench.threats import Norm

FOLDER = "literature"
"""Beside the protocols' folders in ``submissions``; it holds one file per source."""

Figure = Annotated[str, StringConstraints(pattern=r"^(100(\.0+)?|[0-9]{1,2}(\.[0-9]{1,6})?)$")]
"""A percentage as the source writes it, digits and all."""
Radius = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}(\.[0-9]{1,9})?(/[0-9]{1,6})?$")]
"""A radius as the source writes it; 0.031 and 8/255 are two radii."""
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]


class Provenance(Frozen):
    """Where the figures were read."""

    paper: Line
    authors: Annotated[tuple[Line, ...], Field(min_length=1, max_length=50)]
    address: Https
    """Of the paper."""
    repository: Https | None = None
    commit: Commit | None = None
    """Of the repository, as it was read."""
    read: Words
    """What was read: which table of which file or page."""
    date: date
    """When it was read."""


class Claim(Frozen):
    """One network as its source describes it; nothing here was measured."""

    method: Line
    architecture: Line
    structure: Literal["unstructured", "structured"]
    sparsity: Figure
    """Declared."""
    clean: Figure
    robust: Figure


class Setting(Frozen):
    """What a group of claims has in common."""

    data: Slug
    """The data set, by the name it has in a protocol."""
    points: Positive
    norm: Norm
    epsilon: Radius
    attack: Line
    claims: Annotated[tuple[Claim, ...], Field(min_length=1, max_length=1000)]

    def key(self, claim: Claim) -> str:
        """Return the name of a claim that links and saved views rely on."""
        parts = (self.data, self.norm, self.epsilon, self.attack, claim.architecture, claim.structure, claim.method)
        return re.sub(r"[^a-z0-9.]+", "-", "-".join((*parts, claim.sparsity)).lower())


class Literature(Frozen):
    """``submissions/literature/<id>.toml``: the figures of one source."""

    schema_: Annotated[Literal["bench.literature/1"], Field(alias="schema")]
    id: Slug
    """Equals the name of the file."""
    title: Line
    source: Provenance
    doubts: Annotated[tuple[Sentence, ...], Field(min_length=1, max_length=50)]
    """What a reader must know before comparing these figures with measured ones."""
    settings: Annotated[tuple[Setting, ...], Field(min_length=1, max_length=100)]

    @field_validator("doubts")
    @classmethod
    def _say_something(cls, doubts: tuple[str, ...]) -> tuple[str, ...]:
        if not all(doubt.strip() for doubt in doubts):
            raise ValueError("every doubt is a sentence")
        return doubts

    @property
    def claims(self) -> list[tuple[Setting, Claim]]:
        """All claims with their settings, in the order of the file."""
        return [(setting, claim) for setting in self.settings for claim in setting.claims]


def examine_literature(path: Path) -> tuple[Literature | None, list[str]]:
    """Return what a file of quoted figures holds, and every problem of it."""
    try:
        found = read_toml(Literature, path)
    except SubmissionError as error:
        return None, [str(error)]
    return found, list(_problems(found, path))


def _problems(found: Literature, path: Path) -> Iterator[str]:
    if path.name != f"{found.id}.toml":
        yield f"{path.name}: id is {found.id!r}, expected the name of the file without its ending."
    if (found.source.repository is None) != (found.source.commit is None):
        yield f"{path.name}: source.repository and source.commit belong together; give both or neither."
    for key, times in Counter(setting.key(claim) for setting, claim in found.claims).items():
        if times > 1:
            yield f"{path.name}: {times} claims are named {key!r}; a source has one figure for one network."
    for setting, claim in found.claims:
        if Decimal(claim.robust) > Decimal(claim.clean):
            yield (
                f"{path.name}: {setting.key(claim)!r} is robust on {claim.robust} % and right on {claim.clean} %; "
                "robust accuracy is never above clean accuracy."
            )
