"""Work done ahead of the step by threads. Decoding, resizing, encoding and packing release Python's lock, and threads share the
store of latents, the autoencoder and the accelerator that it may lie on, which processes would each need for themselves.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

WorkT = TypeVar("WorkT")
ResultT = TypeVar("ResultT")


def ahead(
    work: Iterable[WorkT], make: Callable[[WorkT], ResultT], workers: Executor | None, depth: int = 1
) -> Iterator[ResultT]:
    """What `make` makes of each piece of work, in order. With `workers`, up to `depth` pieces are begun before they are asked
    for; without, each when it is. A fault is raised where its result is asked for."""
    if workers is None:
        yield from map(make, work)
        return
    begun: deque[Future[ResultT]] = deque()
    try:
        for each in work:
            begun.append(workers.submit(make, each))
            if len(begun) > depth:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for each in begun:
            each.cancel()
