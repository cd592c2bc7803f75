"""How a model in training draws and answers: maps of held-out scenes and questions about them, with the engine that
inference uses."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image

from cooper.data.batches import rng_of
from cooper.evaluation.replies.answers import score
from cooper.files.pictures import grey_picture
from cooper.model.config import DrawingDefaults
from cooper.perception import Modality
from cooper.reasoning.context import begin
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.reasoning.denoising import Drawer, DrawnLatents, draw
from cooper.scenes.arrays import DrawnMaps, ScenePictures, map_scores
from cooper.scenes.questions.categories import balanced_questions
from cooper.scenes.questions.question import SceneQuestion
from cooper.sequence.segments import TextSegment, tokens_latent
from cooper.trace.steps import Mode, Question
from cooper.training.bundles import Bundle
from cooper.training.stages.rows import MapRows, room_modalities

TURN_TOKENS = 128  # the longest turn that is waited for


@dataclass(frozen=True, eq=False)
class AnswerExam:
    """The same questions each time. With `grey`, the model is shown a grey picture."""

    pictures: ScenePictures
    modes: tuple[Mode, ...]
    count: int
    grey: bool = False

    def figures(self, bundle: Bundle) -> Mapping[str, float]:
        """Per mode: accuracy over all questions, and over those of the spatial group, a mean of its categories."""
        door = Cooper.of(bundle.model.eval(), bundle.processor, bundle.prompts)
        asked = self.questions()
        found: dict[str, float] = {}
        for mode in self.modes:
            options = door.options(mode, Sampling(max_tokens=TURN_TOKENS))
            traces = door.batch([self._shown(question) for question in asked], options)
            right = [
                score(trace[0].answer or "", question.type, question.answer, question.choices, question.tolerance).correct
                for trace, question in zip(traces, asked, strict=True)
            ]
            found[f"{mode}_accuracy"] = float(np.mean(right))
            found[f"{mode}_spatial"] = _mean_of_categories(asked, right)
            found[f"{mode}_maps"] = float(np.mean([len(trace[0].maps) for trace in traces]))
        return found

    def questions(self) -> tuple[SceneQuestion, ...]:
        """Balanced over categories, one or two per scene."""
        scenes = self.pictures.scenes
        each = -(-self.count // len(scenes))
        return balanced_questions(scenes[: -(-self.count // each)], 0, each)[: self.count]

    def _shown(self, question: SceneQuestion) -> Question:
        index = next(
            i for i, scene in enumerate(self.pictures.scenes) if question.id.startswith(f"{scene.split}-{scene.seed}-")
        )
        picture = Image.fromarray(self.pictures.rgb[index])
        return Question((grey_picture(picture) if self.grey else picture, question.prompt), id=question.id)


def _mean_of_categories(asked: tuple[SceneQuestion, ...], right: list[bool]) -> float:
    by_category: dict[str, list[bool]] = defaultdict(list)
    for question, correct in zip(asked, right, strict=True):
        if question.group == "spatial":
            by_category[question.category].append(correct)
    return float(np.mean([np.mean(results) for results in by_category.values()])) if by_category else float("nan")


@dataclass(frozen=True, eq=False)
class MapExam:
    """Draws maps of held-out scenes with the sampler that inference uses, and scores them."""

    rows: MapRows
    modalities: Mapping[str, Modality]
    settings: DrawingDefaults
    count: int

    @torch.no_grad()
    def drawn(self, bundle: Bundle) -> DrawnMaps:
        """Both maps of the first `count` scenes."""
        return DrawnMaps(*(self._drawn(bundle, name) for name in ("depth", "segmentation")))

    def _drawn(self, bundle: Bundle, name: str) -> np.ndarray:
        model, geometry = bundle.model, bundle.processor.geometry
        request = TextSegment(bundle.processor.encode(bundle.prompts.requests[name]))
        contexts = begin(model, geometry, [[*self.rows.read(scene, False), request] for scene in range(self.count)])
        side = self.rows.pictures.rgb.shape[1] // model.vae.geometry.downsampling // geometry.latent_patch
        grid, shape = (side, side), (side * side, geometry.latent_width)
        noises = [torch.from_numpy(rng_of(scene, 11).standard_normal(shape, dtype=np.float32)) for scene in range(self.count)]
        drawers = [Drawer(context, grid, noise) for context, noise in zip(contexts, noises, strict=True)]
        *_, last = draw(model, geometry, drawers, self.settings)
        assert isinstance(last, DrawnLatents)
        latents_BZhw = torch.stack([tokens_latent(latent, grid, geometry.latent_patch) for latent in last.latents])
        return model.vae.decode(latents_BZhw).float().permute(0, 2, 3, 1).cpu().numpy()

    def scores(self, drawn: DrawnMaps) -> dict[str, float]:
        """`drawn` against the truth."""
        return map_scores(drawn, self.rows.pictures, self.modalities)


def exam_sheet(pictures: ScenePictures, drawn: DrawnMaps, modalities: Mapping[str, Modality], count: int = 8) -> Image.Image:
    """One row per scene: picture, true and drawn depth, true and drawn segmentation."""
    rows = []
    for scene in range(min(count, len(drawn.depth))):
        cells = [pictures.picture(scene, "rgb", modalities)]
        for name, maps in (("depth", drawn.depth), ("segmentation", drawn.segmentation)):
            pair = (pictures.picture(scene, name, modalities), maps[scene])
            cells += [np.asarray(modalities[name].render(picture), dtype=np.float32) / 255 for picture in pair]
        rows.append(np.concatenate(cells, axis=1))
    return Image.fromarray((np.concatenate(rows).clip(0, 1) * 255).astype(np.uint8))


def exam_settings(defaults: DrawingDefaults) -> DrawingDefaults:
    """Inference settings without guidance."""
    return replace(defaults, text_scale=1.0, image_scale=1.0)


def map_exam(bundle: Bundle, rows: MapRows, scenes: int) -> MapExam:
    """Draws and scores the maps of the first `scenes` held-out scenes."""
    settings = exam_settings(bundle.model.config.drawing_defaults)
    return MapExam(rows, room_modalities(bundle.model), settings, min(scenes, len(rows.pictures)))
