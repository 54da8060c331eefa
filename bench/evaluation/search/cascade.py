"""Runs the attacks of a threat model in order, each on the points that still stand."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.attacks.attack import Attack, Kind, Passes, Points, Round, Settings
from bench.attacks.draws import Draws
from bench.attacks.units import exponents, in_units, scaled
from bench.errors import BenchError, ContractError
from bench.evaluation.judge.pool import Pool
from bench.evaluation.judge.verify import verify
from bench.evaluation.search.journal import Entry
from bench.evaluation.search.meter import Meter
from bench.evaluation.search.recall import Recall, work
from bench.evaluation.search.step import Step
from bench.tensors import Classifier, Distances, Flags, Ids, Images, Labels, Logits
from bench.threats import Norm, ThreatModel

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
        recall: what was proposed before, and where to keep what is proposed; None keeps nothing.
        may_shrink: verdicts do not depend on the batch size.
        merging: alike rounds run side by side where a batch has room; given up when memory runs out.
        tried: per norm and attack, the points that it was tried on while they stood.
        units: of the logits of each point, as powers of two.
    """

    target: Target
    pool: Pool
    seed: int
    batch: int
    recall: Recall | None = None
    may_shrink: bool = True
    watch: Watch | None = None
    merging: bool = True
    tried: dict[tuple[Norm, str], Flags] = field(default_factory=dict)
    units: Tensor = field(init=False)

    def __post_init__(self) -> None:
        """Look once for points whose logits are unusual."""
        self.units = exponents(self.target.logits)

    def run(self, attack: Attack, threat: ThreatModel, settings: Settings) -> Tally:
        """Run all rounds of one attack on the points that stand.

        Raises:
            ContractError: if the attack breaks its contract; no number comes of such a run.
        """
        if threat.norm not in attack.norms:
            raise ContractError(f"{attack.name} does not know {threat.norm}.")
        step, tally = Step(attack, threat, settings), Tally(attack.name)
        rounds = attack.rounds(settings, threat, self.target.logits.shape[1])
        touched, stood = torch.zeros_like(self.pool.correct), self.pool.withstanding(threat.norm, float(threat.epsilon))
        done = 0
        while done < len(rounds):
            rows = self.pool.withstanding(threat.norm, rounds[done].radius).nonzero().flatten()
            touched[rows] = True
            if self.watch:
                standing = int(self.pool.withstanding(threat.norm, float(threat.epsilon)).sum())
                self.watch(str(threat), attack.name, done, len(rounds), standing)
            turns = rounds[done : done + self._abreast(attack, done, len(rows))]
            self._rounds(step, turns, rows, tally)
            done += len(turns)
        tally.attempted = int(touched.sum())
        self.tried[threat.norm, attack.name] = touched & stood
        return tally

    def _abreast(self, attack: Attack, done: int, points: int) -> int:
        """Return how many rounds to run side by side: as many as fill a batch.

        The first round runs alone, since it breaks most of the points that its attack breaks at all.
        """
        return max(1, self.batch // max(points, 1)) if attack.alike and done and self.merging else 1

    def _rounds(self, step: Step, turns: Sequence[Round], rows: Tensor, tally: Tally) -> None:
        """Take the proposals of some rounds from before where they are known, and make the others."""
        if self.recall is None:
            self._fresh(step, turns, rows, tally)
            return
        for part in self._batches(rows) if self.recall.whole else [rows]:
            depth = self._recalled(step, turns, part, tally)
            for done in sorted(set(depth) - {len(turns)}):
                left = part[[place for place, known in enumerate(depth) if known == done]]
                if done:
                    left = left[self.pool.withstanding(step.threat.norm, turns[done].radius)[left]]
                self._fresh(step, turns[done:], left, tally)

    def _recalled(self, step: Step, turns: Sequence[Round], rows: Tensor, tally: Tally) -> list[int]:
        """Judge what was proposed for these points before; return how many of the rounds that covers for each."""
        assert self.recall is not None
        names = self.recall.names(rows, self._seen(step, rows))
        known = self.recall.known(work(step), turns, names)
        depth = [len(keys) for keys in known]
        for index, turn in enumerate(turns):
            batches: dict[str, list[int]] = {}
            for place, keys in enumerate(known):
                if depth[place] > index:
                    batches.setdefault(keys[index], []).append(place)
            for key, places in batches.items():
                entry = self.recall.find(key)
                if entry is not None:
                    self._judge(step, [turn], rows[places], entry, tally)
                    continue
                for place in places:  # damaged: whatever it held is proposed again
                    depth[place] = index
        return depth

    def _seen(self, step: Step, rows: Tensor) -> Distances | None:
        """Return the known distances as far as an attack looks at them; None where it does not."""
        if step.attack.looks_up_to is None:
            return None
        known = self.pool.alone[step.threat.norm][rows]
        return known.masked_fill(known > step.attack.looks_up_to(step.settings), torch.inf)

    def _fresh(self, step: Step, turns: Sequence[Round], rows: Tensor, tally: Tally) -> None:
        waiting = self._batches(rows)
        while waiting:
            part = waiting.pop(0)
            seen = self._seen(step, part)
            try:
                entry = self._propose(step, turns, part, seen)
            except torch.OutOfMemoryError:
                if len(turns) > 1:
                    self.merging = False
                    for turn in turns:
                        left = part[self.pool.withstanding(step.threat.norm, turn.radius)[part]]
                        self._fresh(step, [turn], left, tally)
                    continue
                waiting = self._shrink(part, waiting)
                continue
            if self.recall is not None:
                self.recall.add(work(step), turns, self.recall.names(part, seen), entry)
            self._judge(step, turns, part, entry, tally)

    def _batches(self, rows: Tensor) -> list[Tensor]:
        """Split points into batches whose logits an attack sees in one unit; nearly always that is the unit of all."""
        units = self.units[rows]
        return [part for unit in units.unique() for part in rows[units == unit].split(self.batch)]

    def _propose(self, step: Step, turns: Sequence[Round], rows: Tensor, seen: Distances | None) -> Entry:
        many = rows.repeat(len(turns))
        indices = torch.tensor([turn.index for turn in turns], device=rows.device).repeat_interleave(len(rows))
        unit = int(self.units[rows[0]])
        points = Points(
            self.target.images[many],
            self.target.labels[many],
            self.target.ids[many],
            scaled(self.target.logits[many], unit),
            self.target.logits.new_full((len(many),), torch.inf) if seen is None else seen.repeat(len(turns)),
        )
        limit = sum((turn.passes for turn in turns), Passes(0, 0))
        budget = Passes(limit.forwards * len(rows), limit.backwards * len(rows))
        meter = Meter(self.target.classifier, self.target.logits.shape[1], budget)
        draws = Draws(self.seed, step.attack.name, turns[0].index if len(turns) == 1 else indices)
        try:
            candidates = step.attack.propose(in_units(meter, unit), points, step.threat, step.settings, draws)
        except BenchError:
            raise
        except Exception as error:
            if _memory_ran_out(error):
                raise torch.OutOfMemoryError(str(error)) from error
            raise ContractError(
                f"{step.attack.name} crashed under {step.threat}: {type(error).__name__}: {error}."
            ) from error
        candidates = candidates.detach()
        if candidates.shape != points.images.shape:
            raise ContractError(
                f"{step.attack.name} returned shape {tuple(candidates.shape)}; expected {tuple(points.images.shape)}."
            )
        moved = (candidates != points.images).flatten(1).any(dim=1)
        images = candidates[moved].contiguous().cpu().numpy()
        ids, numbers = points.ids[moved].cpu().numpy(), indices[moved].cpu().numpy()
        return Entry(ids, images, numbers, meter.forwards, meter.backwards)

    def _judge(self, step: Step, turns: Sequence[Round], rows: Tensor, entry: Entry, tally: Tally) -> None:
        """Judge round by round, so that rounds side by side give what they give one after another."""
        tally.forwards += entry.forwards
        tally.backwards += entry.backwards
        target = self.target
        place = {int(point): row for point, row in zip(target.ids[rows].tolist(), rows.tolist(), strict=True)}
        for turn in turns:
            standing = self.pool.withstanding(step.threat.norm, turn.radius)
            chosen = [
                index
                for index, (point, number) in enumerate(zip(entry.ids, entry.rounds, strict=True))
                if number == turn.index and int(point) in place and bool(standing[place[int(point)]])
            ]
            if not chosen:
                continue
            where = torch.tensor([place[int(entry.ids[index])] for index in chosen], device=rows.device)
            candidates = torch.from_numpy(entry.images[chosen]).to(target.images.device)
            verdict = verify(target.classifier, target.images[where], candidates, target.labels[where], step.threat)
            if step.attack.kind is Kind.FIXED_BUDGET:
                tally.rejected += int((verdict.fooled & ~verdict.inside).sum())
            self.pool.credit(where, candidates, verdict, attack=step.attack.name, threat=step.threat)

    def _shrink(self, part: Tensor, waiting: Sequence[Tensor]) -> list[Tensor]:
        if not self.may_shrink or len(part) == 1:
            raise BenchError(
                f"memory ran out with {len(part)} points in a batch; run again with a smaller --batch-size."
            ) from None
        self.batch = (len(part) + 1) // 2
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return self._batches(torch.cat([part, *waiting]))


def _memory_ran_out(error: Exception) -> bool:
    # on the CPU torch raises a plain RuntimeError that only its words tell apart
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )
