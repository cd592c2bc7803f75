"""Nano's own tokenizer: byte-level BPE on our texts. Tags are ordinary text; only the four marks are special."""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from cooper.errors import CooperError
from cooper.sequence.processor import Marks

# a tag, a word with its space, one digit, punctuation with its space, white space
PIECES = r"</?[A-Za-z][A-Za-z0-9_-]*>| ?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9<]+| ?<|\s+"


def train_tokenizer(texts: Iterable[str], size: int = 1024) -> Tokenizer:
    """A tokenizer of at most `size` entries. Any text at all can be encoded; digits stand alone.

    CooperError: a size that cannot hold the 256 bytes and the marks.
    """
    marks = Marks()
    special = [marks.bos, marks.eos, marks.image_start, marks.image_end]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if size < len(alphabet) + len(special):
        raise CooperError(f"a tokenizer needs at least {len(alphabet) + len(special)} entries, not {size}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
