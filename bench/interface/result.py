"""The result of an evaluation as Python code and notebooks look at it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.errors import UsageError
from bench.evaluation.record.summary import CAPTION, marks, rows
from bench.site import charts
from bench.site.figures import symbol
from bench.site.plots import curve_rows
from bench.site.render import LIGHT
from bench.submission import schema
from bench.submission.arrays import read_arrays
from bench.submission.compare import outcomes, read_run
from bench.submission.files import POINTS_FILE, RESULT_FILE, read_result
from bench.submission.points import read_points
from bench.submission.score import retention
from bench.submission.standing import best_known
from bench.threats import Norm, Scenario, norm_of


@dataclass(frozen=True)
class Result:
    """One finished evaluation: its folder and what is in it.

    Attributes:
        folder: with ``result.json``, ``points.npz`` and the witnesses.
        record: ``result.json``: counts, curves, scenarios, flags, sparsity, cost.
    """

    folder: Path
    record: schema.Result

    def __repr__(self) -> str:
        """Say the counts in one line."""
        points = self.record.data.points
        says = [f"clean {self.record.clean.correct}/{points}"]
        says += [f"{threat.norm} {threat.epsilon} {threat.best_known}/{points}" for threat in self.record.threats]
        return f"Result({str(self.folder)!r}{marks(self.record)}: {', '.join(says)})"

    def __str__(self) -> str:
        """Return the table."""
        return self.table()

    @classmethod
    def read(cls, folder: Path | str) -> "Result":
        """Read the folder of a finished run.

        Raises:
            SubmissionError: if it is none.
        """
        return cls(Path(folder), read_result(Path(folder) / RESULT_FILE))

    @cached_property
    def points(self) -> Mapping[str, NDArray[Any]]:
        """Per point: ``id``, ``label``, ``prediction``, ``distance_Linf``, ``broken_Linf_apgd-ce`` and so on."""
        return read_arrays(self.folder / POINTS_FILE)

    @property
    def clean(self) -> Fraction:
        """Share of points that are classified rightly without any attack."""
        return Fraction(self.record.clean.correct, self.record.data.points)

    def best_known(self, norm: str | Norm) -> Fraction:
        """Return the share of points without a verified witness within the radius, whoever found it: what ranks.

        Raises:
            UsageError: if the norm was not attacked.
        """
        return Fraction(self._threat(norm_of(norm)).best_known, self.record.data.points)

    def robust(self, norm: str | Norm) -> Fraction:
        """Return the share of points that survive every attack of a norm's own cascade, whatever others found.

        Raises:
            UsageError: if the norm was not attacked.
        """
        return Fraction(self._threat(norm_of(norm)).robust, self.record.data.points)

    def retention(self, norm: str | Norm) -> Fraction | None:
        """Return the points that stand, as best known, as a share of those of the dense parent.

        None where no run of the parent under this norm was at hand, or where the parent has no robust point.

        Raises:
            UsageError: if the norm was not attacked.
        """
        found, transfer = self._threat(norm_of(norm)), self.record.scenarios.get(Scenario.TRANSFER)
        if transfer is None or transfer.parent is None or found.norm not in transfer.parent:
            return None
        return retention(found.best_known, transfer.parent[found.norm])

    def standing(self, norm: str | Norm) -> NDArray[np.bool_]:
        """Tell which points no verified witness of a norm's threat model breaks, in the order of ``points["id"]``."""
        found = self._threat(norm_of(norm))
        return best_known(self.record, read_points(self.folder / POINTS_FILE))[found.norm].points

    @property
    def flags(self) -> tuple[schema.Flag, ...]:
        """What the reliability checks doubt."""
        return self.record.flags

    def table(self) -> str:
        """Return the row that the command line prints, with its columns and what it means."""
        columns, lines = rows([(self.folder.name, self.record)])
        widths = [max(map(len, column)) for column in zip(columns, *lines, strict=True)]
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in (columns, *lines)
        ]
        told = [f"Not a standard run: {deviation}." for deviation in self.record.deviations if self.record.preliminary]
        told += [f"{flag.check} ({flag.level.value}): {flag.says}" for flag in self.flags]
        return "\n".join([CAPTION, *text, *told])

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per threat model: counts of points, and what was pruned."""
        record, pruning = self.record, self.record.pruning
        return pd.DataFrame(
            [
                {
                    "entry": self.folder.name,
                    "protocol": record.protocol.name,
                    "norm": threat.norm.value,
                    "epsilon": threat.epsilon,
                    "points": record.data.points,
                    "correct": record.clean.correct,
                    "best_known": threat.best_known,
                    "robust": threat.robust,
                    "sparsity": pruning.zeros / pruning.prunable,
                    "nonzero": pruning.nonzero,
                    "macs": pruning.macs,
                    "forwards": sum(attack.forwards for attack in threat.attacks),
                    "backwards": sum(attack.backwards for attack in threat.attacks),
                    "standard": record.standard,
                }
                for threat in record.threats
            ]
        )

    def curve(self, norm: str | Norm | None = None, *others: "Result") -> alt.LayerChart:
        """Return a robustness curve as on the site, as a chart that a notebook shows.

        Args:
            norm: None takes the first one that was attacked.
            others: whose curves to draw beside it.

        Raises:
            UsageError: if there is no curve of this norm.
        """
        drawn = (threat.norm for threat in self.record.threats if threat.norm in self.record.curves)
        wanted = norm_of(norm) if norm else next(drawn, None)
        shown = (self, *others)
        for one in shown:
            if wanted is None or wanted not in one.record.curves:
                has = ", ".join(one.record.curves) or "none"
                raise UsageError(f"{one.folder.name} has no curve of {wanted or 'any norm'}; it has {has}.")
        assert wanted is not None
        lines = [row for one in shown for row in curve_rows(one.record, wanted, one.folder.name)]
        threats = (threat for one in shown for threat in one.record.threats if threat.norm == wanted)
        radii = dict.fromkeys(threat.epsilon for threat in threats)
        headline = [{"epsilon": float(Fraction(radius)), "says": radius} for radius in radii]
        return _filled(charts.curves(symbol(wanted)), {"curves": lines, "headline": headline})

    def compare(self, other: "Result") -> pd.DataFrame:
        """Compare with another result on the points that both have, as ``bench compare`` does.

        Returns:
            One row for clean images and one per threat model: shares of points that hold, in this one (``first``) and
            in the other; their difference with its 95 % interval; counts of points that hold in one alone; the p-value
            of the exact McNemar test and what it finds of the first; the share of the dense parent's points that the
            pruned network keeps, NaN where neither is the other's parent.

        Raises:
            InputError: if they share no point or no threat model, or differ in their data.
        """
        return pd.DataFrame(
            [
                {
                    "what": what,
                    "points": pair.total,
                    "first": (pair.both + pair.first) / pair.total,
                    "second": (pair.both + pair.second) / pair.total,
                    "difference": float(pair.difference),
                    "low": pair.interval.low,
                    "high": pair.interval.high,
                    "only_first": pair.first,
                    "only_second": pair.second,
                    "p": pair.p_value,
                    "verdict": pair.verdict,
                    "kept": np.nan if kept is None else float(kept),
                }
                for what, pair, kept in outcomes(read_run(self.folder), read_run(other.folder))
            ]
        )

    def _repr_html_(self) -> str:
        """Show the table in a notebook."""
        html: str = self.to_pandas().to_html(index=False)
        return html

    def _threat(self, norm: Norm) -> schema.ThreatRecord:
        found = self.record.threat(norm)
        if found is None:
            known = ", ".join(threat.norm for threat in self.record.threats)
            raise UsageError(f"{self.folder.name} was not attacked under {norm}; it was under {known}.")
        return found


def _filled(chart: Any, data: Mapping[str, list[dict[str, Any]]]) -> alt.LayerChart:
    """Put rows into the named data sets of a definition, and colours into the place of the pages' variables."""
    text = re.sub(r"var\((--[\w-]+)\)", lambda found: LIGHT[found[1]], json.dumps(chart.to_dict()))
    spec = json.loads(text)
    for layer in spec["layer"]:
        layer["data"]["values"] = data[layer["data"]["name"]]
    return alt.LayerChart.from_dict(spec)
