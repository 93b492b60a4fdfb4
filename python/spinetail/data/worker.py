"""Threads that prepare batches while the loop computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Condition, Thread, current_thread
from time import monotonic
from typing import Any
from weakref import finalize

from ..functional import generator as random
from .info import WorkerInfo, here
from .progress import Progress


class Failure:
    """An exception on its way from a worker to the loop."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def throw(self) -> None:
        """Raise the exception, with the worker's traceback."""
        error, self.error = self.error, None  # type: ignore[assignment]
        try:
            raise error
        finally:
            del error  # else the frame and the traceback keep each other alive


class Exhausted:
    """Says that a worker has come to the end of its stream."""


class Crew:
    """What the workers and the loop share; it does not know the loop's iterator, so that one can be freed."""

    def __init__(self, count: int, streaming: bool) -> None:
        shared: SimpleQueue[Any] = SimpleQueue()
        self.tasks = [SimpleQueue() if streaming else shared for _ in range(count)]
        self.results: dict[int, tuple[int, Any]] = {}  # task number -> (worker, batch)
        self.ready = Condition()
        self.epoch = 0
        self.seed = 0  # of the pass
        self.closed = False
        self.threads: list[Thread] = []

    def put(self, epoch: int, number: int, worker: int, result: Any) -> None:
        """Deliver a result, unless nobody waits for it any more."""
        with self.ready:
            if epoch == self.epoch and not self.closed:
                self.results[number] = (worker, result)
                self.ready.notify_all()

    def close(self, wait: float | None = None) -> None:
        """Send the workers home, and wait for them for at most `wait` seconds (None: without end)."""
        with self.ready:
            self.closed = True
            self.results.clear()
            self.ready.notify_all()
        for tasks in self.tasks:
            tasks.put(None)
        if wait == 0:
            return
        for thread in self.threads:
            if thread is not current_thread():
                thread.join(wait)


def work(
    crew: Crew,
    info: WorkerInfo,
    fetch: Callable[..., Any],
    init: Callable[..., Any] | None,
    open_stream: Callable[..., Any] | None,
) -> None:
    """The life of a worker: take a task, prepare its batch, deliver it."""
    here.info = info
    random.here.generator = random.Generator().manual_seed(info.seed)
    tasks = crew.tasks[info.id]
    failure = None
    stream, streamed = None, -1
    try:
        if init is not None:
            init(info.id)
    except BaseException as error:
        failure = Failure(_noted(error, info))
    while True:
        task = tasks.get()
        if task is None or crew.closed:
            return
        epoch, number, indices = task
        if epoch != crew.epoch:
            continue
        if failure is not None:
            crew.put(epoch, number, info.id, failure)
            continue
        random.here.generator.manual_seed(crew.seed + (number + 1) * 0xD1342543DE82EF95)
        try:
            if open_stream is None:
                result = fetch(indices)
            else:
                if streamed != epoch:
                    stream, streamed = open_stream(), epoch
                result = next(stream, Exhausted)
        except BaseException as error:
            result = Failure(_noted(error, info))
        crew.put(epoch, number, info.id, result)
        del task, indices, result


def _noted(error: BaseException, info: WorkerInfo) -> BaseException:
    if isinstance(error, StopIteration):  # would end the loop in silence
        failed = RuntimeError("the dataset raised StopIteration")
        failed.__cause__ = error
        error = failed
    error.add_note(f"(raised in worker thread {info.id} of {info.num_workers} of a DataLoader)")
    return error


class ThreadedIterator:
    """One pass, or with `persistent` one after another, over batches that worker threads prepare ahead of the loop."""

    def __init__(
        self,
        infos: list[WorkerInfo],
        fetch: Callable[..., Any],
        init: Callable[..., Any] | None,
        open_stream: Callable[..., Any] | None,
        ahead: int,
        timeout: float,
        in_order: bool,
        persistent: bool,
    ) -> None:
        crew = self.crew = Crew(len(infos), open_stream is not None)
        self.ahead = ahead
        self.timeout = timeout
        self.in_order = in_order
        self.persistent = persistent
        crew.threads = [
            Thread(
                target=work, args=(crew, info, fetch, init, open_stream), name=f"spinetail-data-{info.id}", daemon=True
            )
            for info in infos
        ]
        self._finalizer = finalize(self, crew.close, 0)
        for thread in crew.threads:
            thread.start()

    def start(self, batches: Iterator[Any], progress: Progress) -> ThreadedIterator:
        """Begin a pass over the tasks in `batches`, of which `progress.delivered` have been before."""
        crew = self.crew
        with crew.ready:
            crew.epoch += 1
            crew.seed = progress.seed or 0
            crew.results.clear()
        self.batches = batches
        self.progress = progress
        self.sent = progress.delivered  # the number of the next task to be given out
        self.wanted = progress.delivered  # the number of the next task to be delivered
        self.waiting: set[int] = set()  # tasks given out and not yet delivered
        self.streams = set(range(len(crew.threads)))  # workers whose stream goes on
        self.turn = 0
        self.over = False
        for _ in range(self.ahead * len(crew.threads)):
            self._send()
        return self

    def _send(self) -> None:
        if not self.streams:
            return
        try:
            indices = next(self.batches)
        except StopIteration:
            return
        workers = len(self.crew.threads)
        while (worker := self.turn % workers) not in self.streams:
            self.turn += 1
        self.turn += 1
        self.crew.tasks[worker].put((self.crew.epoch, self.sent, indices))
        self.waiting.add(self.sent)
        self.sent += 1

    def _ready(self) -> int | None:
        results = self.crew.results
        if not self.in_order:
            return next(iter(results), None)
        while self.wanted not in self.waiting and self.wanted < self.sent:
            self.wanted += 1
        return self.wanted if self.wanted in results else None

    def _receive(self) -> tuple[int, Any]:
        crew = self.crew
        limit = monotonic() + self.timeout if self.timeout else None
        with crew.ready:
            while (number := self._ready()) is None:
                if limit is not None and monotonic() >= limit:
                    raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds")
                if crew.closed:
                    raise RuntimeError("the workers of this DataLoader have been closed")
                crew.ready.wait(None if limit is None else max(limit - monotonic(), 0))
            self.waiting.discard(number)
            return crew.results.pop(number)

    def __iter__(self) -> ThreadedIterator:
        return self

    def __next__(self) -> Any:
        while self.waiting:
            worker, result = self._receive()
            if result is Exhausted:
                self.streams.discard(worker)
                self._send()
                continue
            self._send()
            self.progress.delivered += 1
            if isinstance(result, Failure):
                result.throw()
            return result
        if not self.over:
            self.over = self.progress.over = True
            if not self.persistent:
                self.close()
        raise StopIteration

    def close(self) -> None:
        """End the workers and wait until they are gone."""
        self._finalizer.detach()
        self.crew.close()
