"""`cooper data curate` from its options: the teacher, the estimate, the run, and the files that it leaves."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from cooper.curation.teaching.card import CostEstimate, Prices, write_card
from cooper.curation.teaching.curate import CurateSettings, Curation, KindedQuestions, done_in, told
from cooper.curation.teaching.rows import TRACES, write_files
from cooper.curation.teaching.teachers import RemoteTeacher, SceneTeacher, Teacher
from cooper.errors import CooperError
from cooper.evaluation.judge.endpoint import JudgeSettings, shown_url
from cooper.evaluation.maps.drawing import modality_of
from cooper.reasoning.cooper import Cooper
from cooper.scenes.problems import SceneTasks

SCENES = "scenes"
PATIENCE_S, RETRIES = 180.0, 5  # for one turn, and after the first try at it


@dataclass(frozen=True)
class TeacherOptions:
    """How the teacher is asked. `url`: its address, or `scenes`. `estimate`: only say what it will take."""

    url: str
    model: str
    key: str
    temperature: float
    max_tokens: int
    price_in: float
    price_out: float
    estimate: bool

    @property
    def by_scenes(self) -> bool:
        return self.url == SCENES

    def settings(self, cache: CurateSettings) -> JudgeSettings:
        """Of the endpoint. CooperError: a setting that is none."""
        if not self.model:
            raise CooperError("a teacher behind an address needs --teacher-model NAME")
        return JudgeSettings(
            self.url, self.model, self.key, cache=cache.out / "teacher", max_tokens=self.max_tokens,
            temperature=self.temperature, timeout=PATIENCE_S, retries=RETRIES, who="teacher",
        )  # fmt: skip


def curate_questions(questions: object, settings: CurateSettings, asked: TeacherOptions, load: Callable[[], Cooper]) -> str:
    """Run, or only estimate, and say in one line what came of it; `load` gives the model that draws. CooperError: options that
    do not fit, or questions that got no reply."""
    known, prices = cast(KindedQuestions, questions), Prices(tokens_in=asked.price_in, tokens_out=asked.price_out)
    if asked.by_scenes and not isinstance(questions, SceneTasks):
        raise CooperError("--teacher scenes knows rendered scenes only; give --data the folder of a scene set")
    endpoint = None if asked.by_scenes else asked.settings(settings)
    left = min(len(known), settings.limit or len(known)) - len(done_in(settings.out))
    needs = CostEstimate.of(max(0, left), settings).told(prices) if endpoint else "no requests"
    if asked.estimate:
        return f"{max(0, left):,} questions: {needs}"
    door = load()
    for name in settings.maps:
        modality_of(door, name)
    prompts = door.engine.parts.prompts
    teacher: Teacher
    if endpoint is None:
        assert isinstance(questions, SceneTasks)
        teacher = SceneTeacher(questions, prompts, door.modalities)
    else:
        print_estimate(f"{max(0, left):,} questions: {needs}", settings.quiet)
        teacher = RemoteTeacher(endpoint)
    curated = Curation(door, prompts, teacher, known, settings).run()
    write_files(settings.out)
    write_card(settings.out, settings, "" if endpoint is None else shown_url(endpoint.url), teacher.counts, prices)
    if curated.silent:
        raise CooperError(f"{curated.silent} questions got no reply: {curated.fault}; the same command puts them again")
    return f"{settings.out / TRACES}: {told(curated)}"


def print_estimate(line: str, quiet: bool) -> None:
    """On standard error, before anything is asked."""
    if not quiet:
        print(line, file=sys.stderr)
