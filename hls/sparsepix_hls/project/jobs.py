"""A tool for each of some parts of a project, several at once."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from typing import TYPE_CHECKING, TypeVar

from sparsepix_ops.system.processes import ProcessGroup, process_pool
from sparsepix_ops.system.progress import step

if TYPE_CHECKING:
    from rich.console import Console

Result = TypeVar("Result")


def for_each(
    names: Sequence[str],
    job: Callable[[str, ProcessGroup], Result],
    doing: str,
    done: str = "",
    unit: str = "",
    console: "Console | None" = None,
) -> dict[str, Result]:
    """Do a job for each of some names, as many at once as there are processors.

    An exception of one ends the processes of all.

    Args:
        names: of the parts.
        job: what is done for a name; it runs its tools in the group.
        doing: what is shown while it runs.
        done: what was done then, for a line with the time.
        unit: of what is counted.
        console: where progress is shown.

    Returns:
        What came of each, in the order of the names.
    """
    found: dict[str, Result] = {}
    running: dict[str, None] = {}  # in the order in which they began

    def run(name: str) -> Result:
        running[name] = None
        return job(name, tools)

    with (
        process_pool(max(os.cpu_count() or 1, 1)) as (pool, tools),
        step(
            console,
            doing,
            done,
            unit=unit,
            look=lambda now: now.tell(", ".join(list(running)), len(found), len(names)),
        ),
    ):
        jobs = {pool.submit(run, name): name for name in names}
        for ended in as_completed(jobs):
            found[jobs[ended]] = ended.result()
            running.pop(jobs[ended])
    return {name: found[name] for name in names}
