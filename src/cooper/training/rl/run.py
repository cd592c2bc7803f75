"""A run of reinforcement learning: a recipe in, a run folder with checkpoints, figures and a finished model out."""

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import torch
from transformers import PreTrainedTokenizerFast, Trainer
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from trl import GRPOConfig

from cooper.curation.counts import Flag
from cooper.curation.flags import Questions, check_flags, read_flags
from cooper.errors import CooperError
from cooper.evaluation.judge.judge import Judge
from cooper.files.values import checked
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.options import Options
from cooper.scenes.examples import CONVENTIONS
from cooper.scenes.problems import SceneTasks
from cooper.training.bundles import Bundle, load_bundle
from cooper.training.data import place_of
from cooper.training.loop.folder import MODEL_FOLDER, plain
from cooper.training.loop.sealing import Sealing, resume_point
from cooper.training.loop.stopping import Finite, Interrupted, Stopping
from cooper.training.loop.watching import Evaluating, watchers
from cooper.training.rl.policy import Policy, Words
from cooper.training.rl.recipe import GrpoRecipe
from cooper.training.rl.rewards.answer import AnswerReward, JudgedAnswerReward
from cooper.training.rl.rewards.exploration import ExplorationReward
from cooper.training.rl.rewards.format import FormatReward
from cooper.training.rl.rewards.maps import LinkReward, PriceReward
from cooper.training.rl.rewards.reward import REWARDS, Reward
from cooper.training.rl.sampler import Sampler
from cooper.training.rl.samples import Showing, draw_run
from cooper.training.rl.scoring import Scorer
from cooper.training.rl.tasks import FileTasks, Tasks, order_of, source_of
from cooper.training.rl.trainer import InterleavedGRPOTrainer, Reinforcing
from cooper.training.scale.adapters import lora_config
from cooper.training.scale.results import Result
from cooper.training.scale.sharding import run_every_part
from cooper.training.stages.exam import AnswerExam, exam_of
from cooper.training.stages.objective import freeze
from cooper.training.targets import modalities_of


def reinforce(recipe: GrpoRecipe) -> Path:
    """Run the recipe, from its last checkpoint if there is one; returns the folder of the finished model.

    CooperError: keys, data or settings of TRL that do not fit, or a loss that is not a number. Interrupted: a signal ended the
    run; a checkpoint was left.
    """
    bundle = load_bundle(recipe.init, recipe.base)
    args = arguments(recipe, int(os.environ.get("WORLD_SIZE", "1")))
    if _is_sharded(args):
        run_every_part(bundle.model)
    recipe.out.mkdir(parents=True, exist_ok=True)
    watching = watchers("grpo", recipe.out, recipe.record, plain(recipe))
    callbacks = [Stopping(recipe.iterations), Finite(), Sealing(), *watching]
    adapter = None if recipe.lora is None else lora_config(recipe.lora, bundle.model, recipe.init)
    trainer = InterleavedGRPOTrainer(assemble(recipe, bundle), args, callbacks, adapter)
    for default in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(default)
    tracked, every = recipe.record.tracker == "trackio", recipe.record.eval_every
    trainer.add_callback(Showing(lambda: trainer.samples(recipe.group), every, recipe.out, tracked))
    if recipe.val is not None:
        exam = AnswerExam(exam_of(recipe.val, recipe.eval_questions), (recipe.mode,))
        # by transformers' own log: TRL's would empty what it has gathered for the line of the step into that of the exam
        report = partial(Trainer.log, trainer)

        def measure(step: int) -> Mapping[str, float]:
            with trainer.whole():
                return exam.figures(bundle)

        trainer.add_callback(Evaluating(every, measure, report))
    last = resume_point(recipe.out)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    if trainer.state.global_step < recipe.steps:
        raise Interrupted(trainer.state.global_step, recipe.out / f"checkpoint-{trainer.state.global_step}")
    Result(bundle, adapter, recipe.lora is None or recipe.lora.merged).write(recipe.out / MODEL_FOLDER)
    if trainer.is_world_process_zero():
        draw_run(recipe.out)
    return recipe.out / MODEL_FOLDER


