"""A server under load, on this machine alone: honest answers, waiting times, memory, against the same work without a server.

    python benchmarks/serving.py [--clients 64] [--minutes 5] [--threads 1] [--batch 64] [--out FILE.json]

`cooper serve` runs nano in a process of its own. Clients ask about a bundled room in all modes, at several sizes and
temperatures, streamed and not, each the next question as soon as it has an answer; 429 is waited out as `Retry-After` says.
Every answer is compared with the one that `Cooper.ask` gives for the same question and seed. Then 16 clients ask BATCH
questions, and `Cooper.batch` answers the same ones in a process of its own: their rates in rows a second are compared.
"""

import argparse
import base64
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from threading import Lock

import httpx
import numpy as np
import psutil
from PIL import Image

from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.reasoning.options import Inference
from cooper.trace.example import example_questions
from cooper.trace.steps import Question

MODES = ("interleaved", "text", "direct", "perception")
SIZES = ((128, 128), (160, 120), (96, 144))
WAYS = 48  # different requests


@dataclass
class Tally:
    """What all clients saw."""

    answers: list[tuple[int, str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    status: Counter[int] = field(default_factory=Counter)
    memory: list[tuple[float, int]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)


def room(size: tuple[int, int]) -> Image.Image:
    from importlib.resources import files

    return Image.open(BytesIO(files("cooper").joinpath("assets/demo/room.png").read_bytes())).convert("RGB").resize(size)


def way(number: int) -> tuple[Image.Image, str, str, float]:
    """Picture, question, mode and temperature of a request; its seed is its number."""
    questions = example_questions()
    return room(SIZES[number % 3]), questions[number % len(questions)], MODES[number % 4], (0.0, 0.8)[number // 4 % 2]


def body(number: int, stream: bool) -> dict:
    return asking(*way(number), number, stream)


def asking(picture: Image.Image, text: str, mode: str, heat: float, seed: int, stream: bool) -> dict:
    file = BytesIO()
    picture.save(file, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
    return {
        "messages": [{"role": "user", "content": content}],
        "mode": mode,
        "temperature": heat,
        "seed": seed,
        "stream": stream,
    }


def ask(client: httpx.Client, number: int, stream: bool, tally: Tally) -> None:
    """One request to its end; what came is noted."""
    start = time.perf_counter()
    while True:
        said, first = "", None
        with client.stream("POST", "/v1/chat/completions", json=body(number, stream)) as answer:
            if answer.status_code == 200 and stream:
                for line in answer.iter_lines():
                    if line.startswith("data: {"):
                        event = json.loads(line[6:])
                        assert "error" not in event, event
                        delta = event["choices"][0]["delta"] if event["choices"] else {}
                        if first is None and (delta.get("reasoning_content") or delta.get("content")):
                            first = time.perf_counter() - start
                        said += delta.get("content") or ""
            else:
                answer.read()
        with tally.lock:
            tally.status[answer.status_code] += 1
        if answer.status_code == 429:
            time.sleep(int(answer.headers["retry-after"]) * random.random())
            continue
        assert answer.status_code == 200, answer.text
        with tally.lock:
            tally.answers.append((number, said if stream else answer.json()["choices"][0]["message"]["content"]))
            tally.seconds.append(time.perf_counter() - start)
            if first is not None:
                tally.first.append(first)
        return


def client_of(url: str, worker: int, until: float, tally: Tally) -> None:
    """One client, until the time is over."""
    rng = random.Random(worker)
    with httpx.Client(base_url=url, timeout=600) as client:
        while time.monotonic() < until:
            ask(client, rng.randrange(WAYS), rng.random() < 0.5, tally)


def started(folder: Path, threads: int) -> tuple[subprocess.Popen, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "cooper", "serve", "--port", str(port), "--traces", str(folder), "--keep-mib", "64"]
    process = subprocess.Popen(words, env={**os.environ, "OMP_NUM_THREADS": str(threads)}, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    while True:
        assert process.poll() is None, "the server ended"
        try:
            if httpx.get(f"{url}/ready").status_code == 200:
                return process, url
        except httpx.TransportError:
            time.sleep(0.2)


def load(url: str, process: subprocess.Popen, clients: int, minutes: float) -> Tally:
    """Many clients for some minutes, with the server's memory once a second."""
    tally, until = Tally(), time.monotonic() + 60 * minutes
    server = psutil.Process(process.pid)
    with ThreadPoolExecutor(clients) as pool:
        asked = [pool.submit(client_of, url, worker, until, tally) for worker in range(clients)]
        while not all(each.done() for each in asked):
            tally.memory.append((time.monotonic() - until + 60 * minutes, server.memory_info().rss))
            time.sleep(1)
        for each in asked:
            each.result()
    return tally


def alone() -> tuple[dict[int, str], float]:
    """What each request gets without a server, and the seconds of one, one after the other."""
    model, found, start = Cooper.from_pretrained("nano"), {}, time.perf_counter()
    for number in range(WAYS):
        picture, text, mode, heat = way(number)
        sampling = Sampling(heat, max_tokens=model.defaults.sampling.max_tokens)
        found[number] = (
            model.with_inference(Inference(sampling=sampling)).ask(picture, text, mode=mode, seed=number).final or ""
        )
    return found, (time.perf_counter() - start) / WAYS


def rates(url: str, rows: int, times: int = 5) -> dict[str, object]:
    """Rows a second of 16 clients, and of `Cooper.batch` on the same questions: in turns, and the ratio of each turn."""
    model, picture, known = Cooper.from_pretrained("nano"), room(SIZES[0]), example_questions()
    texts = [known[k % len(known)] for k in range(rows)]
    bodies = [asking(picture, text, MODES[0], 0.0, 0, False) for text in texts]
    direct, served = [], []
    with ThreadPoolExecutor(16) as pool, httpx.Client(base_url=url, timeout=600) as client:

        def answer(words: dict) -> str:
            return client.post("/v1/chat/completions", json=words).raise_for_status().json()["choices"][0]["message"]["content"]

        for _ in range(times):
            start = time.perf_counter()
            expected: list[str] = []
            for at in range(0, rows, 16):
                found = model.batch([Question((picture, text)) for text in texts[at : at + 16]], choices=None)
                expected += [traces[0].final or "" for traces in found]
            direct.append(rows / (time.perf_counter() - start))
            start = time.perf_counter()
            said = list(pool.map(answer, bodies))
            served.append(rows / (time.perf_counter() - start))
            unlike = [pair for pair in zip(said, expected, strict=True) if pair[0] != pair[1]]
            assert not unlike, f"the server answers otherwise: {unlike[:3]}"
    ratios = sorted(one / other for one, other in zip(served, direct, strict=True))
    return {
        "server_rows_per_s": round(float(np.median(served)), 2),
        "batch_rows_per_s": round(float(np.median(direct)), 2),
        "ratio": round(float(np.median(ratios)), 2),
        "ratios": [round(each, 2) for each in ratios],
    }


def summary(tally: Tally, known: dict[int, str], single: float) -> dict[str, object]:
    def quantiles(values: list[float]) -> dict[str, float]:
        return {"p50": round(float(np.quantile(values, 0.5)), 2), "p95": round(float(np.quantile(values, 0.95)), 2)}

    last = max(at for at, _ in tally.memory)
    early = np.mean([size for at, size in tally.memory if 10 <= at < 10 + last / 5])
    late = np.mean([size for at, size in tally.memory if at > last * 4 / 5])
    return {
        "answers": len(tally.answers),
        "unlike_alone": sum(known[number] != said for number, said in tally.answers),
        "status": {str(code): count for code, count in tally.status.items()},
        "latency_s": quantiles(tally.seconds),
        "first_token_s": quantiles(tally.first),
        "one_by_one_s": round(single, 2),
        "memory_last_over_first_fifth": round(float(late / early), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    known, single = alone()
    with tempfile.TemporaryDirectory() as place:
        process, url = started(Path(place) / "traces", arguments.threads)
        try:
            tally = load(url, process, arguments.clients, arguments.minutes)
            results = {"clients": arguments.clients, "minutes": arguments.minutes, **summary(tally, known, single)}
            results |= rates(url, arguments.batch) if arguments.batch else {}
        finally:
            process.terminate()
            process.wait()
    print(json.dumps(results, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
