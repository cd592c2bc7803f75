"""SIBench as a data set of VLMEvalKit: our reading of its tables, our wording, our scores."""

import json
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.benchmarks.catalogue import BENCHMARKS, read_benchmark
from cooper.evaluation.benchmarks.items import BenchmarkSet
from cooper.evaluation.benchmarks.sibench import read_sibench
from cooper.evaluation.kits import installed_vlmeval as kit
from cooper.evaluation.replies.answers import Score
from cooper.evaluation.runs.answering import score_reply

NAMES = tuple(name for name in BENCHMARKS if name.startswith("sibench"))
_TABLES = {".tsv": partial(pd.read_csv, sep="\t"), ".xlsx": pd.read_excel}


class SIBench(kit.ImageBaseDataset):
    """The rows of one table or of all. `dataset`: a name of `NAMES`, or any with a `source`.

    `source`: a TSV file or a folder of them; without one `<dataset>.tsv` in the kit's data folder, else the hub. Replies are
    read and compared by our rules; nothing in them is ever evaluated.
    """

    TYPE = "VQA"
    DATASET_URL = dict.fromkeys(NAMES, "")

    def __init__(self, dataset: str = "sibench", source: str = "") -> None:
        table = Path(kit.LMUDataRoot(), f"{dataset}.tsv")
        found = _read(dataset, source or (str(table) if table.is_file() else ""))
        self.items: Mapping[str, Item] = {item.id: item for item in found.items}
        super().__init__(dataset)

    def load_data(self, dataset: str) -> pd.DataFrame:
        """The kit's table. It holds no pictures: they are written out when a question is asked."""
        rows = [(item.id, item.question.text, item.truth, item.type, item.category) for item in self.items.values()]
        return pd.DataFrame(rows, columns=["index", "question", "answer", "type", "category"])

    def dump_image(self, line: Mapping[str, Any]) -> list[str]:
        """Write a row's pictures as files; they replace what an earlier table of this name left there."""
        item, folder = self.items[str(line["index"])], Path(self.img_root)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{item.id}_{place}.png" for place in range(len(item.question.images))]
        for path, image in zip(paths, item.question.images, strict=True):
            image.save(path)
        return [str(path) for path in paths]

    def build_prompt(self, line: int | Mapping[str, Any]) -> list[dict[str, str]]:
        """Pictures, then the question as our own evaluation words it. `id` lets our model name it alike."""
        row = self.data.iloc[line] if isinstance(line, int) else line
        item = self.items[str(row["index"])]
        pictures = [{"type": "image", "value": path} for path in self.dump_image(row)]
        return [*pictures, {"type": "text", "value": item.question.text, "id": item.id}]

    def evaluate(self, eval_file: str, **judge: Any) -> dict[str, float]:
        """`Overall` and one figure per setting: means of the published score; `Accuracy`: the share right. No judge is asked.

        A row that failed counts as wrong.
        """
        predictions = read_predictions(Path(eval_file))
        unknown = [index for index in predictions if index not in self.items]
        if unknown or not predictions:
            raise CooperError(f"{eval_file} holds {f'row {unknown[0]!r}' if unknown else 'no rows'}, not those of this table")
        scored = {index: _scored(self.items[index], text) for index, text in predictions.items()}
        rows = [(index, each.extracted, each.correct, each.value) for index, each in scored.items()]
        table = pd.DataFrame(rows, columns=["index", "extracted", "correct", "value"])
        kit.dump(table, kit.get_intermediate_file_path(eval_file, "_result"))
        values: dict[str, list[float]] = defaultdict(list)
        for index, each in scored.items():
            values["Overall"].append(each.value)
            values["Accuracy"].append(float(each.correct))
            values[self.items[index].category].append(each.value)
        return {name: sum(found) / len(found) for name, found in values.items()}


def read_predictions(path: Path) -> dict[str, str]:
    """The replies by row of a table that the kit wrote, letter by letter: "None", "NA" and "007" stay what they are."""
    if path.suffix == ".json":
        rows = json.loads(path.read_text(encoding="utf-8"))
    elif path.suffix in _TABLES:
        rows = _TABLES[path.suffix](path, keep_default_na=False, dtype=str).to_dict("records")
    else:
        raise CooperError(f"{path} is no table of predictions; known: .json, {', '.join(_TABLES)}")
    return {str(row["index"]): str(row["prediction"]) for row in rows}


def _scored(item: Item, reply: str) -> Score:
    return Score(False, 0.0, "") if kit.FAIL_MSG in reply else score_reply(item, reply)


def _read(dataset: str, source: str) -> BenchmarkSet:
    if dataset in BENCHMARKS:
        return read_benchmark(dataset, source)
    if not source:
        raise CooperError(f"{dataset!r} is no name of SIBench; known: {', '.join(NAMES)}")
    return read_sibench(source)
