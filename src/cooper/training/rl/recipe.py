"""The recipe of reinforcement learning."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from cooper.errors import CooperError
from cooper.evaluation.judge.endpoint import JudgeSettings
from cooper.files.plugins import load_plugins
from cooper.files.rows import read_object
from cooper.files.values import (
    AtLeast,
    AtMost,
    Below,
    Count,
    Positive,
    Rate,
    Seed,
    Size,
    Weight,
    check_fields,
    checked,
    shown,
)
from cooper.reasoning.decoding import Sampling
from cooper.reasoning.options import Turns
from cooper.training.data import Data
from cooper.training.recipe import Batch, RecordSettings
from cooper.training.rl.rewards.reward import OWN, REWARDS
from cooper.training.scale.adapters import LoraSettings

MOST_ROWS = 10**7  # questions that a run asks in all; TRL holds a row of each

OWNED = {  # settings of TRL that follow from other keys of the recipe
    "output_dir": "out",
    "max_steps": "steps",
    "num_generations": "group",
    "per_device_train_batch_size": "rows",
    "gradient_accumulation_steps": "questions, group and rows",
    "steps_per_generation": "questions, group and rows",
    "generation_batch_size": "questions and group",
    "shuffle_dataset": "seed",
    "learning_rate": "learning_rate",
    "temperature": "sampling.temperature",
    "top_p": "sampling.top_p",
    "max_completion_length": "sampling.max_tokens and max_turns",
    "seed": "seed",
    "save_steps": "record.save_every",
    "logging_steps": "record.log_every",
    "reward_weights": "rewards",
    "report_to": "record.tracker",
}

RANGES = {  # settings of TRL whose faults show late or never
    "num_iterations": Annotated[int, AtLeast(1), AtMost(1000)],
    "beta": Weight,
    "epsilon": Positive,
    "epsilon_high": Positive,
    "max_grad_norm": Positive,
    "warmup_steps": Weight,
    "weight_decay": Weight,
    "adam_beta1": Annotated[float, AtLeast(0), Below(1)],
    "adam_beta2": Annotated[float, AtLeast(0), Below(1)],
    "adam_epsilon": Positive,
    "loss_type": Literal["grpo", "dapo", "bnpo", "dr_grpo", "cispo", "sapo", "vespo", "luspo"],
    "scale_rewards": Literal["group", "batch", "none", True, False],
    "importance_sampling_level": Literal["token", "sequence"],
    "multi_objective_aggregation": Literal["sum_then_normalize", "normalize_then_sum"],
}


@dataclass(frozen=True)
class RewardSettings:
    """Weights of the terms (0 leaves one out), and what they ask for. `link`: for maps that are right where they are read and
    are followed by a right answer; of rendered scenes only. `price`: taken off for each map. `weight` and `threshold` are of
    exploration: see `rewards.exploration`. `graded`: numbers earn their mean relative accuracy in place of right or wrong.
    `others`: weights of rewards that other packages registered (`register_reward`).
    """

    answer: Weight = 1.0
    format: Weight = 1.0
    exploration: Weight = 1.0
    link: Weight = 0.0
    price: Weight = 0.0
    graded: bool = False
    weight: Weight = 0.2
    threshold: Annotated[int, AtLeast(0), AtMost(1000)] = 3
    others: Mapping[str, Weight] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.terms:
            raise CooperError("the weights of all terms are 0; one must be above 0")
        load_plugins()
        for name in self.others:
            if name not in REWARDS:
                raise CooperError(f"others names {name!r}; registered: {', '.join(REWARDS) or 'none'}")

    @property
    def terms(self) -> dict[str, float]:
        """Weights by name, without those that are 0."""
        own = {name: getattr(self, name) for name in OWN}
        weights = {**own, **self.others}
        return {name: weight for name, weight in weights.items() if weight}


@dataclass(frozen=True)
class SamplingSettings(Sampling):
    """How rollouts are written: temperature, nucleus, tokens per turn."""

    temperature: Positive = 1.0
    max_tokens: Size = 128


@dataclass(frozen=True)
class GrpoRecipe:
    """Reinforcement learning from a finished stage 2.

    `init`: a checkpoint of our layout or the published one, a folder, a hub id or `nano`; `base` names the one that has
    configuration, tokenizer and autoencoder, if `init` holds only weights.
    `data`: a rendered scene set or a JSON Lines file of questions, of your own or as published (`{kind: questions, path: FILE,
    image_root: DIR}`); flags in its rows count where `flags` names no file. `val`: the same, or none. Each update asks
    `questions` questions `group` times each; `rows` rollouts are scored in one pass per process. `mode` `text` trains the
    text-only baseline. `map_noise` above 0 also rewards drawing (Flow-GRPO). `num_timesteps`: drawing steps of rollouts, the
    checkpoint's own by default. `judge`: an OpenAI-compatible endpoint that decides what is right, in place of the rules.
    `at_once`: questions whose rollouts are sampled together, at first (less when memory runs out). `questions_seed`: random
    seed of the questions
    about scenes, the one that their flags were made with; `seed` by default. `trl` holds any other field of
    `trl.GRPOConfig`: loss_type, epsilon_high, beta, num_iterations, importance_sampling_level, multi_objective_aggregation, ...
    """

    out: Path
    init: Path
    data: Data
    steps: Count
    learning_rate: Rate
    questions: Batch = 8
    group: Annotated[int, AtLeast(2), AtMost(2**12)] = 8  # each rollout is compared with the others
    rows: Batch = 16
    mode: Literal["interleaved", "text"] = "interleaved"
    base: Path | None = None
    val: Data | None = None
    flags: Path | None = None
    rewards: RewardSettings = field(default_factory=RewardSettings)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    judge: JudgeSettings | None = None
    lora: LoraSettings | None = None
    frozen: tuple[str, ...] = ()
    map_noise: Weight = 0.0
    num_timesteps: Annotated[int, AtLeast(2), AtMost(10_000)] | None = None
    max_turns: Turns = 3
    at_once: Batch = 8
    per_scene: Annotated[int, AtLeast(1), AtMost(10_000)] = 4
    scenes: Count = 100_000
    eval_questions: Count = 120
    trl: Mapping[str, Any] = field(default_factory=dict)
    record: RecordSettings = field(default_factory=RecordSettings)
    seed: Seed = 0
    questions_seed: Seed | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.map_noise and self.mode == "text":
            raise CooperError(f"map_noise is {self.map_noise}; it must be 0 in text mode")
        if self.steps * self.questions > MOST_ROWS:
            raise CooperError(f"steps times questions is {self.steps * self.questions}; it must be at most {MOST_ROWS}")
        for name, value in self.trl.items():
            if name in RANGES:
                checked(RANGES[name], value, f"trl.{name}")
            if name in OWNED:
                raise CooperError(f"trl.{name} follows from {OWNED[name]}; set that instead")
        _check_sharding(self.trl.get("fsdp_config"))
        if self.lora is not None and self.lora.dropout:
            raise CooperError("lora.dropout must be 0: with dropout, what is scored is not what was sampled")
        if float(self.trl.get("beta", 0)) > 0 and self.lora is None:
            raise CooperError("trl.beta is above 0, which needs a reference model; it is available with lora only")
        for name, steps in (("steps", self.steps), ("record.save_every", self.record.save_every)):
            if steps % self.iterations:
                raise CooperError(
                    f"{name} is {steps}; it must be a multiple of trl.num_iterations, {self.iterations}, so that a "
                    "resumed run begins with fresh rollouts, as the unbroken one does"
                )

    @property
    def iterations(self) -> int:
        """Updates that each generation of rollouts serves."""
        return int(self.trl.get("num_iterations", 1))

    def accumulation(self, world: int) -> int:
        """Passes per update and process. CooperError: the rollouts do not divide."""
        rollouts = self.questions * self.group
        if self.questions % world or rollouts % (self.rows * world):
            raise CooperError(
                f"{self.questions} questions of {self.group} rollouts do not divide into {world} processes with "
                f"{self.rows} rows a pass"
            )
        return rollouts // (self.rows * world)


def _check_sharding(config: Any) -> None:
    """CooperError: `trl.fsdp_config` is neither a group nor a file that holds one; TRL itself reads it only with `fsdp`."""
    if isinstance(config, str):
        try:
            read_object(Path(config))
        except CooperError as error:
            raise CooperError(f"trl.fsdp_config: {error}") from None
    elif config is not None and not isinstance(config, Mapping):
        raise CooperError(f"trl.fsdp_config is {shown(config)}; it must be a group of keys, or a JSON file that holds one")
