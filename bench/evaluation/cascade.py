"""Runs the attacks of a threat model in order, each on the points that still stand."""

import gc
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.attacks.attack import Attack, Kind, Passes, Points, Round, Settings
from bench.attacks.draws import Draws
from bench.errors import BenchError, ContractError
from bench.evaluation.journal import Entry, Journal
from bench.evaluation.meter import Meter
from bench.evaluation.pool import Pool
from bench.evaluation.verify import verify
from bench.tensors import Classifier, Ids, Images, Labels, Logits
from bench.threats import Scenario, ThreatModel

Watch = Callable[[str, str, int, int, int], None]
"""(threat model, attack, rounds finished, rounds in all, points standing): what a progress bar shows."""


@dataclass(frozen=True, slots=True)
class Target:
    """A model and the points it is attacked on.

    Attributes:
        logits: of the clean images.
    """

    classifier: Classifier
    images: Images
    labels: Labels
    ids: Ids
    logits: Logits


@dataclass(slots=True)
class Tally:
    """What one attack did and spent."""

    attack: str
    attempted: int = 0
    rejected: int = 0
    forwards: int = 0
    backwards: int = 0


@dataclass(slots=True)
class Cascade:
    """Drives attacks and keeps their witnesses.

    Attributes:
        batch: points per call of an attack; halved when memory runs out, if ``may_shrink``.
        may_shrink: verdicts do not depend on the batch size.
        label: sets the journal's entries of one scenario apart from another's.
    """

    target: Target
    pool: Pool
    seed: int
    batch: int
    journal: Journal | None = None
    may_shrink: bool = True
    watch: Watch | None = None
    label: str = str(Scenario.WHITE_BOX)

    def run(self, attack: Attack, threat: ThreatModel, settings: Settings) -> Tally:
        """Run all rounds of one attack on the points that stand.

        Raises:
            ContractError: if the attack breaks its contract; no number comes of such a run.
        """
        if threat.norm not in attack.norms:
            raise ContractError(f"{attack.name} does not know {threat.norm}.")
        tally = Tally(attack.name)
        rounds = attack.rounds(settings, threat, self.target.logits.shape[1])
        touched = torch.zeros_like(self.pool.correct)
        for done, turn in enumerate(rounds):
            rows = self.pool.standing(threat.norm, turn.radius).nonzero().flatten()
            touched[rows] = True
            if self.watch:
                standing = int(self.pool.standing(threat.norm, float(threat.epsilon)).sum())
                self.watch(str(threat), attack.name, done, len(rounds), standing)
            self._round(attack, threat, settings, turn, rows, tally)
        tally.attempted = int(touched.sum())
        return tally

    def _round(
        self, attack: Attack, threat: ThreatModel, settings: Settings, turn: Round, rows: Tensor, tally: Tally
    ) -> None:
        waiting = list(rows.split(self.batch)) if len(rows) else []
        while waiting:
            part = waiting.pop(0)
            key = f"{self.label}/{threat}/{attack.name}/{turn.index}/{_name(self.target.ids[part])}"
            entry = self.journal.find(key) if self.journal is not None else None
            if entry is None:
                try:
                    entry = self._propose(attack, threat, settings, turn, part)
                except torch.OutOfMemoryError:
                    waiting = self._shrink(part, waiting)
                    continue
                if self.journal is not None:
                    self.journal.add(key, entry)
            self._judge(attack, threat, part, entry, tally)

    def _propose(self, attack: Attack, threat: ThreatModel, settings: Settings, turn: Round, rows: Tensor) -> Entry:
        points = Points(
            self.target.images[rows],
            self.target.labels[rows],
            self.target.ids[rows],
            self.target.logits[rows],
            self.pool.distance[threat.norm][rows],
        )
        limit = Passes(turn.passes.forwards * len(rows), turn.passes.backwards * len(rows))
        meter = Meter(self.target.classifier, limit)
        try:
            candidates = attack.propose(meter, points, threat, settings, Draws(self.seed, attack.name, turn.index))
        except BenchError:
            raise
        except Exception as error:
            if _memory_ran_out(error):
                raise torch.OutOfMemoryError(str(error)) from error
            raise ContractError(f"{attack.name} crashed under {threat}: {type(error).__name__}: {error}.") from error
        candidates = candidates.detach()
        if candidates.shape != points.images.shape:
            raise ContractError(
                f"{attack.name} returned shape {tuple(candidates.shape)}; expected {tuple(points.images.shape)}."
            )
        moved = (candidates != points.images).flatten(1).any(dim=1)
        images = candidates[moved].contiguous().cpu().numpy()
        return Entry(points.ids[moved].cpu().numpy(), images, meter.forwards, meter.backwards)

    def _judge(self, attack: Attack, threat: ThreatModel, rows: Tensor, entry: Entry, tally: Tally) -> None:
        tally.forwards += entry.forwards
        tally.backwards += entry.backwards
        if not len(entry.ids):
            return
        place = {int(point): row for point, row in zip(self.target.ids[rows].tolist(), rows.tolist(), strict=True)}
        where = torch.tensor([place[int(point)] for point in entry.ids], device=rows.device)
        target = self.target
        candidates = torch.from_numpy(np.ascontiguousarray(entry.images)).to(target.images.device)
        verdict = verify(target.classifier, target.images[where], candidates, target.labels[where], threat)
        if attack.kind is Kind.FIXED_BUDGET:
            tally.rejected += int((verdict.fooled & ~verdict.inside).sum())
        self.pool.absorb(where, candidates, verdict, attack=attack.name, norm=threat.norm)

    def _shrink(self, part: Tensor, waiting: Sequence[Tensor]) -> list[Tensor]:
        if not self.may_shrink or len(part) == 1:
            raise BenchError(
                f"memory ran out with {len(part)} points in a batch; run again with a smaller --batch-size."
            ) from None
        self.batch = (len(part) + 1) // 2
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return list(torch.cat([part, *waiting]).split(self.batch))


def _name(ids: Ids) -> str:
    return hashlib.sha256(ids.cpu().numpy().tobytes()).hexdigest()[:16]


def _memory_ran_out(error: Exception) -> bool:
    # on the CPU torch raises a plain RuntimeError that only its words tell apart
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )
