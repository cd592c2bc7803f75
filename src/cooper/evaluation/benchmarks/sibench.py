"""SIBench, single pictures (Yu et al., 2025): one TSV for each of 13 settings, or one for all of them.

A choice, yes or no, and a whole number are right or wrong; another number scores its mean relative accuracy. The published
figure is the mean of `AnswerRow.value` over all rows.
"""

from dataclasses import dataclass
from pathlib import Path

from cooper.errors import CooperError
from cooper.evaluation.answers import QUESTION_TYPES, QuestionType
from cooper.evaluation.benchmarks.benchmark_set import BenchmarkSet, checked_set, item_id
from cooper.evaluation.benchmarks.options import (
    answer_letter,
    are_stand_ins,
    bare_letter,
    column_options,
    options_in,
    stand_ins,
    truth_text,
)
from cooper.evaluation.benchmarks.pictures import Picture, PictureColumn, StoredQuestion, from_files
from cooper.evaluation.benchmarks.source import find_files, local_data
from cooper.evaluation.benchmarks.tables import Row, read_table
from cooper.evaluation.benchmarks.wording import WANTED, worded
from cooper.evaluation.quantities import quantities
from cooper.evaluation.runner import Item

HUB = "Two-hot/SIBench"
PICTURES = ("*.jpg", "*.jpeg", "*.png", "*.webp", "*.bmp")
SETTINGS = (
    "relative_distance",
    "Reach_Prediction",
    "Height",
    "Existence",
    "Spatial_Compatibility",
    "Coordinate_Conversion",
    "Geometric_Reasoning",
    "Spatial_Imagination",
    "Spatial_Grid",
    "Situational_QA",
    "Maze_Navigation",
    "Occlusion",
    "Spatial_Relation",
)
WHOLE = "SIBench_Single_Image"  # the file that holds all settings
COLUMNS = ("index", "question", "answer", "type")
UNINSTRUCTED = frozenset(  # sources whose questions do not say what kind of answer is wanted
    (
        "vstibench",
        "MMSI-Bench",
        "3DSRBench",
        "OmniSpatial",
        "Spatial-MM",
        "SpatialMQA",
        "VSI-Bench",
        "STI-Bench",
        "SpatialEval",
        "SITE-Bench",
        "SPHERE-VLM",
        "SRBench",
        "BLINK",
    )
)


@dataclass(frozen=True)
class Wanted:
    """What to read: `settings` in order, or the one file of all of them if that is found; `mini`: the small variants.

    `inputs`: kinds of input whose rows are kept; `multi-view` rows have several pictures, videos are never read.
    """

    settings: tuple[str, ...] = SETTINGS
    mini: bool = False
    inputs: tuple[str, ...] = ("image",)

    def __post_init__(self) -> None:
        unknown = [name for name in self.settings if name not in SETTINGS]
        if unknown or not self.settings:
            raise CooperError(f"SIBench has no setting {unknown[0] if unknown else ''!r}; known: {', '.join(SETTINGS)}")

    @property
    def name(self) -> str:
        """How the set is called in reports."""
        whole = self.settings == SETTINGS
        return ("sibench" if whole else "sibench-" + "+".join(self.settings)) + ("-mini" if self.mini else "")


def read_sibench(data: str | Path = HUB, wanted: Wanted | None = None) -> BenchmarkSet:
    """The questions of a folder with `<setting>.tsv` files, of one such file, or of a hub data set.

    Pictures first, then the question; options from the columns A, B .. stand below it, others are in it already. Where
    the published protocol adds an instruction, ours is added. How many rows there should be was never published.
    """
    wanted = wanted or Wanted()
    folder = local_data(data, ("*.tsv", *PICTURES))
    items: list[Item] = []
    notes: list[str] = []
    for setting, path in _files(folder, wanted):
        rows = read_table(path, COLUMNS, key="index")
        kept = [row for row in rows if (row.get("input_type") or "image") in wanted.inputs]
        if len(kept) < len(rows):
            notes.append(f"{path.name}: {len(rows) - len(kept)} rows are no {' or '.join(wanted.inputs)} and were left out")
        pictures = PictureColumn(rows)
        found = [_item(row, setting, _pictures(row, pictures)) for row in kept]
        blind = sum(are_stand_ins(item.choices) for item in found)
        if blind:
            notes.append(f"{path.name}: the options of {blind} rows could not be told from the question; only letters are read")
        items += found
    return checked_set(wanted.name, items, 0, notes)


def _files(folder: Path, wanted: Wanted) -> list[tuple[str, Path]]:
    """Setting and file; "" for the file of all settings, whose rows name their own."""
    ending = "_MINI.tsv" if wanted.mini else ".tsv"
    if folder.is_file():
        stem = folder.stem.removesuffix("_MINI")
        return [(stem if stem in SETTINGS else "", folder)]
    if wanted.settings == SETTINGS:
        whole = [path for path in (folder / f"{WHOLE}{ending}", folder / "data" / f"{WHOLE}{ending}") if path.is_file()]
        if whole:
            return [("", whole[0])]
    names = [(setting, f"{setting}{ending}") for setting in wanted.settings]
    return [(setting, find_files(folder, (name, f"data/{name}"))[0]) for setting, name in names]


def _pictures(row: Row, column: PictureColumn) -> tuple[Picture, ...]:
    if row.get("image"):
        return column.of(row)
    home = row.file.parent
    return from_files(row, "image_path", (home, home / "images", home.parent / "images", home.parent))


def _item(row: Row, setting: str, pictures: tuple[Picture, ...]) -> Item:
    kind = _type(row)
    setting = setting or row.get("setting") or row.get("category") or row.get("task") or WHOLE
    listed = column_options(row) if kind == "MCQ" else ()
    options = (listed or _options_told(row)) if kind == "MCQ" else ()
    needs = row.get("data_source") in UNINSTRUCTED | {""}
    text = worded(row.text("question"), listed, WANTED[kind] if needs else "")
    id = item_id(setting, row.text("index"))
    return Item(
        id=id,
        category=setting,
        group="spatial",
        question=StoredQuestion(pictures, text, id),
        type=kind,
        truth=_truth(row, kind, options),
        choices=options,
        scoring="relative" if kind == "Number" else "tolerance",
    )


def _type(row: Row) -> QuestionType:
    for known in QUESTION_TYPES:
        if known == row.text("type"):
            return known
    raise row.fault("type", f"{row.text('type')!r} is none of {', '.join(QUESTION_TYPES)}")


def _options_told(row: Row) -> tuple[str, ...]:
    """The options in the question's text, or stand-ins when they are not told or the right one is not among them."""
    told, letter = options_in(row.text("question")), bare_letter(row.text("answer"))
    if told and (not letter or ord(letter) - ord("A") < len(told)):
        return told
    return stand_ins(letter)


def _truth(row: Row, kind: QuestionType, options: tuple[str, ...]) -> str:
    answer = row.text("answer")
    if kind == "MCQ":
        return truth_text(answer_letter(row, "answer", options), options)
    if kind == "YN":
        word = answer.split()[0].strip(".,;:!").lower()
        if word not in ("yes", "no"):
            raise row.fault("answer", f"{answer!r} is neither yes nor no")
        return word
    found = quantities(answer, lengths=False)
    if len(found) != 1 or (found[0].start, found[0].end) != (0, len(answer)):
        raise row.fault("answer", f"{answer!r} is not one number")
    return repr(found[0].value)
