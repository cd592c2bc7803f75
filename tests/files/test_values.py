"""Plain values are read strictly: what a user can type wrongly is one sentence that names the file and the key."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from cooper.errors import CooperError
from cooper.files.plain import parse_plain
from cooper.files.values import Above, AtLeast, AtMost, Seed, check_fields, checked, read_recipe
from cooper.reasoning.decoding import Sampling
from cooper.reasoning.options import Options, read_inference


@dataclass(frozen=True)
class Group:
    steps: Annotated[int, AtLeast(1)] = 1
    rate: Annotated[float, Above(0)] = 1.0


@dataclass(frozen=True)
class Example:
    """One field of each kind."""

    out: Path = Path("here")
    seed: Seed = 0
    whole: int = 0
    number: float = 0.0
    name: str = ""
    on: bool = False
    kind: Literal["one", "two"] = "one"
    pair: tuple[float, float] = (0.0, 1.0)
    sides: tuple[Annotated[int, AtLeast(1)], ...] = ()
    weights: Mapping[str, Annotated[float, AtLeast(0)]] = field(default_factory=dict)
    free: Mapping[str, Any] = field(default_factory=dict)
    group: Group = field(default_factory=Group)
    maybe: Annotated[int, AtMost(5)] | None = None


def _read(folder: Path, text: str | bytes, *overrides: str) -> Example:
    path = folder / "r.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_recipe(Example, path, overrides)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("number: 1e-3", "number", 1e-3),
        ("number: 1.5e3", "number", 1500.0),
        ("number: -.5", "number", -0.5),
        ("number: 3", "number", 3.0),
        ("whole: -7", "whole", -7),
        ("whole: 1_000", "whole", 1000),
        ("seed: 4294967295", "seed", 4294967295),
        ("name: 2026-01-01", "name", "2026-01-01"),
        ("name: 1:30", "name", "1:30"),
        ("name: 'null'", "name", "null"),
        ('name: "ä ☃ \\U0001F600"', "name", "ä ☃ \U0001f600"),
        ("on: yes", "on", True),
        ("on: False", "on", False),
        ("pair: [1, 2]", "pair", (1.0, 2.0)),
        ("sides: []", "sides", ()),
        ("weights: {a: 1, 3: 2}", "weights", {"a": 1.0, "3": 2.0}),
        ("free: {a: [1, {b: null}]}", "free", {"a": [1, {"b": None}]}),
        ("maybe: ~", "maybe", None),
        ("\ufeffwhole: 3", "whole", 3),
        ("out: ~/runs", "out", Path.home() / "runs"),
    ],
)
def test_what_is_read(tmp_path: Path, text: str, name: str, value: object):
    assert getattr(_read(tmp_path, text), name) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("whole: 1\nseed: 2\nwhole: 3", "line 3: the value of 'whole' stands twice, first in line 1"),
        ("group: {steps: 1, rate: 2, steps: 3}", "the value of 'group.steps' stands twice"),
        ("free: {a: 1, 'a': 2}", "'free.a' stands twice"),
        ("free: " + "[" * 50_000, "nested more than"),
        ("free: " + "{a: " * 400 + "1" + "}" * 400, "nested more than"),
        ("whole: " + "9" * 5000, "whole is a number of 5000 characters"),
        ("number: 0." + "9" * 5000, "number is a number of 5002 characters"),
        ("whole: 99999999999999999999", "whole is 99999999999999999999; whole numbers end at 9223372036854775807"),
        ("number: 99999999999999999999", "number is 99999999999999999999; whole numbers end at"),
        ("whole: 010", "whole must be a whole number, not '010'"),
        ("whole: 0x10", "whole must be a whole number, not '0x10'"),
        ("whole: 1:30", "whole must be a whole number, not '1:30'"),
        ("whole: 2026-01-01", "whole must be a whole number, not '2026-01-01'"),
        ("number: 1_0.5", "number must be a number, not '1_0.5'"),
        ("whole: 1.0", "whole must be a whole number, not 1.0"),
        ("whole: true", "whole must be a whole number, not True"),
        ("whole:", "whole must be a whole number, not null"),
        ("number: yes", "number must be a number, not True"),
        ("number: '1'", "number must be a number, not '1'"),
        ("number: .inf", "number is .inf; it must be a finite number"),
        ("number: -.Inf", "number is -.Inf"),
        ("number: .nan", "number is .nan"),
        ("number: 1e999", "number is 1e999"),
        ("number: nan", "number must be a number, not 'nan'"),
        ("free: {a: [1, .nan]}", "line 1: free.a[1] is .nan"),
        ("weights: {a: .inf}", "weights.a is .inf"),
        ("weights: {a: -1}", "weights.a is -1.0; it must be at least 0"),
        ("weights: [1]", "weights must be a group of keys, not [1]"),
        ("seed: -1", "seed is -1; it must be at least 0 and at most 4294967295"),
        ("seed: 18446744073709551616", "seed is 18446744073709551616"),
        ("seed: 4294967296", "seed is 4294967296"),
        ("name: 5", "name must be a text, not 5"),
        ("on: 1", "on must be true or false, not 1"),
        ("kind: three", "kind is 'three'; choose from one, two"),
        ("kind: [one]", "kind is ['one']; choose"),
        ("pair: [1]", "pair has 1 entries; it must have 2"),
        ("pair: [1, 2, 3]", "pair has 3 entries"),
        ("pair: 1", "pair must be a list"),
        ("pair: [1, b]", "pair[1] must be a number"),
        ("sides: [1, 0]", "sides[1] is 0; it must be at least 1"),
        ("out: ''", "out must be a path, not an empty text"),
        ("out: 5", "out must be a path, not 5"),
        ('out: "a\\0b"', "line 1: out holds half a character or a NUL"),
        ('name: "\\ud800"', "name holds half a character"),
        ("group: 5", "group must be a group of keys"),
        ("group: {steps: 0}", "group.steps is 0; it must be at least 1"),
        ("group: {rate: 0}", "group.rate is 0.0; it must be above 0"),
        ("group: {step: 0}", "group: unknown key 'step'; known: steps, rate"),
        ("maybe: 6", "maybe is 6; it must be at most 5"),
        ("other: 6", "unknown key 'other'"),
        ("? [a]\n: 1", "has a key that is a list or a group"),
        ("free: !!set {a, b}", "line 1: !!set is a tag, which names the type of a value in YAML; tags are not read"),
        ("whole: !!python/object/apply:os.getpid []", "is a tag"),
        ("name: !!binary aGk=", "is a tag"),
        (
            "free: &a {b: *a}",
            "line 1: *a is an alias, which YAML reads as the value marked &a; aliases are not read here: write",
        ),
        ("free: &a [x, x]\nweights: *a", "line 2: *a is an alias"),
        ("free: {<<: {a: 1}, <<: {b: 2}}", "stands twice"),
        ("a: [1", "not YAML: while parsing a flow sequence"),
        ("a:\n\t- 1", "line 2: not YAML"),
        ("a: 1\n--- \nb: 2", "not YAML: expected a single document"),
        ("a: \x07", "not YAML: unacceptable character"),
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("- 1", "holds no group"),
        ("word", "holds no group"),
        (b"name: \xff\xfe", "is not UTF-8 text"),
        ("whole: 1".encode("utf-16"), "is not UTF-8 text"),
        ("#" * 300_000, "larger than 256 KiB"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str | bytes, said: str):
    with pytest.raises(CooperError) as refused:
        _read(tmp_path, text)
    assert said in str(refused.value)
    assert str(tmp_path / "r.yaml") in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("a..b=1", "'a..b=1' is not an override; write key=value"),
        ("=1", "is not an override"),
        (".a=1", "is not an override"),
        ("whole", "is not an override"),
        (" =1", "is not an override"),
        (".".join("a" * 5000) + "=1", "is not an override"),
        ("whole=[1", "the override 'whole=[1', line 1: not YAML"),
        ("whole={a: 1, a: 2}", "stands twice"),
        ("whole=" + "9" * 5000, "number of 5000 characters"),
        ("number=.nan", "it must be a finite number"),
        ("whole=", "whole must be a whole number, not null"),
        ("whole.more=1", "'whole' has no parts"),
        ("group.steps=0", "group.steps is 0; it must be at least 1"),
        ("name=\udcff", "not YAML"),
    ],
)
def test_overrides_that_are_refused(tmp_path: Path, override: str, said: str):
    with pytest.raises(CooperError) as refused:
        _read(tmp_path, "whole: 1", override)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 400


def test_each_key_is_overridden_once(tmp_path: Path):
    assert _read(tmp_path, "whole: 1", "group={rate: 2.0}", "group.steps=4").group == Group(4, 2.0)
    for pair in (("whole=1", "whole=2"), ("group.steps=4", "group={rate: 2.0}")):
        with pytest.raises(CooperError, match="which was given before; give each key once"):
            _read(tmp_path, "whole: 1", *pair)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    for name, said in (("fifo", "it is no file"), ("", "Is a directory"), ("none", "No such file")):
        with pytest.raises(CooperError, match=said):
            read_recipe(Example, tmp_path / name)
    with pytest.raises(CooperError, match="it is no file"):
        read_recipe(Example, "/dev/zero")


def test_settings_made_in_python_are_checked_and_plain():
    asked = Sampling(temperature=np.float32(0.5), max_tokens=np.int64(7))  # pyright: ignore[reportArgumentType]
    assert (asked.temperature, asked.max_tokens) == (0.5, 7)
    assert type(asked.max_tokens) is int
    for wrong, said in (
        ({"max_tokens": 3.0}, "whole number"),
        ({"temperature": float("nan")}, "finite"),
        ({"top_p": 0}, "above 0"),
    ):
        with pytest.raises(CooperError, match=said):
            Sampling(**wrong)
    with pytest.raises(CooperError, match="max_turns is 0; it must be at least 1"):
        Options(max_turns=0)


def test_one_value_is_checked_by_its_type():
    assert checked(Seed, np.int64(3), "--seed") == 3
    with pytest.raises(CooperError, match="--seed is -1; it must be at least 0"):
        checked(Seed, -1, "--seed")
    made = Example(pair=[1, 2])  # pyright: ignore[reportArgumentType]
    check_fields(made)
    assert made.pair == (1.0, 2.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_turns: 0", "max_turns is 0; it must be at least 1"),
        ("sampling: {temperature: .nan}", "sampling.temperature is .nan"),
        ("sampling: {top_p: 1.5}", "sampling.top_p is 1.5; it must be above 0 and at most 1"),
        ("drawing: {num_timesteps: 1}", "drawing.num_timesteps is 1; it must be at least 2"),
        ("drawing: {timestep_shift: 0}", "drawing.timestep_shift is 0.0; it must be above 0"),
        ("drawing: {interval: [0.4]}", "drawing.interval has 1 entries"),
        ("drawing: {interval: [1, 0]}", "drawing: interval is [1.0, 0.0]; it must not end before it begins"),
        ("drawing: {renorm: foo}", "drawing.renorm is 'foo'; choose from global, channel, text_channel"),
        ("drawing: {text_scale: -1}", "drawing.text_scale is -1.0; it must be at least 0"),
    ],
)
def test_inference_settings_are_named(tmp_path: Path, text: str, said: str):
    (tmp_path / "i.yaml").write_text(text)
    with pytest.raises(CooperError) as refused:
        read_inference(tmp_path / "i.yaml")
    assert said in str(refused.value)
    assert str(tmp_path / "i.yaml") in str(refused.value)


@pytest.mark.parametrize("text", ["{interleaved:1}", "mixture: {text: 1, interleaved:1}", "a:\n  b: {interleaved:1}"])
def test_a_space_that_is_missing_after_a_colon_is_named(text):
    with pytest.raises(CooperError, match=r"line \d+: the value of '.*interleaved:1' is missing: put a space after its colon"):
        parse_plain(text, "recipe.yaml")


def test_a_colon_in_a_key_may_be_meant():
    assert parse_plain("{'a:1': }", "x") == {"a:1": None} and parse_plain("{a:1: 2, b: }", "x") == {"a:1": 2, "b": None}
    assert parse_plain('{"a":1, "b":2}', "x") == {"a": 1, "b": 2} and parse_plain("{a:1: ~}", "x") == {"a:1": None}