def assemble(recipe: GrpoRecipe, bundle: Bundle) -> Reinforcing:
    """The parts of a run around a checkpoint. CooperError names what does not fit."""
    model, processor = bundle.model, bundle.processor
    freeze(model, ("vae", *recipe.frozen))
    door = Cooper.of(model, processor, bundle.prompts, str(recipe.init))
    asking = recipe.seed if recipe.questions_seed is None else recipe.questions_seed
    source = source_of(recipe.data, asking, recipe.per_scene, recipe.scenes)
    if len(source) < recipe.questions:
        raise CooperError(
            f"{place_of(recipe.data)} holds {len(source)} questions, fewer than the {recipe.questions} that each update asks"
        )
    if isinstance(source, FileTasks) and source.in_words and recipe.judge is None and recipe.rewards.answer:
        raise CooperError(
            f"the answer to {source.in_words[0]} of {place_of(recipe.data)} is free text, and so are {len(source.in_words)} of "
            f"{len(source)}: only a judge can grade them (`judge` in the recipe)"
        )
    flags = _flags(recipe, source)
    return Reinforcing(
        policy=Policy(model),
        tasks=Tasks(source, flags, order_of(len(source), -(-recipe.steps // recipe.iterations), recipe.questions, recipe.seed)),
        sampler=Sampler(door, sampling_options(recipe, door), recipe.at_once),
        scorer=Scorer(processor.geometry, Words(processor.vocabulary, recipe.sampling.temperature)),
        rewards=rewards_of(recipe, door, flags, source),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_object=processor.tokenizer, eos_token=processor.marks.eos, padding_side="left"
        ),
        group=recipe.group,
    )


def _flags(recipe: GrpoRecipe, source: Questions) -> dict[str, Flag]:
    if recipe.flags is None:
        return dict(source.flags) if isinstance(source, FileTasks) else {}
    flags = read_flags(recipe.flags)
    if not flags.keys() & set(source.ids()):
        raise CooperError(f"{recipe.flags} flags none of these {len(source)} questions; use the same --seed and --per-scene")
    check_flags(recipe.flags, source)
    return flags


def sampling_options(recipe: GrpoRecipe, door: Cooper) -> Options:
    """How rollouts are sampled."""
    drawing = door.defaults.drawing
    if recipe.num_timesteps is not None:
        drawing = replace(drawing, num_timesteps=recipe.num_timesteps)
    return replace(door.options(recipe.mode, recipe.sampling, drawing, recipe.max_turns), map_noise=recipe.map_noise)


def rewards_of(recipe: GrpoRecipe, door: Cooper, flags: Mapping[str, Flag], source: Questions) -> list[Reward]:
    """The terms of the reward, in the order of `recipe.rewards.terms`. In text mode no request is well formed. CooperError: a
    term that these questions cannot serve."""
    settings, parts = recipe.rewards, door.engine.parts
    tags = tuple(parts.prompts.tags.values()) if recipe.mode == "interleaved" else ()
    answer = AnswerReward(settings.graded) if recipe.judge is None else JudgedAnswerReward(Judge(recipe.judge))
    exploration = ExplorationReward(flags, settings.weight, settings.threshold)
    known: dict[str, Reward] = {"answer": answer, "format": FormatReward(tags), "exploration": exploration}
    known["price"] = PriceReward()
    if settings.link:
        if not isinstance(source, SceneTasks):
            raise CooperError(
                f"rewards.link needs rendered scenes: {place_of(recipe.data)} does not say what is true of each pixel"
            )
        modalities = modalities_of(door.engine.parts.model.config.modalities, CONVENTIONS)
        known["link"] = LinkReward(lambda item: source.named(item.id), modalities, AnswerReward(settings.graded))
    return [known[name] if name in known else REWARDS[name]() for name in settings.terms]


def arguments(recipe: GrpoRecipe, world: int) -> GRPOConfig:
    """The recipe as TRL's configuration. CooperError names a key under `trl` that TRL does not know or refuses."""
    known = get_type_hints(GRPOConfig)
    for name, value in recipe.trl.items():
        if name not in known:
            raise CooperError(f"recipe: trl names {name!r}, which this version of TRL does not know")
        if set(get_args(known[name]) or [known[name]]) - {NoneType} in ({int}, {float}, {bool}):
            checked(known[name], value, f"recipe: trl.{name}")
    ours: dict[str, Any] = {
        "output_dir": str(recipe.out),
        "max_steps": recipe.steps,
        "num_generations": recipe.group,
        "per_device_train_batch_size": recipe.rows,
        "gradient_accumulation_steps": recipe.accumulation(world),
        "shuffle_dataset": False,  # the tasks are in order: TRL's own order after the first epoch would not survive a resume
        "learning_rate": recipe.learning_rate,
        "temperature": recipe.sampling.temperature,
        "top_p": recipe.sampling.top_p,
        "max_completion_length": recipe.sampling.max_tokens * recipe.max_turns,
        "seed": recipe.seed,
        "save_steps": recipe.record.save_every,
        "save_total_limit": recipe.record.keep,
        "logging_steps": recipe.record.log_every,
        "reward_weights": list(recipe.rewards.terms.values()),
        "report_to": [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "use_cpu": not torch.cuda.is_available(),
        "ddp_find_unused_parameters": True,  # a batch without maps leaves parts of the drawing expert without gradients
    }
    defaults = {"gradient_checkpointing": False, "bf16": False, "lr_scheduler_type": "constant_with_warmup"}
    try:
        args = GRPOConfig(**{**defaults, **recipe.trl, **ours})
    except (TypeError, ValueError, OSError, ImportError) as error:
        raise CooperError(f"recipe: TRL refuses these settings: {' '.join(str(error).split())}") from None
    _check_sharding(args)
    if args.fsdp and world == 1:  # a process by itself keeps all weights, as in stages 1 and 2
        return GRPOConfig(**{**defaults, **recipe.trl, **ours, "fsdp": None, "fsdp_config": None})
    return args


def _is_sharded(args: GRPOConfig) -> bool:
    """Whether the recipe or accelerate's own file asks for FSDP."""
    return bool(args.fsdp) or os.environ.get("ACCELERATE_USE_FSDP") == "true"


def _check_sharding(args: GRPOConfig) -> None:
    """CooperError: the first version of FSDP, which keeps no single weights."""
    if not _is_sharded(args):
        return
    config: Any = args.fsdp_config or {}  # read from its file by now
    version = config.get("version", 2) if args.fsdp else os.environ.get("FSDP_VERSION", "1")
    if str(version) != "2":
        raise CooperError("weights can be sharded by FSDP2 only: set version 2 in trl.fsdp_config or in accelerate's own file")
