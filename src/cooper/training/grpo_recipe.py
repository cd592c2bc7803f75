"""The recipe of reinforcement learning."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cooper.errors import CooperError
from cooper.evaluation.judge import JudgeSettings
from cooper.training.recipe import Record

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


@dataclass(frozen=True)
class RewardSettings:
    """Weights of the three terms (0 leaves one out), and what they ask for. `weight` and `threshold` are of exploration:
    see `rewards.exploration`. `graded`: numbers earn their mean relative accuracy in place of right or wrong."""

    answer: float = 1.0
    format: float = 1.0
    exploration: float = 1.0
    graded: bool = False
    weight: float = 0.2
    threshold: int = 3

    @property
    def terms(self) -> dict[str, float]:
        """Weights by name, without those that are 0."""
        weights = {"answer": self.answer, "format": self.format, "exploration": self.exploration}
        return {name: weight for name, weight in weights.items() if weight}


@dataclass(frozen=True)
class SamplingSettings:
    """How rollouts are written: temperature, nucleus, tokens per turn."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 128


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adapters (Hu et al. 2021) in place of training all weights; `targets` are endings of module names."""

    rank: int = 16
    alpha: int = 32
    targets: tuple[str, ...] = ("q.und", "k.und", "v.und", "o.und")


@dataclass(frozen=True)
class GrpoRecipe:
    """Reinforcement learning from a finished stage 2.

    `data`: a rendered scene set or a JSON Lines file (see `tasks.FileTasks`). Each update asks `questions` questions `group`
    times each; `rows` rollouts are scored in one pass per process. `mode` `text` is the twin that never draws. `map_noise`
    above 0 also rewards drawing (Flow-GRPO). `num_timesteps`: drawing steps of rollouts, the checkpoint's own by default.
    `judge`: an OpenAI-compatible endpoint that decides what is right, in place of the rules. `at_once`: questions whose
    rollouts are sampled together, as long as memory does not run out. `questions_seed`: of the questions about scenes, as
    their flags have it; `seed` by default.
    `trl` holds any other field of `trl.GRPOConfig`: loss_type, epsilon_high, beta, num_iterations,
    importance_sampling_level, multi_objective_aggregation, ...
    """

    out: Path
    init: Path
    data: Path
    steps: int
    learning_rate: float
    questions: int = 8
    group: int = 8
    rows: int = 16
    mode: Literal["interleaved", "text"] = "interleaved"
    val: Path | None = None
    flags: Path | None = None
    rewards: RewardSettings = field(default_factory=RewardSettings)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    judge: JudgeSettings | None = None
    lora: LoraSettings | None = None
    frozen: tuple[str, ...] = ()
    map_noise: float = 0.0
    num_timesteps: int | None = None
    max_turns: int = 3
    at_once: int = 8
    per_scene: int = 4
    scenes: int = 100_000
    eval_questions: int = 120
    trl: Mapping[str, Any] = field(default_factory=dict)
    record: Record = field(default_factory=Record)
    seed: int = 0
    questions_seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "questions", "rows", "at_once", "per_scene"):
            if getattr(self, name) < 1:
                raise CooperError(f"recipe: {name} is {getattr(self, name)}; it must be at least 1")
        if self.group < 2:
            raise CooperError(f"recipe: group is {self.group}; a rollout is compared with others, so it must be at least 2")
        if self.map_noise < 0 or (self.map_noise and self.mode == "text"):
            raise CooperError(f"recipe: map_noise is {self.map_noise}; it must not be negative, and 0 in text mode")
        for name in self.trl:
            if name in OWNED:
                raise CooperError(f"recipe: trl.{name} follows from {OWNED[name]}; set that instead")
        if float(self.trl.get("beta", 0)) > 0 and self.lora is None:
            raise CooperError(
                "recipe: trl.beta is above 0, which needs lora: TRL then takes the weights below it as the reference"
            )
        for name, steps in (("steps", self.steps), ("record.save_every", self.record.save_every)):
            if steps % self.iterations:
                raise CooperError(
                    f"recipe: {name} is {steps}; it must be a multiple of trl.num_iterations, {self.iterations}, so that a "
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
                f"recipe: {self.questions} questions of {self.group} rollouts do not divide into {world} processes with "
                f"{self.rows} rows a pass"
            )
        return rollouts // (self.rows * world)
