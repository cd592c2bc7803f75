"""Golden group 01: token ids."""

import json


def test_ids_of_texts(golden_dir, processor):
    golden = json.loads((golden_dir / "01_tokenizer.json").read_text())
    special = golden["special_ids"]
    geometry = processor.geometry
    assert (geometry.bos, geometry.eos) == (special["bos_token_id"], special["eos_token_id"])
    assert (geometry.image_start, geometry.image_end) == (special["start_of_image"], special["end_of_image"])
    assert processor.vocabulary == golden["len_tokenizer"]
    for case in golden["cases"]:
        assert list(processor.encode(case["text"])) == case["ids"]
        assert processor.tokenizer.decode(case["ids"], skip_special_tokens=False) == case["decoded"]
