"""Eight samples of one question with one map each: all together against one by one, in the same run.

    python benchmarks/rollouts.py [--models nano,random] [--samples 8] [--repeat 3] [--guided] [--out FILE.json]

`random` is an untrained network of about 18 million parameters. Every sample writes the same number of tokens (its turns are
scripted, so that all ways do the same work), draws one map, and answers. `--guided` draws as the published recipe does: 50 time
points, guided by text and picture. A third way is `deterministic`: together, but each row in passes of its own. The ways take
turns, and ratios are medians of the processor's seconds of each turn, so that whatever else the machine does meets all.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median

import numpy as np
import torch
from PIL import Image

from cooper.model.config import CooperConfig, DrawingDefaults
from cooper.model.cooper import CooperModel
from cooper.reasoning.context import Seeded
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.events import DrawingProgress, StepDone, TraceDone
from cooper.reasoning.options import Options, Request
from cooper.trace.steps import MapStep, Question

THOUGHT = "<think>A depth map shows how far things are.</think>"
CONCLUSION = "<think>red cube x 3 y 4 2.5 m, blue ball x 5 y 6 3.1 m. The red cube is nearer.</think><answer>A</answer>"


@dataclass(frozen=True)
class Run:
    """Seconds of the processor of one way of doing it, and how they were spent."""

    seconds: float
    writing: float
    drawing: float


def random_model(nano: Cooper) -> Cooper:
    """An untrained network of about 18 million parameters with nano's tokenizer, pictures and prompts."""
    config = CooperConfig(
        **(
            nano.engine.parts.model.config.to_diff_dict()
            | {
                "hidden_size": 320,
                "num_hidden_layers": 6,
                "num_attention_heads": 10,
                "num_key_value_heads": 2,
                "intermediate_size": 896,
            }
        )
    )
    torch.manual_seed(0)
    model = CooperModel(config).eval()
    return Cooper.of(model, nano.engine.parts.layout.processor, nano.engine.parts.prompts, "random")


def scripted(cooper: Cooper, number: int) -> list[Request]:
    """Requests whose turns are given: think and ask for depth, then think and answer."""
    parts = cooper.engine.parts
    processor = parts.layout.processor
    turns = (THOUGHT + parts.prompts.requests["depth"], CONCLUSION)
    script = tuple((*processor.encode(turn), processor.geometry.eos) for turn in turns)
    return [Request(0, Seeded(seed), seed, script) for seed in range(number)]


def timed(cooper: Cooper, question: Question, requests: Sequence[Request], options: Options) -> Run:
    """Run requests together; time from the last event on is booked on the phase that produced the next one."""
    spent: Counter[str] = Counter()
    start = last = time.process_time()
    for event in cooper.engine.run([question], requests, options):
        now = time.process_time()
        drew = isinstance(event, DrawingProgress) or (isinstance(event, StepDone) and isinstance(event.step, MapStep))
        spent["drawing" if drew else "writing"] += now - last
        last = now
        assert not isinstance(event, TraceDone) or len(event.trace.maps) == 1
    return Run(time.process_time() - start, spent["writing"], spent["drawing"])


def one_by_one(cooper: Cooper, question: Question, requests: Sequence[Request], options: Options) -> Run:
    runs = [timed(cooper, question, [request], options) for request in requests]
    return Run(*(sum(getattr(run, name) for run in runs) for name in ("seconds", "writing", "drawing")))


def peak_growth(work: Callable[[], object]) -> float:
    """MiB by which the process's peak memory grew during `work` (0 where an earlier peak was higher)."""
    before = getrusage(RUSAGE_SELF).ru_maxrss
    work()
    return (getrusage(RUSAGE_SELF).ru_maxrss - before) / 1024


def measure(cooper: Cooper, arguments: argparse.Namespace) -> dict[str, object]:
    samples, side = arguments.samples, cooper.engine.parts.model.config.picture_transforms.vae[0]
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    question = Question((Image.fromarray(pixels), "Which is nearer, the red cube or the blue ball? A. red cube B. blue ball"))
    options = cooper.options("interleaved", drawing=DrawingDefaults() if arguments.guided else None)
    exact = replace(options, deterministic=True)
    timed(cooper, question, scripted(cooper, 1), options)  # warm up
    growth_one = peak_growth(lambda: timed(cooper, question, scripted(cooper, 1), options))
    growth_all = peak_growth(lambda: timed(cooper, question, scripted(cooper, samples), options))
    ways: dict[str, list[Run]] = {"together": [], "one_by_one": [], "deterministic": []}
    for _ in range(arguments.repeat):
        ways["together"].append(timed(cooper, question, scripted(cooper, samples), options))
        ways["one_by_one"].append(one_by_one(cooper, question, scripted(cooper, samples), options))
        ways["deterministic"].append(timed(cooper, question, scripted(cooper, samples), exact))

    def middle(way: str, name: str) -> float:
        return round(median(getattr(run, name) for run in ways[way]), 3)

    def ratio(way: str) -> float:
        return round(median(other.seconds / run.seconds for other, run in zip(ways[way], ways["together"], strict=True)), 2)

    parts = ("seconds", "writing", "drawing")
    return {
        "model": cooper.engine.name,
        "guided": arguments.guided,
        "parameters": sum(p.numel() for p in cooper.engine.parts.model.parameters()),
        "samples": samples,
        "threads": torch.get_num_threads(),
        "processor_seconds": {way: {name: middle(way, name) for name in parts} for way in ways},
        "over_together": {way: ratio(way) for way in ("one_by_one", "deterministic")},
        "peak_growth_mib": {"1 sample": round(growth_one, 1), f"{samples} samples": round(growth_all, 1)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="nano,random")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--guided", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = []
    for name in arguments.models.split(","):
        nano = Cooper.from_pretrained("nano" if name == "random" else name)
        results.append(measure(random_model(nano) if name == "random" else nano, arguments))
        print(json.dumps(results[-1], indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
