"""What a verifier found of an entry, as the record that is signed: which points stand, and where that differs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.atomic import write_atomic
from bench.errors import SubmissionError
from bench.submission.check import Folder
from bench.submission.files import RESULT_FILE, VERIFICATION_FILE, dump, sha256
from bench.submission.points import Bits, PointTable
from bench.submission.schema import ProtocolStamp, Result, ThreatRecord, VerificationLevel
from bench.submission.standing import best_known
from bench.submission.verification import AgainRecord, Verification, verdicts, verification_problems
from bench.submission.verifiers import holder, sign
from bench.threats import Norm


@dataclass(frozen=True, slots=True)
class Again:
    """What stands of an entry after somebody else has looked at it.

    Attributes:
        correct: points that are classified right when nobody attacks.
        environment: of whoever looked.
    """

    entry: Folder
    threats: tuple[AgainRecord, ...]
    correct: int
    environment: dict[str, str]

    @classmethod
    def of(cls, entry: Folder, result: Result, points: PointTable, fallen: Mapping[Norm, Collection[int]]) -> "Again":
        """Return what another run of the same cell leaves standing, less the points that fell elsewhere.

        Raises:
            SubmissionError: if it is a run of other points or threat models.
        """
        wanted = [(threat.norm, threat.epsilon) for threat in entry.result.threats]
        same = np.array_equal(np.sort(points.id), np.sort(entry.points.id))
        if [(threat.norm, threat.epsilon) for threat in result.threats] != wanted or not same:
            raise SubmissionError(
                f"the other run is one of other points or threat models than {entry.submission.id!r} has; measure it "
                "again."
            )
        rows = points.id.argsort()
        found = {norm: standing.points[rows] for norm, standing in best_known(result, points).items()}
        found = _less(found, points.id[rows], fallen)
        return cls(entry, _records(entry, found), result.clean.correct, dict(result.environment))

    @classmethod
    def without(
        cls, entry: Folder, fallen: Mapping[Norm, Collection[int]], correct: int, environment: dict[str, str]
    ) -> "Again":
        """Return what is left of the entry's own points once those that fell are taken away."""
        found = _less(_stands(entry), np.sort(entry.points.id), fallen)
        return cls(entry, _records(entry, found), correct, environment)

    def signed(self, place: Path, level: VerificationLevel, key: Path, day: date, says: str = "") -> Verification:
        """Return the verification of the entry at ``place``, signed by the verifier whose key this is.

        Raises:
            InputError: if the key is no listed verifier's.
            SubmissionError: if it would not count, as for an entry of the verifier's own.
        """
        submission, result = self.entry.submission, self.entry.result
        digest = sha256((place / RESULT_FILE).read_bytes())
        found = sign(
            Verification(
                schema_="bench.verification/2",
                by=holder(key, day).name,
                date=day,
                entry=submission.id,
                level=level,
                result_sha256=digest,
                weights_sha256=result.model.weights_sha256,
                protocol=ProtocolStamp(name=result.protocol.name, digest=result.protocol.digest),
                points=result.data.points,
                correct=self.correct,
                threats=self.threats,
                environment=self.environment,
                says=says,
            ),
            key,
        )
        wrong = list(verification_problems(found, submission, result, self.entry.points, digest))
        if wrong:
            raise SubmissionError("\n".join(["nothing is signed, for it would not count:", *wrong]))
        return found


def lay(place: Path, found: Verification) -> Path:
    """Write a verification into the folder of its entry, in place of an older one."""
    path = place / VERIFICATION_FILE
    write_atomic(path, dump(found))
    return path


def _less(
    found: Mapping[Norm, Bits], ids: NDArray[np.int64], fallen: Mapping[Norm, Collection[int]]
) -> dict[Norm, Bits]:
    return {norm: stands & ~np.isin(ids, list(fallen.get(norm, ()))) for norm, stands in found.items()}


def _stands(entry: Folder) -> dict[Norm, Bits]:
    rows = entry.points.id.argsort()
    return {norm: found.points[rows] for norm, found in best_known(entry.result, entry.points).items()}


def _records(entry: Folder, found: Mapping[Norm, Bits]) -> tuple[AgainRecord, ...]:
    ids, before = np.sort(entry.points.id), _stands(entry)

    def record(threat: ThreatRecord) -> AgainRecord:
        stood, stands = before[threat.norm], found[threat.norm]
        return AgainRecord(
            norm=threat.norm,
            epsilon=threat.epsilon,
            best_known=int(stands.sum()),
            verdicts_sha256=verdicts(stands),
            fallen=tuple(ids[stood & ~stands].tolist()),
            stood=tuple(ids[stands & ~stood].tolist()),
        )

    return tuple(record(threat) for threat in entry.result.threats)
