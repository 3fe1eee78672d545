"""One search in several processes: open cells are dealt out, the value of the best point is shared.

*Cover.* The parts of the open cells together are the open cells, so what each process proves about its part is together what one would
prove. A process closes cells by the best value found anywhere; the point itself comes back at the end. A part whose process fails
or does not answer stays open and goes back to the first process.
"""

from __future__ import annotations

import contextlib
import heapq
import multiprocessing
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from stackopt.exact.branching.search import Search
from stackopt.solution import Status

#: Cells examined in one process before the open ones are dealt out.
FIRST = 150
#: Seconds that a process gets, beyond the limit, to answer.
GRACE = 2.0


def explore_together(search: Search, processes: int) -> Status:
    """Run a search in `processes` processes, made by fork: the package, its solver and everything learnt so far are there at once.

    Where the system has no fork, one process is used.
    """
    if processes < 2 or os.name != "posix":
        return search.run()
    search.begin()
    search.explore(FIRST)
    if not search.heap or search.remaining() <= 0:
        return search.verdict()
    context: Any = multiprocessing.get_context("fork")
    search.elsewhere = context.Value("d", search.incumbent.value)
    cells = [heapq.heappop(search.heap) for _ in range(len(search.heap))]  # by bound: each process gets good and bad ones
    parts = [cells[i::processes] for i in range(processes)]
    with _workers(context, search, parts[1:]) as answers:
        search.heap = parts[0]
        heapq.heapify(search.heap)
        search.explore()
        for part, connection in zip(parts[1:], answers):
            answer = None
            with contextlib.suppress(EOFError, OSError):
                if connection.poll(max(search.remaining(), 0.0) + GRACE):
                    answer = connection.recv()
            if answer is None:
                search.heap += part
                continue
            search.merge(answer)
    heapq.heapify(search.heap)
    search.explore()
    return search.verdict()


@contextlib.contextmanager
def _workers(context: Any, search: Search, parts: list[Any]) -> Iterator[list[Any]]:
    """One process per part, ended when the block is left, however it is left."""
    started, ends = [], []
    try:
        for i, part in enumerate(parts):
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(there, search, part, i + 1), daemon=True)
            process.start()
            there.close()
            started.append(process)
            ends.append(here)
        yield ends
    finally:
        for process in started:
            process.terminate()
            process.join()


def _work(connection: Any, search: Search, part: list[Any], number: int) -> None:
    """Explore a part, in a process of its own, and send what came of it."""
    search.report = None
    search.heap = part
    heapq.heapify(search.heap)
    search.nodes, search.unresolved, search.proved = 0, 0, np.inf
    search.reseed(number)
    search.explore()
    still = min((cell.bound for _, _, cell in search.heap), default=np.inf)
    connection.send((search.incumbent.w, search.proved, still, len(search.heap), search.nodes, search.unresolved))
    connection.close()
