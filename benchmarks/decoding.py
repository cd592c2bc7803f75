"""Tokens per second of our writer against `transformers.generate`, on language models of the same shape, in one run.

    python benchmarks/decoding.py [--shapes 14M,200M] [--rows 1,8] [--prompt 200] [--new 128] [--repeat 5] [--compiled]
                                  [--out FILE.json]

Both sides have random weights, read one prompt that all rows share, and take the likeliest token each time; only the tokens
behind the prompt are timed. `--compiled` compiles our steps first, which takes minutes. Theirs is a Qwen2 model, which is the
language model that ours is built on. Ratios are medians of pairs, one side after the other, so that whatever else the machine
does meets both. A second table says how long a question that joins eight rows which are writing waits for its first token,
against the same question alone.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from cooper.model.config import CooperConfig
from cooper.model.cooper import CooperModel
from cooper.reasoning.context import Context, Seeded, begin
from cooper.reasoning.decoding import Decoding, NewToken, Sampling, Writer
from cooper.sequence.packing import Geometry
from cooper.sequence.segments import TextSegment

SHAPES = {  # hidden width, layers, query heads, key heads, width of the MLP, vocabulary
    "toy": (64, 2, 4, 2, 96, 512),
    "14M": (320, 6, 10, 2, 896, 4096),
    "200M": (1024, 12, 16, 4, 2816, 32000),
}
TOY = {"vit": {"hidden_size": 8, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 12, "patch_size": 2}}


def ours(shape: Sequence[int]) -> CooperModel:
    """A network of that shape, with the smallest tower there is: no picture is read."""
    hidden, layers, heads, keys, wide, vocabulary = shape
    config = CooperConfig(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=keys,
        intermediate_size=wide,
        vocab_size=vocabulary,
        vit=TOY["vit"] | {"position_side": 5},
        vae={"base_channels": 4, "channel_multipliers": (1, 2), "blocks_per_level": 1, "latent_channels": 4, "norm_groups": 2},
        transforms={"vae": (32, 16, 4), "vit": (16, 8, 2)},
        latent_side=4,
        vit_side=5,
    )
    return CooperModel(config).eval().merge()


def theirs(shape: Sequence[int]) -> Qwen2ForCausalLM:
    hidden, layers, heads, keys, wide, vocabulary = shape
    config = Qwen2Config(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=keys,
        intermediate_size=wide,
        vocab_size=vocabulary,
        tie_word_embeddings=False,
    )
    return Qwen2ForCausalLM(config).eval()


def geometry_of(model: CooperModel) -> Geometry:
    last = model.config.vocab_size - 1
    return Geometry(last - 1, last, last - 2, last - 3, 2, model.config.latent_side, model.config.latent_token_width, 2, 5)


def read(model: CooperModel, prompt: int) -> Context:
    return begin(model, geometry_of(model), [[TextSegment(tuple(range(10, 8 + prompt)))]])[0]


def write(model: CooperModel, context: Context, rows: int, new: int) -> float:
    """Seconds in which so many rows write so many tokens each, held to the vocabulary without marks."""
    decoding = Decoding(model, geometry_of(model), model.config.vocab_size - 8)
    decoding.join({row: Writer(context, Seeded(row), Sampling(max_tokens=new)) for row in range(rows)})
    started = time.perf_counter()
    while decoding.rows:
        for _ in decoding.step():
            pass
    return time.perf_counter() - started


@torch.no_grad()
def generate(model: Qwen2ForCausalLM, rows: int, prompt: int, new: int) -> float:
    """The same by `generate`: from the seconds of prompt and tokens those of the prompt and one token are taken off."""
    ids = torch.arange(10, 10 + prompt).expand(rows, -1)

    def timed(tokens: int) -> float:
        started = time.perf_counter()
        model.generate(ids, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, pad_token_id=0, eos_token_id=None)
        return time.perf_counter() - started

    return timed(new + 1) - timed(1)


def pairs(first: Callable[[], float], second: Callable[[], float], repeat: int) -> list[tuple[float, float]]:
    """Both in turn; the first pair is left out."""
    return [(first(), second()) for _ in range(repeat + 1)][1:]


def first_token(model: CooperModel, context: Context, others: int) -> float:
    """Seconds until a row that joins has its first token; `others` rows are writing already."""
    decoding = Decoding(model, geometry_of(model), model.config.vocab_size - 8)
    if others:
        decoding.join({row: Writer(context, Seeded(row), Sampling(max_tokens=1000)) for row in range(others)})
        for _ in range(20):
            list(decoding.step())
    started = time.perf_counter()
    later = read(model, context.kv_length)
    decoding.join({99: Writer(later, Seeded(99), Sampling(max_tokens=4))})
    while not any(isinstance(event, NewToken) and event.row == 99 for event in decoding.step()):
        pass
    return time.perf_counter() - started


def measure(name: str, arguments: argparse.Namespace) -> list[dict[str, object]]:
    torch.manual_seed(0)
    mine, other, found = ours(SHAPES[name]), theirs(SHAPES[name]), []
    mine = mine.trace_steps() if arguments.compiled else mine
    context = read(mine, arguments.prompt)
    for rows in map(int, arguments.rows.split(",")):
        times = pairs(
            lambda rows=rows: write(mine, context, rows, arguments.new),
            lambda rows=rows: generate(other, rows, arguments.prompt, arguments.new),
            arguments.repeat,
        )
        found.append(
            {
                "shape": name,
                "rows": rows,
                "compiled": arguments.compiled,
                "ours_tokens_per_s": round(rows * arguments.new / median(a for a, _ in times), 1),
                "generate_tokens_per_s": round(rows * arguments.new / median(b for _, b in times), 1),
                "ratio": round(median(b / a for a, b in times), 2),
            }
        )
        print(json.dumps(found[-1]), flush=True)
    joins = pairs(lambda: first_token(mine, context, 8), lambda: first_token(mine, context, 0), arguments.repeat)
    found.append({"shape": name, "first_token_joining_8_rows_over_alone": round(median(a / b for a, b in joins), 2)})
    print(json.dumps(found[-1]), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default="14M,200M")
    parser.add_argument("--rows", default="1,8")
    parser.add_argument("--prompt", type=int, default=200)
    parser.add_argument("--new", type=int, default=128)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    print(f"threads {torch.get_num_threads()}, torch {torch.__version__}")
    results = [line for name in arguments.shapes.split(",") for line in measure(name, arguments)]
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
