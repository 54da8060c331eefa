"""All questions, in the order of the page."""

from bench.site.entries import Catalogue
from bench.site.findings.adversaries import norms, presets, scenarios, transfer, unresolved
from bench.site.findings.compression import parents, recipe_or_regime, regimes, sweet_spots
from bench.site.findings.finding import Finding

_QUESTIONS = (sweet_spots, parents, recipe_or_regime, regimes, scenarios, transfer, norms, unresolved, presets)


def findings(catalogue: Catalogue) -> list[Finding]:
    """Return the questions that the entries answer; one without evidence is left out."""
    found = (ask(catalogue) for ask in _QUESTIONS)
    return [finding for finding in found if finding is not None]
