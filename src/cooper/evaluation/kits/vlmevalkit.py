"""Our model inside an installed VLMEvalKit, and a run of the kit that cannot fail in silence."""

import hashlib
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cooper.data.item import QUESTION_TYPES
from cooper.errors import CooperError
from cooper.evaluation.benchmarks.tables import read_table
from cooper.evaluation.kits import installed_vlmeval as kit
from cooper.evaluation.kits.answering import Answerer, KitModel, question_of_parts
from cooper.evaluation.kits.vlmeval_sibench import SIBench
from cooper.evaluation.runs.folder import open_run
from cooper.evaluation.runs.settings import check_modes
from cooper.trace.steps import Question

JUDGE = "exact_matching"  # the kit's rules; a judge without a key is given up in silence
_UNSET = ("MMEVAL_ROOT", "SPLIT_THINK", "SKIP_ERR", "FWD_API")  # would move the results, or hide what fails
_log = logging.getLogger(__name__)


class Reply(dict[str, str]):
    """The kit's record of a row, `prediction` and `extra_records`; its text is the prediction alone.

    The kit makes two columns of it if all rows are such records. In a run that goes on some are not, and it takes their text.
    """

    def __str__(self) -> str:
        return self["prediction"]


class CooperVLM(kit.BaseModel):
    """A model of ours for the kit. Reads pictures and texts in any order, but no video.

    A reply is what `answering.final_reply` says. The whole trace is in the column `extra_records`, as JSON, and in the folder
    `traces` (one folder a row) where that is named. A question that cannot be asked is answered with the kit's own mark of a
    failed row; the reason is in `extra_records` under "error".
    """

    INTERLEAVE = True

    def __init__(self, model_path: str = "nano", **settings: Any) -> None:
        """`settings`: those of `KitModel`."""
        super().__init__()
        self.answerer = Answerer.of(KitModel(model_path, **settings))

    def generate(self, message: Any, dataset: str | None = None) -> Reply:
        """As the kit has it, but with the trace beside the reply."""
        content = self.preproc_content(message)
        if content is None:
            raise CooperError(f"the kit's message is neither text nor a list of parts: {str(message)[:80]!r}")
        return self.reply(content, dataset)

    def generate_inner(self, message: Sequence[Mapping[str, str]], dataset: str | None = None) -> str:
        """The final answer to one message, a list of `{type: image | text, value}`."""
        return str(self.reply(message, dataset))

    def reply(self, message: Sequence[Mapping[str, str]], dataset: str | None = None) -> Reply:
        """The final answer and the record of its trace."""
        try:
            (found,) = self.answerer.answer([question_of_message(message)], dataset or "")
        except CooperError as error:
            _log.warning("a row of %s failed: %s", dataset, error)
            return Reply(prediction=kit.FAIL_MSG, extra_records=json.dumps({"error": str(error)}))
        return Reply(prediction=found.text, extra_records=json.dumps(found.record(), ensure_ascii=False))


def question_of_message(message: Sequence[Mapping[str, str]]) -> Question:
    """The kit's parts as one question. CooperError: a part that is neither text nor picture, or as `question_of_parts`."""
    for part in message:
        if part["type"] not in ("image", "text"):
            raise CooperError(f"a message holds a part of type {part['type']!r}; only text and pictures are read")
    names = [part["id"] for part in message if "id" in part]
    parts = [Path(part["value"]) if part["type"] == "image" else part["value"] for part in message]
    return question_of_parts(parts, names[0] if names else "")


def register() -> None:
    """Let the kit know our model (`cooper-nano`, class `CooperVLM`) and SIBench. A second call changes nothing."""
    kit.supported_models["cooper-nano"] = partial(CooperVLM)
    kit.models.CooperVLM = CooperVLM
    kit.datasets.SIBench = SIBench
    if SIBench not in kit.datasets.DATASET_CLASSES:
        kit.datasets.DATASET_CLASSES.insert(0, SIBench)
        kit.datasets.SUPPORTED_DATASETS.extend(SIBench.supported_datasets())


@dataclass(frozen=True)
class KitResult:
    """What a run of the kit came to: its figures by name, and where its table of predictions and our traces are."""

    rows: int
    metrics: Mapping[str, float]
    predictions: Path
    traces: Path


@dataclass(frozen=True)
class _Table:
    """A TSV file and the class of the kit that reads it; `rows`: how many must be answered, 0 if the class loses none."""

    path: Path
    reader: str
    rows: int

    @property
    def name(self) -> str:
        return self.path.stem

    def config(self, model: str) -> dict[str, Any]:
        """The kit's configuration for this table and a model that it knows."""
        source = {"source": str(self.path)} if self.reader == SIBench.__name__ else {}
        return {"model": {model: {}}, "data": {self.name: {"class": self.reader, "dataset": self.name, **source}}}


