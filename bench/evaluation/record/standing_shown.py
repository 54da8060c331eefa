"""Where a sweep stands, for people and for programs: a table, a document, a page that needs nothing beside it."""

from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

from bench.evaluation.record.standing import CellStatus, Standing, SweepStatus
from bench.text import printable

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ done }} of {{ cells|length }} cells</title>
<style>
  :root { color-scheme: light dark }
  body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
  .scroll { overflow-x: auto }
  table { border-collapse: collapse; width: 100% }
  caption { text-align: left }
  th, td { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top }
  td.figure, th.figure { text-align: right; font-variant-numeric: tabular-nums }
  tr + tr { border-top: 1px solid #8884 }
  progress { width: 100% }
</style>
<h1>{{ protocol }}: {{ done }} of {{ cells|length }} cells</h1>
<progress value="{{ done }}" max="{{ cells|length }}">{{ done }} of {{ cells|length }}</progress>
{% for line in words %}<p>{{ line }}</p>
{% endfor %}<div class="scroll" role="region" aria-label="Cells" tabindex="0"><table>
<thead><tr>{% for column in columns %}<th scope="col"{% if loop.index0 in figures %} class="figure"{% endif %}>\
{{ column }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in cells %}<tr>{% for cell in row %}<td{% if loop.index0 in figures %} class="figure"{% endif %}>{{ cell }}\
</td>{% endfor %}</tr>
{% endfor %}</tbody>
</table></div>
</html>
"""
_COLUMNS = ["cell", "state", "batches", "seconds", "robust", "says"]
_FIGURES = (2, 3)


def lines(found: SweepStatus) -> tuple[list[str], list[list[str]]]:
    """Return columns and one line for each cell."""
    return _COLUMNS, [
        [
            one.cell.name,
            one.state.value,
            f"{one.batches:,}" if one.batches else "–",
            f"{one.took:,.1f}" if one.took is not None else "–",
            _robust(one),
            one.says or "–",
        ]
        for one in found.cells
    ]


def words(found: SweepStatus) -> list[str]:
    """Return what the table does not say."""
    counts = [(found.count(state), state.value) for state in Standing]
    says = [f"{', '.join(f'{many} {name}' for many, name in counts if many)}, of {len(found.cells)} cells."]
    says.append(f"Carried out by {found.holder}." if found.holder else "Nobody carries it out now.")
    if found.seconds_left:
        says.append(f"What is left takes one worker about {found.seconds_left:,.0f} s, at the mean of what was done.")
    if found.damaged:
        says.append(
            f"{found.damaged} lines of its record are damaged and left out; results stand in their own folders."
        )
    return says


def document(found: SweepStatus) -> dict[str, Any]:
    """Return where a sweep stands as one JSON document."""
    return {
        "schema": "bench.sweep-status/1",
        "protocol": found.record.protocol,
        "preset": found.record.preset,
        "shard": found.record.shard and list(found.record.shard),
        "holder": found.holder,
        "damaged": found.damaged,
        "cells": [
            {
                "entry": one.cell.name,
                "parent": one.cell.parent,
                "state": one.state.value,
                "batches": one.batches,
                "seconds": one.took,
                "says": one.says,
            }
            for one in found.cells
        ],
    }


def rendered(found: SweepStatus) -> str:
    """Return a page with the same table; whatever a name holds, it is text."""
    pages = Environment(loader=DictLoader({"page": _PAGE}), autoescape=True, undefined=StrictUndefined)
    columns, rows = lines(found)
    return pages.get_template("page").render(
        protocol=found.record.protocol,
        done=found.count(Standing.DONE),
        columns=columns,
        figures=_FIGURES,
        cells=[[printable(cell) for cell in row] for row in rows],
        words=[printable(line) for line in words(found)],
    )


def _robust(one: CellStatus) -> str:
    if one.result is None:
        return "–"
    return ", ".join(f"{threat.norm} {threat.robust}/{one.cell.points}" for threat in one.result.threats)
