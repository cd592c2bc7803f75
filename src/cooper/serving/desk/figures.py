"""The numbers that a server shows to Prometheus. Names are vLLM's where it has them; no label holds anything of a request."""

from resource import RUSAGE_SELF, getrusage

import torch
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 150, 300)
STEPS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Figures:
    """One registry for one app."""

    def __init__(self, model: str, replica: str = "0") -> None:
        self.replica = replica
        self._registry, self._labels = CollectorRegistry(), {"model_name": model, "replica": replica}
        self.running = self._gauge("num_requests_running", "Requests that the engine works on.")
        self.waiting = self._gauge("num_requests_waiting", "Requests that wait for the engine.")
        self.cache = self._gauge("kv_cache_usage_perc", "Share of the memory for keys and values that is promised, 0 to 1.")
        self.memory = self._gauge("peak_memory_bytes", "The most memory that the process, or its accelerator, has held.")
        self.read = self._counter("prompt_tokens", "Tokens read from questions.")
        self.written = self._counter("generation_tokens", "Tokens written.")
        self.first = self._seconds("time_to_first_token_seconds", "From the request to its first token.", SECONDS)
        self.between = self._seconds("inter_token_latency_seconds", "From token to token.", STEPS)
        self.whole = self._seconds("e2e_request_latency_seconds", "From the request to its end.", SECONDS)
        self.ended = self._counter("request_success", "Requests that were answered.", "finished_reason")
        self.failed = self._counter("request_failure", "Requests that were not answered.", "code")
        self.drawn = self._counter("maps", "Maps drawn.", "modality")
        self.denoising = self._seconds("denoise_step_seconds", "One step of all maps under way.", STEPS)
        self.decoding = self._seconds("vae_decode_seconds", "Decoding one map under way to pixels.", STEPS)

    def _gauge(self, name: str, says: str) -> Gauge:
        made = Gauge(f"cooper:{name}", says, list(self._labels), registry=self._registry)
        return made.labels(**self._labels)

    def _counter(self, name: str, says: str, *more: str) -> Counter:
        made = Counter(f"cooper:{name}", says, [*self._labels, *more], registry=self._registry)
        return made if more else made.labels(**self._labels)

    def _seconds(self, name: str, says: str, buckets: tuple[float, ...]) -> Histogram:
        made = Histogram(f"cooper:{name}", says, list(self._labels), buckets=buckets, registry=self._registry)
        return made.labels(**self._labels)

    def count(self, counter: Counter, label: str) -> None:
        """One more of a counter that has a label of its own."""
        counter.labels(*self._labels.values(), label).inc()

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
        self.memory.set(torch.cuda.max_memory_allocated() if cuda else getrusage(RUSAGE_SELF).ru_maxrss * 1024)
        return generate_latest(self._registry)
