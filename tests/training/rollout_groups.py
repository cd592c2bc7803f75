"""Groups of rollouts of a tiny random network, with maps, turns without a tag and turns that were cut off."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from cooper.data.item import Item
from cooper.reasoning.context import Seeded
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.reasoning.engine import Engine
from cooper.reasoning.events import TraceDone
from cooper.reasoning.options import Options, Request
from cooper.sequence.processor import Processor
from cooper.trace.prompts import DEFAULT
from cooper.trace.steps import Question
from cooper.trace.trace import Trace
from cooper.training.rl.policy import Policy, Words
from cooper.training.rl.rollouts import Rollout, rollouts_of
from cooper.training.rl.sampler import remembering
from cooper.training.rl.scoring import ScoredRollout, Scorer
from tests.networks import picture, tiny_model, tiny_processor

DEPTH = "<think>look</think>" + DEFAULT.requests["depth"]
PARTS = "<think>parts</think>" + DEFAULT.requests["segmentation"]
ANSWER = "<think>so</think><answer>B</answer>"
THOUGHT = "<think>hm</think>"
CUT = "cut"  # the turn before it loses its end token
GROUP = ([ANSWER], [DEPTH, ANSWER], [DEPTH, PARTS, ANSWER], [THOUGHT, DEPTH, ANSWER], [DEPTH, "<think>I was just" + CUT])


def tiny_door(folder: Path) -> Cooper:
    model = tiny_model()
    door = Cooper.of(model, tiny_processor(model, folder), DEFAULT, "tiny")
    return replace(door, defaults=replace(door.defaults, sampling=Sampling(1.0, max_tokens=9)))


def item(number: int = 0) -> Item:
    question = Question((picture(number), "Which is nearer? A. ball B. cube"), id=f"q{number}")
    return Item(f"q{number}", "relative_distance", "spatial", question, "MCQ", "B", ("ball", "cube"))


def scripted(door: Cooper, asked: Item, scripts: Sequence[Sequence[str | tuple[int, ...]]], options: Options) -> list[Rollout]:
    """One rollout per script; the tokens are forced, all else is sampled."""
    parts = door.engine.parts
    layout = replace(parts.layout, latent_of=remembering(parts.layout.latent_of))
    engine = Engine(replace(parts, layout=layout))
    processor = layout.processor
    turns = [tuple(ids_of_turn(turn, processor) for turn in script) for script in scripts]
    requests = [Request(0, Seeded(place), place, script) for place, script in enumerate(turns)]
    limited = replace(options, max_turns=3)
    done: dict[int, Trace] = {}
    for event in engine.run([asked.question], requests, limited):
        if isinstance(event, TraceDone):
            done[event.row] = event.trace
    return rollouts_of(asked, [done[row] for row in range(len(scripts))], layout, limited)


def ids_of_turn(turn: str | tuple[int, ...], processor: Processor) -> tuple[int, ...]:
    """A turn given as ids, or as text, which ends unless it is cut."""
    if isinstance(turn, tuple):
        return turn
    return processor.encode(turn.removesuffix(CUT)) + (() if turn.endswith(CUT) else (processor.geometry.eos,))


def scores_of(door: Cooper, rollouts: list[Rollout], temperature: float = 1.0) -> list[ScoredRollout]:
    parts = door.engine.parts
    scorer = Scorer(parts.layout.processor.geometry, Words(parts.layout.processor.vocabulary, temperature))
    with torch.no_grad():
        return scorer(Policy(parts.model), rollouts, torch.device("cpu"))


def check_scorer_is_sampler(door: Cooper, rollouts: list[Rollout], temperature: float = 1.0) -> None:
    """Every scored entry has the sampler's log-probability, and exactly what the model wrote is scored."""
    for rollout, scored in zip(rollouts, scores_of(door, rollouts, temperature), strict=True):
        mask, ids = torch.tensor(rollout.mask, dtype=torch.bool), torch.tensor(rollout.ids)
        torch.testing.assert_close(scored.logprobs, torch.tensor(rollout.logprobs), atol=1e-4, rtol=0)
        written = [token for turn in rollout.trace.turns for token in turn.token_ids]
        steps = sum(len(step.logprobs) for step in rollout.trace.maps)
        mark = door.engine.parts.layout.processor.geometry.image_start
        scored_ids = ids[mask].tolist()
        assert [token for token in scored_ids if token != mark] == [token for token in written if token != mark]
        assert int(mask.sum()) == len(written) + steps
        looked_at = (scored.logprobs != 0) | (scored.entropies != 0)  # a word that is certain has the logarithm 0
        assert torch.equal(looked_at, mask)
