"""Repair, at open and when others took something away: observed against desired, by the diff that every change uses."""

from linkspan.engine.failures import explain
from linkspan.engine.ports import Kernel
from linkspan.model.errors import ConflictError, LinkspanError, UnservedError
from linkspan.model.problems import Problem
from linkspan.model.state import State
from linkspan.plan.objects import IptablesChain, NftChain, NftSet, NftTable, Service
from linkspan.plan.observation import Foreign
from linkspan.plan.operations import Operation, OperationFailedError, diff, undo
from linkspan.plan.topology import Planner

ESSENTIAL = (NftTable, NftSet, NftChain, IptablesChain)
"""Without these nothing is isolated: an engine that cannot make them does not open."""


async def heal(
    kernel: Kernel, planner: Planner, state: State, *, strict: bool
) -> tuple[tuple[Operation, ...], tuple[Problem, ...]]:
    """Make the kernel hold what `state` wants; returns what was repaired and what could not be.

    A refused operation does not keep the rest from working, unless it is essential. With `strict`, for a first
    opening, any refused one ends it, and nothing is left behind. Raises `ConflictError` before anything is touched when
    something foreign has the name of an object of ours.
    """
    desired = tuple(planner.whole(state))
    seen = await kernel.observe(desired)
    if seen.foreign:
        raise _in_the_way(seen.foreign[0])
    remaining = diff(seen.objects, desired)
    done: list[Operation] = []
    problems: list[Problem] = []
    while remaining:
        try:
            await kernel.apply(remaining)
            done += remaining
            break
        except OperationFailedError as error:
            if strict:
                await _take_back(kernel, error)
            explained = explain(error)
            if strict or isinstance(error.operation.object, ESSENTIAL):
                raise explained from error
            problems.append(_problem(error, explained))
            settled = {*error.applied, error.operation}
            done += error.applied
            remaining = tuple(operation for operation in remaining if operation not in settled)
        except UnservedError as error:  # nothing is left to do for the kernel
            if strict:
                await kernel.apply(undo(remaining), tolerant=True)
                raise
            problems.append(Problem("data plane", error.message, error.hint))
            done += remaining
            break
    # What the data plane serves begins anew with every process that serves by itself: that repairs nothing.
    return tuple(op for op in done if not isinstance(op.object, Service)), tuple(problems)


async def _take_back(kernel: Kernel, refused: OperationFailedError) -> None:
    try:
        await kernel.apply(undo(refused.applied), tolerant=True)
    except OperationFailedError as error:
        refused.add_note(f"undo is incomplete: {error.message}")


def _problem(error: OperationFailedError, explained: LinkspanError) -> Problem:
    return Problem(" ".join(error.operation.object.key), explained.message, explained.hint)


def _in_the_way(foreign: Foreign) -> ConflictError:
    owner = f"it carries {foreign.found!r}" if foreign.found else "it carries no mark of ours"
    return ConflictError(
        f"{foreign.kind} {foreign.name} exists and belongs to someone else ({owner})",
        field=foreign.kind,
        value=foreign.name,
        hint="another engine may be running here: stop it, or give this one another bridge name or namespace",
    )