def run_vlmeval(model: KitModel, data: str, out: Path, limit: int | None = None) -> KitResult:
    """Put one TSV file, or a data set that the kit knows by name, to a model by the kit's own `main`, and read the outcome.

    A broken run goes on in the same `out`. CooperError: rows that failed or were left out, for which the kit prints a score all
    the same; a data set that it gave up; another run in `out`.
    """
    check_modes([model.mode])
    if limit is not None and limit < 1:
        raise CooperError(f"limit must be at least 1, got {limit}")
    table = _table(Path(data)) if Path(data).is_file() else None
    register()
    if table is None and data not in kit.datasets.SUPPORTED_DATASETS:
        raise CooperError(f"{data} is neither a TSV file nor a data set that the kit knows by name")
    digest = hashlib.sha256(table.path.read_bytes()).hexdigest() if table else ""
    open_run(out, {"kit": "vlmeval", "data": data, "table": digest, "limit": limit, **model.record})
    name, known = f"cooper-{model.mode}", table.name if table else data
    folder = out.resolve() / name
    settings = asdict(replace(model, traces=str(folder / "traces")))
    vlm = CooperVLM(settings.pop("name"), **settings)
    arguments = ["--work-dir", str(out.resolve()), "--judge", JUDGE, *(["--limit", str(limit)] if limit else [])]
    arguments += _prepared(table, out.resolve() / "kit", name) if table else ["--model", name, "--data", data]
    for stale in (folder / "status.json", *folder.glob(f"{name}_{known}_*")):  # scores that the kit would take over unseen
        stale.unlink(missing_ok=True)
    kit.supported_models[name] = lambda: vlm
    try:
        with _as_if_called(arguments, {"PRED_FORMAT": "tsv"} | ({"LMUData": str(out.resolve() / "kit")} if table else {})):
            kit.main()
    finally:
        del kit.supported_models[name]
    wanted = min(table.rows, limit or table.rows) if table else 0
    return _outcome(folder, known, wanted)


def _table(path: Path) -> _Table:
    rows = read_table(path, ("index", "question", "answer"), key="index")
    if rows[0].get("type") in QUESTION_TYPES:
        return _Table(path.resolve(), SIBench.__name__, 0)
    if rows[0].get("A") and rows[0].get("B"):
        return _Table(path.resolve(), "CustomMCQDataset", len(rows))
    raise CooperError(f"{path}: row 1 has neither a type ({', '.join(QUESTION_TYPES)}) nor options A and B")


def _prepared(table: _Table, home: Path, model: str) -> list[str]:
    """Make the kit's data folder for one table, so that no picture of another is taken, and say where the configuration is."""
    home.mkdir(parents=True, exist_ok=True)
    link = home / f"{table.name}.tsv"
    link.unlink(missing_ok=True)
    link.symlink_to(table.path)
    config = home / "config.json"
    config.write_text(json.dumps(table.config(model), indent=1) + "\n", encoding="utf-8")
    return ["--config", str(config)]


@contextmanager
def _as_if_called(arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[None]:
    """The kit's command line and environment; both are put back afterwards. TSV keeps replies that Excel would compute."""
    argv, before = sys.argv, dict(os.environ)
    sys.argv = ["run.py", *arguments]
    for name in _UNSET:
        os.environ.pop(name, None)
    os.environ.update(environment)
    try:
        yield
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(before)


def _outcome(folder: Path, data: str, wanted: int) -> KitResult:
    told = {row["benchmark"]: row for row in kit.collect_run_benchmark_report(folder)}.get(data)
    if told is None:
        raise CooperError(f"the kit reports nothing about {data} in {folder}")
    reason = told["eval_error"] if told["eval_error"] is not None else told["skip_reason"]
    if reason is not None:
        raise CooperError(f"the kit gave {data} up: {reason or 'it does not say why; see its log'}")
    status = kit.load_run_status(folder)["datasets"][data]
    failed, rows, path = told["infer_failed"], told["infer_total"], folder / status["prediction_file"]
    if failed:
        raise CooperError(f"{failed} of {rows} rows of {data} failed inside the kit, whose score counts them as wrong: {path}")
    if not rows or rows < wanted:
        raise CooperError(f"the kit answered {rows} of {wanted} rows of {data}, and left the others out: {path}")
    if not status.get("metrics"):
        raise CooperError(f"the kit answered {rows} rows of {data}, but has no score for them: {path}")
    return KitResult(rows, status["metrics"], path, folder / "traces")
