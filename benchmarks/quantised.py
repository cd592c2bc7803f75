"""What weights of few bits cost: answers, maps and memory of a model in float32, int8 and 4 bit, over the same scenes.

    python benchmarks/quantised.py --data SCENES [--model nano] [--ways float32,int8,4bit] [--questions 300] [--maps 100]
                                   [--seed 61] [--folder DIR] [--out FILE.json]

Each way runs in a process of its own on the CPU, in the modes text and interleaved. Differences are of the way minus float32
over the same questions and pictures, with 95 % intervals. `weights`: bytes of all weights and their scales; `peak`: the most
resident memory of the process above what it held before it loaded the model, answering in batches of 16 included.
`--folder` keeps the runs, and a run that was stopped there goes on.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cooper.evaluation.figures.comparison import compare_runs, rows_by_mode
from cooper.evaluation.figures.statistics import Estimate, bounded_mean, plain_mean
from cooper.evaluation.maps.drawing import DEPTH, SEGMENTATION, draw_maps
from cooper.evaluation.maps.scores import depth_figures, segmentation_figures
from cooper.evaluation.runs.origin import Origin
from cooper.evaluation.suites.scenes import ScenesSuite
from cooper.reasoning.cooper import Cooper
from cooper.scenes.examples import CONVENTIONS, scene_example
from cooper.scenes.store import SceneSet

PLAIN = "float32"
MODES = ("text", "interleaved")


def memory(field: str) -> int:
    """Bytes of a line of the process's own status, such as VmRSS."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) * 1024


def pieces(tensor: Any) -> Iterator[Tensor]:
    """The tensors that a weight is stored as: itself, or whole numbers and their scales."""
    if hasattr(tensor, "__tensor_flatten__"):
        for name in tensor.__tensor_flatten__()[0]:
            yield from pieces(getattr(tensor, name))
        return
    yield tensor
    state = getattr(tensor, "quant_state", None)
    while state is not None:
        yield from (each for each in (state.absmax, state.code, state.offset) if isinstance(each, Tensor))
        state = state.state2


def measure(way: str, asked: argparse.Namespace, folder: Path) -> None:
    """One process: load, answer, draw, and write down what that took."""
    few = None if way == PLAIN else way
    before = memory("VmRSS")
    door = Cooper.from_pretrained(asked.model, dtype=torch.float32, device="cpu", quantization=few)
    model = door.engine.parts.model
    stored = {each.data_ptr(): each.nbytes for weight in (*model.parameters(), *model.buffers()) for each in pieces(weight)}
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    suite = ScenesSuite(
        model=asked.model,
        data=asked.data,
        out=folder / way,
        seed=asked.seed,
        limit=asked.questions,
        maps=asked.maps,
        modes=MODES,
        traces=0,
        quiet=True,
        origin=Origin.of(asked.model, quantization=few),
    )
    suite.evaluate(door)
    scenes = SceneSet(asked.data)
    truths = [scene_example(scenes[number]) for number in range(min(asked.maps, len(scenes)))]  # questions may need fewer
    draw_maps(door, DEPTH, truths, conventions=CONVENTIONS, settings=suite)
    draw_maps(door, SEGMENTATION, truths, conventions=CONVENTIONS, settings=suite)
    told = {"weights": sum(stored.values()), "peak": memory("VmHWM") - before}
    (folder / f"{way}.json").write_text(json.dumps(told))


def figure(estimate: Estimate) -> list[float]:
    """A mean and the ends of its interval."""
    return [round(float(value), 5) for value in (estimate.mean, estimate.low, estimate.high)]


def found_in(folder: Path, way: str) -> dict[str, Any]:
    """The figures of one way, and its differences from float32."""
    place, plain = folder / way, folder / PLAIN
    depth, regions = DEPTH.kept(place, CONVENTIONS), SEGMENTATION.kept(place, CONVENTIONS)
    found: dict[str, Any] = {
        "way": way,
        **json.loads((folder / f"{way}.json").read_text()),
        "accuracy": {
            mode: figure(bounded_mean([float(row.correct) for row in rows])) for mode, rows in rows_by_mode(str(place)).items()
        },
        "abs_rel": figure(depth_figures(depth)["abs_rel"]),
        "miou": figure(segmentation_figures(regions, CONVENTIONS)["miou"]),
    }
    if way == PLAIN:
        return found
    pairs = {each.first.rpartition(":")[2]: each.all_rows for each in compare_runs(str(place), str(plain))}
    found["accuracy_difference"] = {mode: figure(pair.estimate) for mode, pair in pairs.items()}
    errors = {row.id: row.aligned.abs_rel for row in DEPTH.kept(plain, CONVENTIONS)}
    overlaps = {row.id: row.iou for row in SEGMENTATION.kept(plain, CONVENTIONS)}
    found["abs_rel_difference"] = figure(plain_mean([row.aligned.abs_rel - errors[row.id] for row in depth]))
    steps = [(row.iou, overlaps[row.id]) for row in regions]
    found["miou_per_image_difference"] = figure(
        plain_mean([one - other for one, other in steps if one is not None and other is not None])
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--ways", default=f"{PLAIN},int8,4bit")
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--maps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=61)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        measure(asked.measure[0], asked, Path(asked.measure[1]))
        return
    ways = list(dict.fromkeys((PLAIN, *asked.ways.split(","))))
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for way in ways:
            words = [sys.executable, __file__, *sys.argv[1:], "--measure", way, str(folder)]
            if not (folder / f"{way}.json").is_file():
                subprocess.run(words, check=True)
        found = [found_in(folder, way) for way in ways]
    text = json.dumps(found, indent=1)
    print(text)
    if asked.out is not None:
        asked.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
