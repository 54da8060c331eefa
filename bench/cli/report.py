"""``bench report``: what the entries say together."""

from dataclasses import asdict
from pathlib import Path

import click

from bench.cli.output import emit, line, show


@click.command()
@click.option(
    "--submissions",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path("submissions"),
    show_default=True,
    help="Folder of the entries.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(*, submissions: Path, as_json: bool) -> None:
    """Answer what the entries answer together: sweet spots, recipes against regimes, scenarios, transfer, norms.

    Every sentence is computed from the entries; a question that they do not answer is left out. The page Findings of
    the site says the same.
    """
    from bench.site.entries import read
    from bench.site.findings.questions import findings

    found = findings(read(submissions))
    if as_json:
        emit({"schema": "bench.report/1", "findings": [asdict(finding) for finding in found]})
        return
    if not found:
        line("No question is answered by the entries yet.")
    for finding in found:
        line(finding.question)
        for sentence in finding.says:
            line(f"  {sentence}")
        line("")
        show("", list(finding.header), [list(row) for row in finding.rows])
