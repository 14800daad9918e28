"""A tool for each of some parts of a project, several at once."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sparsepix_ops.system.processes import ProcessGroup, process_pool

Result = TypeVar("Result")


def for_each(
    names: Sequence[str], job: Callable[[str, ProcessGroup], Result], doing: str, console: Console | None = None
) -> dict[str, Result]:
    """Do a job for each of some names, as many at once as there are processors.

    An exception of one ends the processes of all.

    Args:
        names: of the parts.
        job: what is done for a name; it runs its tools in the group.
        doing: what is shown while it runs.
        console: where progress is shown.

    Returns:
        What came of each, in the order of the names.
    """
    found: dict[str, Result] = {}
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        process_pool(max(os.cpu_count() or 1, 1)) as (pool, tools),
        Progress(*columns, console=console, disable=console is None, transient=True) as progress,
    ):
        task = progress.add_task("", total=len(names))
        jobs = {pool.submit(job, name, tools): name for name in names}
        for done in as_completed(jobs):
            found[jobs[done]] = done.result()
            progress.advance(task)
    return {name: found[name] for name in names}
