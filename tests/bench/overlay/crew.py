"""Several at work at once, each in a process of its own, as tape engines' jobs are."""

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier, Semaphore
from time import perf_counter

Job = Callable[[], object]

_PATIENCE_S = 120.0


def together(jobs: Sequence[Job], beside: Sequence[Job] = ()) -> float:
    """Begin all of the jobs at once; return the seconds until the last of *jobs* is done.

    Those *beside* them begin at the same moment, are to go on for longer, and are killed then.
    Raises AssertionError when one fails. What a job changes in memory stays in its process.
    """
    # Forked, so that jobs may be closures, and so that none pays for a start of Python.
    context = multiprocessing.get_context("fork")
    begin = context.Barrier(len(jobs) + len(beside) + 1)
    done = context.Semaphore(0)
    left = context.Semaphore(0)
    children = [
        context.Process(target=_work, args=(job, begin, ended), daemon=True)
        for some, ended in ((jobs, done), (beside, left))
        for job in some
    ]
    try:
        for child in children:
            child.start()
        begin.wait(_PATIENCE_S)
        begun = perf_counter()
        finished = [done.acquire(timeout=_PATIENCE_S) for _ in jobs]
        took = perf_counter() - begun
        alone = left.acquire(block=False)
    finally:
        for child in children[len(jobs) :]:
            child.kill()
        for child in children:
            child.join(_PATIENCE_S)
    if not all(finished) or any(child.exitcode for child in children[: len(jobs)]):
        raise AssertionError("a job of several at once failed: see what it wrote above")
    if alone:
        raise AssertionError("what was to go on beside the work ended before it")
    return took


def _work(job: Job, begin: Barrier, ended: Semaphore) -> None:
    begin.wait(_PATIENCE_S)
    try:
        job()
    finally:
        ended.release()
