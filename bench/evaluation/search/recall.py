"""Finds what was proposed for a point before, whoever else was in its batch then."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from bench.attacks.attack import Round
from bench.evaluation.search.journal import Batch, Entry, Journal
from bench.evaluation.search.step import Step
from bench.tensors import Distances, Ids, Images, Labels


def work(step: Step) -> str:
    """Return a name for an attack with its settings under a threat model."""
    spelled = json.dumps(dict(step.settings), sort_keys=True, default=list)
    return f"{step.threat}/{step.attack.name}/{hashlib.sha256(spelled.encode()).hexdigest()[:16]}"


@dataclass(slots=True)
class Recall:
    """A journal, asked point by point.

    What an attack proposes for a point hangs on that point alone, so it may be found again in another batch: among
    more points, after other attacks, or in another scenario.

    Attributes:
        whole: batches are found as they were only, for attacks whose proposals hang on their company.
    """

    journal: Journal
    images: Images
    labels: Labels
    ids: Ids
    whole: bool = False
    _marks: list[str] = field(default_factory=list)

    def names(self, rows: Tensor, seen: Distances | None) -> list[str]:
        """Return a name for each point, which tells all that an attack sees of it.

        Args:
            rows: positions of the points.
            seen: the known distance of each, as far as the attack looks at it.
        """
        if not self._marks:
            pixels = self.images.cpu().contiguous().numpy()
            numbers = np.stack([self.ids.cpu().numpy(), self.labels.cpu().numpy()], axis=1)
            self._marks = [
                _mark(point.tobytes(), image.tobytes()) for point, image in zip(numbers, pixels, strict=True)
            ]
        marks = [self._marks[row] for row in rows.tolist()]
        if seen is None:
            return marks
        return [_mark(mark.encode(), repr(size).encode()) for mark, size in zip(marks, seen.tolist(), strict=True)]

    def known(self, task: str, turns: Sequence[Round], names: Sequence[str]) -> list[list[str]]:
        """Return for each point the batches of the first of these rounds, as far as it went through them before."""
        if self.whole:
            key = Batch(task, _numbers(turns), tuple(names)).key
            where: Sequence[Mapping[str, str]] = [
                {name: key for name, found in self.journal.where(task, turn.index).items() if found == key}
                for turn in turns
            ]
        else:
            where = [self.journal.where(task, turn.index) for turn in turns]
        found: list[list[str]] = []
        for name in names:
            keys: list[str] = []
            for places in where:
                if name not in places:
                    break
                keys.append(places[name])
            found.append(keys)
        return found

    def find(self, key: str) -> Entry | None:
        """Return a finished batch, if it is whole."""
        return self.journal.find(key)

    def add(self, task: str, turns: Sequence[Round], names: Sequence[str], entry: Entry) -> None:
        """Record a finished batch."""
        self.journal.add(Batch(task, _numbers(turns), tuple(names)), entry)


def _numbers(turns: Sequence[Round]) -> tuple[int, ...]:
    return tuple(turn.index for turn in turns)


def _mark(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:16]
