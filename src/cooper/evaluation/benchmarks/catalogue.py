"""The published benchmarks by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cooper.errors import CooperError
from cooper.evaluation.benchmarks import mm_vet, mmbench, mmvp, q_spatial, question_file, sibench
from cooper.evaluation.benchmarks.items import BenchmarkSet
from cooper.files.plugins import load_plugins, register


@dataclass(frozen=True)
class Benchmark:
    """One benchmark. `hub`: its data set on the hub, "" without one."""

    name: str
    hub: str
    read: Callable[[str | Path], BenchmarkSet]


def _sibench() -> list[Benchmark]:
    """All settings together, and each alone; their small variants with `-mini`."""
    found = []
    for mini in (False, True):
        wholes = [sibench.SibenchSubset(mini=mini), *(sibench.SibenchSubset((setting,), mini) for setting in sibench.SETTINGS)]
        for wanted in wholes:
            read = partial(sibench.read_sibench, wanted=wanted)
            found.append(Benchmark(wanted.name, sibench.HUB, read))
    return found


def _all() -> list[Benchmark]:
    splits = [
        Benchmark(f"q-spatial-{split}", q_spatial.HUB, partial(q_spatial.read_q_spatial, split=split))
        for split in q_spatial.EXPECTED
    ]
    tables = []
    for table, name in ((mmbench.MINI, "mmbench-v11-mini"), (mmbench.DEV, "mmbench-dev-en-v11")):
        for circular, ending in ((True, ""), (False, "-plain")):
            read = partial(mmbench.read_mmbench, table=table, circular=circular)
            tables.append(Benchmark(name + ending, "", read))
    return [
        *_sibench(),
        *splits,
        Benchmark("mmvp", mmvp.HUB, mmvp.read_mmvp),
        *tables,
        Benchmark("mm-vet", mm_vet.HUB, mm_vet.read_mm_vet),
        Benchmark(question_file.NAME, "", question_file.read_questions),
    ]


BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in _all()}


def register_benchmark(benchmark: Benchmark) -> None:
    """Make a benchmark available to `cooper eval`. ValueError: its name is taken."""
    register(BENCHMARKS, "benchmark", benchmark.name, benchmark)


def benchmark_of(name: str) -> Benchmark:
    """The benchmark of a name. CooperError: there is none."""
    load_plugins()
    if name not in BENCHMARKS:
        raise CooperError(f"unknown benchmark {name!r}; known: {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]


def read_benchmark(name: str, data: str | Path = "") -> BenchmarkSet:
    """The questions of a benchmark from `data`, a folder or file or hub id; without it from the hub.

    CooperError: an unknown name, no data for one that is not on the hub, or data that cannot be read.
    """
    known = benchmark_of(name)
    if not str(data) and not known.hub:
        raise CooperError(f"{name} is not on the hub: name the folder or file that holds it (--data)")
    return known.read(data or known.hub)
