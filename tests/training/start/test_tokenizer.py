"""Nano's tokenizer: any text, digits alone, tags in few tokens but never special."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from cooper.errors import CooperError
from cooper.trace.prompts import DEFAULT
from cooper.training.bundles import save_tokenizer
from cooper.training.start.tokenizer import train_tokenizer

TEXTS = [*DEFAULT.system.values(), *DEFAULT.requests.values(), "<think>The ball is 2.5 m away.</think><answer>B</answer>"] * 20
TOKENIZER: Tokenizer = train_tokenizer(TEXTS, 600)


@given(st.text(max_size=40))
def test_every_text_comes_back(text: str):
    plain = Tokenizer.from_str(TOKENIZER.to_str())
    plain.encode_special_tokens = True
    assert plain.decode(plain.encode(text).ids, skip_special_tokens=False) == text


def test_size_marks_digits_and_tags():
    assert TOKENIZER.get_vocab_size() <= 600
    assert [TOKENIZER.token_to_id(mark) for mark in ("<|im_start|>", "<|im_end|>", "<|vision_start|>")] == [0, 1, 2]
    assert TOKENIZER.encode("2048").tokens == ["2", "0", "4", "8"]
    for tag in ("<think>", "</think>", "<answer>", "</answer>", "<depth-estimation>", "</segmentation>"):
        assert len(TOKENIZER.encode(tag).ids) <= 2
        assert TOKENIZER.decode(TOKENIZER.encode(tag).ids, skip_special_tokens=True) == tag


def test_transformers_reads_it(tmp_path: Path):
    save_tokenizer(TOKENIZER, tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded("Where is the ball?", add_special_tokens=False)["input_ids"] == TOKENIZER.encode("Where is the ball?").ids
    assert loaded.eos_token == "<|im_end|>"


def test_a_tokenizer_too_small_for_all_bytes_is_refused():
    with pytest.raises(CooperError, match="at least 260"):
        train_tokenizer(["a"], 100)
