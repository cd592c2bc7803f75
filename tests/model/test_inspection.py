"""`inspect` says what a directory holds and what to do, and never loads or raises."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from cooper.model.checkpoints.inspection import inspect
from cooper.model.checkpoints.opening import Family


def rewrite(file: Path, drop: str, add: dict[str, torch.Tensor]) -> None:
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items() if name != drop}
    save_file(tensors | add, file)


def test_whole_checkpoints(ours: Path, theirs: Path) -> None:
    (ours / "prompts.json").write_text("{}")
    report = inspect(ours)
    assert (report.family, report.is_loadable, report.findings) == (Family.OURS, True, ())
    assert report.status == "cooper (ours)"
    assert sum(amount.nbytes for amount in report.amounts) == 4 * sum(amount.numbers for amount in report.amounts)

    report = inspect(theirs)
    assert report.is_loadable
    notes = " ".join(finding.what for finding in report.findings)
    assert "cannot tell which one" in notes
    assert "The published weights lack their prompts" in notes


def test_wrong_tensors_are_listed(theirs: Path) -> None:
    rewrite(theirs / "ema.safetensors", "connector.fc1.bias", {"extra": torch.ones(1), "vae2llm.bias": torch.ones(3)})
    rewrite(theirs / "ae.safetensors", "decoder.conv_in.bias", {})
    report = inspect(theirs)
    assert report.differences.missing == ("connector.fc1.bias", "decoder.conv_in.bias")
    assert report.differences.unexpected == ("extra",)
    assert [(wrong.name, wrong.stored, wrong.expected) for wrong in report.differences.misshapen] == [
        ("vae2llm.bias", (3,), (16,))
    ]
    assert not report.is_loadable
    assert report.status == "incomplete: BAGEL base or COOPER, published layout"
    assert all(finding.advice for finding in report.findings)


def test_understanding_only(theirs: Path) -> None:
    file = theirs / "ema.safetensors"
    drawing = ("vae2llm", "llm2vae", "time_embedder", "latent_pos_embed")
    kept = {n: t.clone() for n, t in load_file(file).items() if "_moe_gen" not in n and not n.startswith(drawing)}
    save_file(kept, file)
    report = inspect(theirs)
    assert not report.is_loadable
    assert any("but not draw" in finding.what for finding in report.findings)


def test_incomplete_directories(theirs: Path, ours: Path) -> None:
    whole = (theirs / "ema.safetensors").read_bytes()
    (theirs / "ema.safetensors").write_bytes(whole[:-9])
    assert any("cut short" in finding.what for finding in inspect(theirs).findings)
    (theirs / "ema.safetensors").write_bytes(whole)
    (theirs / "ae.safetensors").unlink()
    (theirs / "tokenizer.json").unlink()
    texts = [finding.what for finding in inspect(theirs).findings if finding.is_fault]
    assert any("ae.safetensors" in text for text in texts)
    assert "No tokenizer files." in texts
    (ours / "model.safetensors").unlink()
    assert "incomplete" in inspect(ours).status


def test_base_completes_bare_weights(theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (theirs / "ema.safetensors").rename(tmp_path / "weights" / "model.safetensors")
    assert not inspect(tmp_path / "weights").is_loadable
    assert inspect(tmp_path / "weights", theirs).is_loadable


def test_not_a_checkpoint(tmp_path: Path) -> None:
    report = inspect(tmp_path)
    assert report.family is Family.NONE
    assert report.status == "not a checkpoint"
    assert not report.is_loadable
