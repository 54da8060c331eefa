"""What can be told of a run before its first attack: why it would be no standard one."""

from bench.evaluation import environment
from bench.evaluation.conduct.parents import find_parent
from bench.evaluation.conduct.scenarios import NO_TRANSFER
from bench.evaluation.plan.plan import Plan
from bench.models.source import LoadedModel
from bench.threats import Scenario


def known_deviations(*plans: Plan) -> list[str]:
    """Return why runs of these plans by this code cannot be submitted, as far as it needs no network to know."""
    told = dict.fromkeys(reason for plan in plans for reason in plan.deviations)
    return [*told, *([environment.ALTERED] if environment.code_is_dirty() else [])]


def lacking_parent(plan: Plan, dense: LoadedModel | None) -> str | None:
    """Return why the transfer from the dense parent cannot be measured, or not whole; None where it can, or will be.

    Raises:
        InputError: if the folder that was named is not the parent's.
    """
    made_first = plan.request.parent_first and plan.request.parent_run is None
    if dense is None or made_first or Scenario.TRANSFER not in plan.protocol.scenarios:
        return None
    _, why = find_parent(plan, dense)
    return f"{NO_TRANSFER}: {why}" if why else None
