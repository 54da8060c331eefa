"""What can be told of a run before its first attack: why it would be no standard one."""

from bench.evaluation import environment
from bench.evaluation.conduct.parents import find_parent
from bench.evaluation.conduct.scenarios import NO_TRANSFER
from bench.evaluation.plan.plan import Plan
from bench.models.source import LoadedModel
from bench.threats import Scenario


def known_deviations(plan: Plan) -> list[str]:
    """Return why a run of this plan by this code cannot be submitted, as far as it needs no network to know."""
    return [*plan.deviations, *([environment.ALTERED] if environment.code_is_dirty() else [])]


def lacking_parent(plan: Plan, dense: LoadedModel | None) -> str | None:
    """Return why the transfer from the dense parent could not be measured; None where it can, or will be.

    Raises:
        InputError: if the folder that was named is not the parent's.
    """
    if dense is None or plan.request.parent_first or Scenario.TRANSFER not in plan.protocol.scenarios:
        return None
    parent, why = find_parent(plan, dense)
    return None if parent else f"{NO_TRANSFER}: {why}"
