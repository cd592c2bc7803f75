"""Rows of stage 2: what is learned, what is shared, and the baseline that cannot look."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cooper.errors import CooperError
from cooper.files.pictures import GREY, grey_picture
from cooper.scenes.examples import SceneExamples
from cooper.scenes.lessons import SceneLessons, fixed_questions
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.store import SetInfo, shard_path, write_info, write_shard
from cooper.sequence.packing import Row, pack
from cooper.sequence.segments import LatentSegment, NoisedSegment, TextSegment, VitSegment
from cooper.training.bundles import Bundle
from cooper.training.recipe import Optimiser
from cooper.training.stages.reasoning import SftRecipe, TraceBatches, TraceRows
from cooper.training.stages.rows import MapRows
from tests.training.conftest import row_of

GREY_PIXEL = (GREY / 255 - 0.5) / 0.5


@pytest.fixture
def rows(map_rows: MapRows, examples: SceneExamples, bundle: Bundle) -> TraceRows:
    source = SceneLessons(
        examples=examples, prompts=bundle.prompts, modalities=map_rows.modalities, canvas=bundle.processor.vae, seed=0
    )
    return TraceRows(source, map_rows, bundle.model.config.view_rules, drawn=1.0)


def exploring(rows: TraceRows) -> TraceRows:
    """Rows whose interleaved traces always draw another map than the one that helps."""
    assert isinstance(rows.source, SceneLessons)
    return replace(rows, source=replace(rows.source, explore=1.0))


def _learned(row: Row, bundle: Bundle) -> list[str]:
    decode = bundle.processor.decode
    return [decode(list(s.ids)) for s in row.segments if isinstance(s, TextSegment) and s.loss]


def test_only_turns_of_the_model_are_learned(rows: TraceRows, bundle: Bundle):
    row = row_of(rows, 0, 0, "direct", 3)
    learned = _learned(row, bundle)
    assert len(learned) == 3
    assert all(text.startswith("<answer>") and text.endswith("</answer>") for text in learned)
    perceived = _learned(row_of(rows, 0, 0, "perception", 1), bundle)
    assert len(perceived) == 1 and "<think>" not in perceived[0]


def test_a_share_of_the_traces_draws_something_else(rows: TraceRows, bundle: Bundle):
    plain = [_learned(row_of(rows, number, number % 4, "interleaved", 3), bundle) for number in range(8)]
    others = [_learned(row_of(exploring(rows), number, number % 4, "interleaved", 3), bundle) for number in range(8)]

    def maps(learned: list[str]) -> list[str]:
        return [name for text in learned for name in ("<depth-estimation>", "<segmentation>") if name in text]

    assert sum(maps(one) != maps(other) for one, other in zip(plain, others, strict=True)) >= 6
    assert {name for learned in others for name in maps(learned)} == {"<depth-estimation>", "<segmentation>"}
    assert any(len(maps(learned)) < 3 for learned in others)
    direct = row_of(exploring(rows), 0, 0, "direct", 3)
    assert _learned(direct, bundle) == _learned(row_of(rows, 0, 0, "direct", 3), bundle)


def test_lessons_in_looking_share_one_picture_that_is_read_once(rows: TraceRows, bundle: Bundle):
    row = row_of(rows, 2, 1, "grounding", 4)
    assert sum(isinstance(segment, VitSegment) for segment in row.segments) == 1
    assert not any(isinstance(segment, LatentSegment | NoisedSegment) for segment in row.segments)
    learned = _learned(row, bundle)
    assert len(learned) == 4 and all(text.startswith("<think>") and text.endswith("</answer>") for text in learned)


def test_questions_share_one_picture(rows: TraceRows):
    row = row_of(rows, 1, 2, "direct", 3)
    assert sum(isinstance(segment, LatentSegment) for segment in row.segments) == 1
    trunk = 2  # system, latent, ViT
    assert [row.parent_of.count(place) for place in range(trunk + 1)] == [1, 1, 3]
    text_mode = row_of(rows, 1, 2, "text", 1)
    assert not any(isinstance(segment, LatentSegment) for segment in text_mode.segments)


def test_a_drawn_map_is_a_target_beside_the_map_that_is_read(rows: TraceRows):
    row = row_of(rows, 3, 1, "perception", 1)
    noised = [place for place, segment in enumerate(row.segments) if isinstance(segment, NoisedSegment)]
    assert len(noised) == 2
    for place in noised:
        assert isinstance(row.segments[place + 1], VitSegment)
        assert row.parent_of[place] == row.parent_of[place + 1] == place - 1
        assert place not in row.parent_of
    assert not any(isinstance(s, NoisedSegment) for s in row_of(replace(rows, drawn=0.0), 3, 1, "perception", 1).segments)


def test_branches_are_learned_as_if_alone(rows: TraceRows, bundle: Bundle):
    row = row_of(rows, 4, 3, "interleaved", 3)
    geometry = bundle.processor.geometry
    leaves = [place for place in range(len(row.segments)) if place not in row.parent_of]
    with torch.no_grad():
        whole = bundle.model.losses(pack([row], geometry))
        alone = []
        for leaf in leaves:
            chain = [leaf]
            while (parent := row.parent_of[chain[0]]) >= 0:
                chain.insert(0, parent)
            alone.append(bundle.model.losses(pack([Row(tuple(row.segments[i] for i in chain))], geometry)))
    assert float(sum(loss.mse_sum for loss in alone)) == pytest.approx(float(whole.mse_sum), abs=1e-3)
    assert whole.ce_count <= sum(loss.ce_count for loss in alone)


def test_a_grey_run_sees_nothing(rows: TraceRows):
    blind = replace(rows, grey=True)
    for scene in (0, 1):
        row = row_of(blind, 6, scene, "interleaved", 3)
        for segment in row.segments:
            assert not isinstance(segment, NoisedSegment)
            if isinstance(segment, VitSegment):
                assert _is_grey(segment)
            if isinstance(segment, LatentSegment):
                assert torch.equal(segment.latent_zhw, grey_latent(rows))
        seen = row_of(rows, 6, scene, "interleaved", 3)
        texts, seen_texts = ([s.ids for s in r.segments if isinstance(s, TextSegment)] for r in (row, seen))
        assert texts == seen_texts


def grey_latent(rows: TraceRows) -> torch.Tensor:
    grey = grey_picture(rows.maps.examples[0].image)
    return rows.maps.latents.get(lambda: rows.maps.processor.vae_pixels(grey))


def _is_grey(segment: VitSegment) -> bool:
    return torch.allclose(segment.pixels_CHW, torch.full_like(segment.pixels_CHW, GREY_PIXEL), atol=1e-5)


def test_maps_are_read_with_the_picture_hidden_in_about_half_of_the_rows(rows: TraceRows, bundle: Bundle):
    hidden = []
    for number in range(16):
        row = row_of(rows, number, number % 4, "reading", 3)
        picture, *maps = [segment for segment in row.segments if isinstance(segment, VitSegment)]
        assert len(maps) == 3 and not any(_is_grey(each) for each in maps)
        hidden.append(_is_grey(picture))
        latent = next(segment.latent_zhw for segment in row.segments if isinstance(segment, LatentSegment))
        assert torch.equal(latent, grey_latent(rows)) == hidden[-1]
        assert any(isinstance(segment, NoisedSegment) for segment in row.segments) != hidden[-1]
        assert len(_learned(row, bundle)) == 6
    assert 3 <= sum(hidden) <= 13


def test_batches_depend_on_seed_and_row_alone_and_have_one_kind_each(rows: TraceRows, tmp_path: Path):
    mixture = {"interleaved": 1.0, "direct": 1.0, "grounding": 1.0, "reading": 1.0, "replay": 1.0}
    optimiser = Optimiser(4, 2, 1e-3)
    questions = {"interleaved": 1, "direct": 2, "grounding": 3, "reading": 2}
    recipe = SftRecipe(
        out=tmp_path, data=tmp_path, val=tmp_path, optimiser=optimiser, init=tmp_path, mixture=mixture, questions=questions
    )
    batches = TraceBatches(rows, recipe)
    for first in (0, 2, 4, 6, 8):
        assert batches.kind(first) == batches.kind(first + 1)
        one, two = batches(range(first, first + 2)), batches(range(first, first + 2))
        assert torch.equal(one.text.ids_T, two.text.ids_T) and torch.equal(one.targets.velocity_MD, two.targets.velocity_MD)
    assert {batches.kind(2 * step) for step in range(40)} == set(mixture)


@pytest.mark.parametrize("kind", ["interleaved", "perception", "reading"])
def test_maps_are_learnt_at_the_size_at_which_the_model_draws(kind, rows: TraceRows, records, bundle: Bundle, tmp_path: Path):
    large = [
        SceneRecord(
            *(np.kron(each, np.ones((2, 2, 1) if each.ndim == 3 else (2, 2), each.dtype)) for each in arrays), record.scene
        )
        for record in records
        for arrays in [(record.rgb, record.depth_m, record.labels, record.instances)]
    ]
    write_info(tmp_path, SetInfo(len(large), 11, "train", 64, 4))
    write_shard(shard_path(tmp_path, 0), large)
    assert isinstance(rows.source, SceneLessons)
    wide = replace(rows, source=replace(rows.source, examples=SceneExamples(tmp_path)))
    side = bundle.processor.vae.size(64, 64).width // 2 // bundle.processor.geometry.latent_patch  # the autoencoder halves once
    found = 0
    for number in range(6):
        row = wide.tree(number, wide.group(number, number % 4, kind, 2))
        targets = [segment for segment in row.segments if isinstance(segment, NoisedSegment)]
        assert all(segment.grid == (side, side) for segment in targets)
        found += len(targets)
        bundle.model.losses(pack([row], bundle.processor.geometry))  # every picture fits the network
    assert found


def asked_in(rows: TraceRows, kind: str, numbers: range) -> set[tuple[str, str]]:
    """The id of the question and its text in all rows of a kind."""
    groups = [rows.group(number, number % 4, kind, 3) for number in numbers]
    return {(trace.question.id, trace.question.text) for group in groups for trace in group.traces}


@pytest.mark.parametrize("kind", ["text", "interleaved", "direct"])
def test_a_fixed_set_of_traces_is_all_that_rows_of_modes_ask(kind, rows: TraceRows, examples: SceneExamples):
    assert isinstance(rows.source, SceneLessons)
    fixed = fixed_questions(examples, 7, 0)
    source = replace(rows.source, fixed=fixed)
    known = {(question.id, question.prompt) for each in fixed for question in each.questions}
    assert len(known) == 7
    for seed in (0, 5):  # the set does not depend on the seed of the run
        assert asked_in(replace(rows, source=replace(source, seed=seed)), kind, range(40)) == known
    assert len(asked_in(rows, kind, range(40))) > 30
    lessons = replace(rows, source=source)
    scenes = {lessons.group(number, number % 4, "finding", 2).traces[0].question.images[0].tobytes() for number in range(4)}
    assert len(scenes) == 4


def test_a_fixed_set_that_the_scenes_do_not_give_is_refused(examples: SceneExamples):
    with pytest.raises(CooperError, match=r"traces is 100, but the scenes of .* give 16"):
        fixed_questions(examples, 100, 0)


def test_lessons_in_finding_tell_no_metres(rows: TraceRows, bundle: Bundle):
    learned = [text for number in range(8) for text in _learned(row_of(rows, number, number % 4, "finding", 6), bundle)]
    assert len(learned) > 30 and not any(re.search(r"\d m\b", text) for text in learned)
    assert any("wide" in text for text in learned)


def test_a_map_is_read_from_its_own_latent(rows: TraceRows, bundle: Bundle):
    """With the `vae` view of maps, as the published training feeds them: the latent of the map, not of the picture."""
    both = replace(rows, views=replace(rows.views, map=("vae", "vit")), drawn=0.0)
    for number in range(6):
        group = both.group(number, number % 4, "perception", 1)
        latents = [s.latent_zhw for s in both.tree(number, group).segments if isinstance(s, LatentSegment)]
        pictures = [group.traces[0].question.images[0], *(step.image for step in group.traces[0].maps)]
        assert len(latents) == len(pictures) == 3
        for latent, picture in zip(latents, pictures, strict=True):
            wanted = bundle.model.vae.latents(bundle.processor.vae_pixels(picture)[None])[0]
            torch.testing.assert_close(latent, wanted, rtol=1e-3, atol=1e-3)
        assert not torch.allclose(latents[0], latents[1], atol=0.05)
