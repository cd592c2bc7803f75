"""`cooper plan`: a recipe, the machines and the sizes of rows in, a table out."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cooper.errors import CooperError
from cooper.evaluation.report.report import Table
from cooper.files.hub import resolve
from cooper.files.values import read_recipe
from cooper.model.checkpoints.inspection import inspect
from cooper.model.config import CooperConfig
from cooper.training.planning.plan import GIB, Machines, RunPlan, first_that_fits, plan_run
from cooper.training.planning.rows import RowSizes
from cooper.training.planning.stages import PLANNED
from cooper.training.stages.table import STAGES


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What the command was asked, in its units: GiB, TFLOP/s, pixels, tokens."""

    recipe: Path
    overrides: tuple[str, ...]
    stage: str
    gpus: int
    nodes: int
    memory: float
    teraflops: float
    mfu: float
    price: float | None
    picture: str
    text: int
    learnt: int
    maps: int


def told(request: PlanRequest, as_json: bool = False) -> str:
    """The plan as Markdown, or as JSON. CooperError: a recipe, stage or size that does not fit."""
    stage = _stage(request)
    recipe = read_recipe(STAGES[stage].recipe, request.recipe, request.overrides)
    config, from_where = _config(recipe)
    sizes = _sizes(request)
    machines = Machines(**{name: getattr(request, name) for name in ("gpus", "nodes", "memory", "teraflops", "mfu", "price")})
    plan = plan_run(recipe, config, sizes, machines)
    change = None if plan.fits else first_that_fits(recipe, config, sizes, machines)
    if as_json:
        return json.dumps(_as_values(plan) | {"change": change and {"overrides": change[0], **_as_values(change[1])}}, indent=2)
    return "\n".join((f"Plan of {request.recipe} ({stage}): {from_where}.", "", *_lines(plan, change, stage == "grpo")))


def _stage(request: PlanRequest) -> str:
    found = request.stage or next((name for name in PLANNED if request.recipe.stem.split("-")[0] == name), "")
    if found not in PLANNED:
        said = f"stage {found!r} cannot be planned" if found else f"the name of {request.recipe} does not begin with a stage"
        raise CooperError(f"{said}; name one of {', '.join(PLANNED)} by --stage")
    return found


def _config(recipe: Any) -> tuple[CooperConfig, str]:
    """The configuration of the network, from headers alone, and where it is from."""
    init = getattr(recipe, "init", None)
    if init is None:
        raise CooperError("the recipe has no init; a plan is made for a checkpoint that is trained on")
    try:
        folder = resolve(str(init))
        base = None if recipe.base is None else resolve(str(recipe.base))
    except CooperError:
        return CooperConfig(), f"{init} is not here, so the network is taken to be of the published shape"
    found = inspect(folder, base, values=False).config
    if found is None:
        raise CooperError(f"init {init} holds no checkpoint; `cooper inspect` says what is wrong with it")
    return found, f"the network of {init}"


def _sizes(request: PlanRequest) -> RowSizes:
    width, _, height = request.picture.partition("x")
    if not (width.isdecimal() and height.isdecimal() and 0 < int(width) <= 2**14 and 0 < int(height) <= 2**14):
        raise CooperError(f"--picture is {request.picture!r}; it must be width and height in pixels, such as 1024x768")
    if request.learnt > request.text:
        raise CooperError(f"--learnt is {request.learnt}, more than --text, {request.text}")
    return RowSizes(width=int(width), height=int(height), text=request.text, learnt=request.learnt, maps=request.maps)


def _as_values(plan: RunPlan) -> dict[str, Any]:
    return {
        "fits": plan.fits,
        "bytes": {**plan.parts, "total": plan.total},
        "host_bytes": plan.host,
        "tokens_per_step": plan.tokens,
        "flops_per_step": plan.flops,
        "steps": plan.steps,
        "seconds_per_step": plan.seconds,
        "hours": plan.hours,
        "cost": plan.cost,
        "machines": asdict(plan.machines),
    }


def _lines(plan: RunPlan, change: tuple[str, RunPlan] | None, sampled: bool) -> list[str]:
    machines = plan.machines
    rows = [(name, f"{size / GIB:,.2f}") for name, size in plan.parts.items()]
    table = Table("Memory of one GPU at the peak of a step", ("part", "GiB"), (*rows, ("all", f"{plan.total / GIB:,.2f}")))
    cost = "" if plan.cost is None else f", {plan.cost:,.0f} for all GPUs at {machines.price:g} an hour each"
    lines = [
        table.markdown(),
        f"Memory of the machine while weights are read: {plan.host / GIB:,.1f} GiB for each process.",
        f"An update: {plan.tokens:,} tokens, {plan.flops / 1e12:,.4g} TFLOP; {plan.seconds:,.3g} s on {machines.count} GPU(s) "
        f"of {machines.teraflops:g} TFLOP/s at {machines.mfu:.0%} of them.",
        *(["Rollouts are sampled before that; the time for it is not planned."] if sampled else []),
        f"The run: {plan.steps:,} updates, {plan.hours:,.3g} hours{cost}.",
    ]
    if plan.fits:
        return [*lines, f"It fits into {machines.memory:g} GiB."]
    lines.append(f"It does not fit into {machines.memory:g} GiB.")
    if change is None:
        return [
            *lines,
            "No change of checkpointing, sharding, lora or quantise makes it fit: take more GPUs or smaller packs.",
        ]
    return [*lines, f"The smallest change that fits, with {change[1].total / GIB:,.2f} GiB: {change[0]}"]
