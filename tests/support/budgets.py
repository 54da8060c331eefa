"""A preset that changes one norm alone, which no protocol that ships has to have."""

from bench.protocol.load import Preset, Protocol, Replacement
from bench.threats import Norm

_LIGHT = Preset(
    says="a look",
    threats=(Replacement(norm=Norm.L0, attacks=("sigma-zero",)),),
    settings={"sigma-zero": {"steps": 20, "grid": (1, 2), "eliminate": 1}},
)


def lighter(rules: Protocol) -> Protocol:
    """Return rules of the digits under other budgets for L0."""
    return rules.model_copy(update={"presets": {"light": _LIGHT}}).under("light")
