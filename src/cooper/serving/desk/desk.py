"""The desk: one thread that runs the engine for everybody. Requests wait in a queue, enter between two steps, and may leave."""

import math
import time
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from threading import Condition, Thread

from cooper.errors import CooperError
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.engine import Running
from cooper.reasoning.events import DrawingProgress, Event, RowFailed, StepDone, TextDelta, TraceDone
from cooper.reasoning.options import Options
from cooper.serving.desk.figures import Figures
from cooper.serving.desk.jobs import Begun, Failed, Finished, Job, Preview
from cooper.serving.desk.limits import Limits, bytes_per_token, tokens_needed
from cooper.trace.steps import MapStep, Question

CANCELLED = Failed("cancelled", "the client has left")
DOWN = Failed("engine_dead", "the server is going down")
STUCK = 5.0  # seconds that a step may still take when the server goes down
STALLED = 60.0  # seconds of one step after which the engine counts as stuck


class Full(Exception):  # noqa: N818 - no error: the client is to come again
    """The queue is full. `seconds`: after which it is worth asking again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"the queue is full; come again in {seconds} s")
        self.seconds = seconds


class Desk:
    """Runs the engine of a model in a thread of its own, from `open` to `close`."""

    def __init__(self, model: Cooper, limits: Limits, figures: Figures) -> None:
        self.model, self.limits, self.figures = model, limits, figures
        parts = model.engine.parts
        self.budget = limits.memory or parts.free_memory // 2
        self._token_bytes = bytes_per_token(parts)
        self._changed, self._waiting = Condition(), deque[Job]()
        self._jobs: dict[int, Job] = {}
        self._leaving: dict[str, Failed] = {}  # why, by id
        self._closing, self._end_at = False, math.inf
        self._fault = ""
        self._breath = time.monotonic()
        self._pace = 1.0  # seconds from the end of one request to the end of the next, smoothed
        self._last_end = 0.0
        self._thread = Thread(target=self._work, name="cooper-engine", daemon=True)

    def open(self) -> None:
        """Start the thread."""
        self._thread.start()

    def drain(self, seconds: float) -> None:
        """Take nothing more, and answer what is under way and what waits for at most as many seconds; what is left is told."""
        with self._changed:
            self._closing = True
            self._end_at = min(self._end_at, time.monotonic() + seconds)
            self._changed.notify()

    def close(self, seconds: float) -> None:
        """As `drain`, and wait until the thread has ended, unless it is stuck in a step."""
        self.drain(seconds)
        self._thread.join(seconds + STUCK)

    @property
    def fault(self) -> str:
        """Why no request can be answered, "" where they can."""
        if self._fault:
            return self._fault
        if not self._thread.is_alive():
            return "the engine has ended"
        stuck = time.monotonic() - self._breath
        return f"the engine has been in one step for {stuck:.0f} s" if self._jobs and stuck > STALLED else ""

    def needed(self, question: Question, options: Options) -> int:
        """Bytes of keys and values that a request may come to hold. CooperError: more than there will ever be."""
        needed = tokens_needed(self.model.engine.parts, question, options) * self._token_bytes
        if needed > self.budget:
            raise CooperError(
                f"this request may hold {needed / 2**20:,.0f} MiB of keys and values, and the server has "
                f"{self.budget / 2**20:,.0f}: ask with fewer pictures, tokens or turns"
            )
        return needed

    def submit(self, job: Job) -> None:
        """Queue a request. Full: there is no place; CooperError: the server is going down or its engine has ended."""
        with self._changed:
            if self._closing or self.fault:
                raise CooperError(f"no request is taken any more: {self.fault or 'the server is going down'}")
            if len(self._jobs) + len(self._waiting) >= self.limits.rows + self.limits.queue:
                raise Full(max(1, min(60, round(self._pace * (len(self._waiting) + 1)))))
            self._waiting.append(job)
            self.figures.waiting.set(len(self._waiting))
            self._changed.notify()

    def leave(self, job: Job, why: Failed = CANCELLED) -> None:
        """Drop a request, waiting or under way, at once. One that has ended is passed over."""
        with self._changed:
            self._leaving[job.id] = why
            self._changed.notify()

    def _work(self) -> None:
        try:
            running = self.model.engine.open()
            while self._between(running):
                self._breath = time.monotonic()
                self._step(running)
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait must be told
            traceback.print_exc()
            self._end(f"the engine has ended: {type(error).__name__}")
        else:
            self._end(DOWN.message)

    def _end(self, why: str) -> None:
        """Tell all that nobody will answer them."""
        with self._changed:
            self._fault = why
            left = [*self._jobs.values(), *self._waiting]
            self._jobs.clear()
            self._waiting.clear()
        for job in left:
            self._fail(job, Failed("engine_dead", why))

    def _between(self, running: Running) -> bool:
        """Let requests leave and enter; False when there is nothing more to do."""
        self._measure_load()
        with self._changed:
            while not (self._waiting or self._jobs or self._closing):
                self._leaving.clear()
                self._changed.wait(1.0)
                self._breath = time.monotonic()
            leaving, self._leaving = self._leaving, {}
            if time.monotonic() > self._end_at:
                leaving = {job.id: DOWN for job in [*self._jobs.values(), *self._waiting]} | leaving
            gone = [job for job in [*self._jobs.values(), *self._waiting] if job.id in leaving]
            self._waiting = deque(job for job in self._waiting if job not in gone)
        running.cancel([job.row for job in gone if job.row is not None])
        for job in gone:
            self._jobs.pop(-1 if job.row is None else job.row, None)
            self._fail(job, leaving[job.id])
        for alike in self._alike():
            self._enter(running, alike)
        self._measure_load()
        with self._changed:
            return bool(self._jobs or self._waiting or not self._closing)

    def _measure_load(self) -> None:
        self.figures.running.set(len(self._jobs))
        self.figures.cache.set(self._promised() / self.budget)

    def _promised(self) -> int:
        return sum(job.needed for job in self._jobs.values())

    def _alike(self) -> list[list[Job]]:
        """The next requests, as far as there is room for them, those with the same options together."""
        found: list[list[Job]] = []
        with self._changed:
            count, promised = len(self._jobs), self._promised()
            while self._waiting and count < self.limits.rows and promised + self._waiting[0].needed <= self.budget:
                job = self._waiting.popleft()
                count, promised = count + 1, promised + job.needed
                alike = next((each for each in found if each[0].options == job.options), None)
                found.append([job]) if alike is None else alike.append(job)
            self.figures.waiting.set(len(self._waiting))
        return found

    def _enter(self, running: Running, jobs: Sequence[Job]) -> None:
        """Read questions that are asked in the same way in one go; where that fails, one by one, to find the one at fault."""
        try:
            requests = [replace(job.request, question=place) for place, job in enumerate(jobs)]
            rows = running.admit([job.question for job in jobs], requests, jobs[0].options)
        except Exception as error:  # noqa: BLE001 - reading one picture may fail in any way, and harms no other
            for job in jobs if len(jobs) > 1 else ():
                self._enter(running, [job])
            if len(jobs) == 1:
                self._refuse(jobs[0], error, "the question could not be read")
            return
        for job, row in zip(jobs, rows, strict=True):
            job.row = row
            self._jobs[row] = job
            prompt = running.prompt(row)
            self.figures.read.inc(prompt.text + prompt.pictures)
            job.tell(Begun(prompt))

    def _refuse(self, job: Job, error: Exception, what: str) -> None:
        """Tell a client of its own mistake in a sentence, and of ours what kind it is; the log has the rest."""
        if isinstance(error, CooperError):
            self._fail(job, Failed("invalid_value", str(error)))
            return
        traceback.print_exception(error)
        self._fail(job, Failed("server_error", f"{what}: {type(error).__name__}"))

    def _step(self, running: Running) -> None:
        """One step, told to all whom it concerns. Whatever fails for one of them ends that request alone."""
        for event in list(running.step()):
            for row in event.rows if isinstance(event, DrawingProgress) else (event.row,):
                job = self._jobs.get(row)  # none where an event of the same step has failed
                if job is None:
                    continue
                try:
                    self._tell(running, job, event)
                except Exception as error:  # noqa: BLE001 - a map that cannot be shown, a client's loop that is gone
                    running.cancel([row])
                    self._tell(running, job, RowFailed(row, error))

    def _tell(self, running: Running, job: Job, event: Event) -> None:
        if isinstance(event, DrawingProgress):
            self._show(running, job, event)
        elif isinstance(event, TraceDone):
            self._finish(job, event)
        elif isinstance(event, RowFailed):
            self._jobs.pop(event.row, None)
            self._refuse(job, event.error, "the answer failed")
        else:
            self._measure(job, event)
            job.tell(event)

    def _measure(self, job: Job, event: TextDelta | StepDone) -> None:
        now = time.monotonic()
        if isinstance(event, TextDelta):
            (self.figures.first if job.wrote is None else self.figures.between).observe(now - (job.wrote or job.came))
            job.wrote = now
        elif isinstance(event.step, MapStep) and event.step.latents is not None:
            self.figures.count(self.figures.drawn, event.step.modality)

    def _show(self, running: Running, job: Job, event: DrawingProgress) -> None:
        if job.row is None or event.done == event.total:  # the finished map comes as a step
            return
        image = None
        if job.previews:
            began = time.monotonic()
            image = running.preview(job.row)
            self.figures.decoding.observe(time.monotonic() - began)
        job.tell(Preview(running.drawing(job.row), image, event.done, event.total))

    def _finish(self, job: Job, event: TraceDone) -> None:
        trace, now = event.trace, time.monotonic()
        self._jobs.pop(event.row)
        self.figures.written.inc(sum(len(turn.token_ids) for turn in trace.turns))
        self.figures.whole.observe(now - job.came)
        cut = bool(trace.turns) and trace.answer is None
        self.figures.count(self.figures.ended, "length" if cut else "stop")
        if self._last_end:
            self._pace += 0.2 * (min(now - self._last_end, 60.0) - self._pace)
        self._last_end = now
        job.tell(Finished(trace))

    def _fail(self, job: Job, why: Failed) -> None:
        self.figures.count(self.figures.failed, why.code)
        job.tell(why)
