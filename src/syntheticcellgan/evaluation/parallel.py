"""Independent tasks on all cores: processes of one thread each, which small networks and image analysis use far better
than one process of many threads does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

R = TypeVar("R")


def results_of(tasks: Sequence[Callable[[], R]], workers: int = 1) -> Iterator[R]:
    """The tasks' results in their order, each as soon as it and those before it are there.

    With one worker, or one task, they are done in this process as the results are asked for.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        for task in tasks:
            yield task()
        return
    from joblib import Parallel, delayed, parallel_config

    with parallel_config("loky", n_jobs=workers, inner_max_num_threads=1):
        # Arrays travel with their task: kept as shared files they would pile up until the last one.
        yield from Parallel(return_as="generator", max_nbytes=None, batch_size=1)(delayed(task)() for task in tasks)
