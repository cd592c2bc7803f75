"""SIBench, single pictures (Yu et al., 2025): one TSV for each of 13 settings, or one for all of them.

A choice, yes or no, and a whole number are right or wrong; another number scores its mean relative accuracy. The published
figure is the mean of `AnswerRow.value` over all rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cooper.data.item import QUESTION_TYPES, Item, QuestionType
from cooper.errors import CooperError
from cooper.evaluation.benchmarks.items import (
    WANTED,
    BenchmarkSet,
    answer_letter,
    are_stand_ins,
    bare_letter,
    checked_set,
    column_options,
    item_id,
    stand_ins,
    truth_text,
    worded,
)
from cooper.evaluation.benchmarks.tables import PictureColumn, TableRow, from_files, pictures_or_fault, read_table
from cooper.evaluation.replies.numbers.quantities import quantities
from cooper.files.hub import find_files, local_data
from cooper.files.pictures import LazyPicture
from cooper.trace.asked import options_in
from cooper.trace.steps import Question

HUB = "Two-hot/SIBench"
PICTURES = ("*.jpg", "*.jpeg", "*.png", "*.webp", "*.bmp")
SETTINGS = ("relative_distance", "Reach_Prediction", "Height", "Existence", "Spatial_Compatibility")
SETTINGS += ("Coordinate_Conversion", "Geometric_Reasoning", "Spatial_Imagination", "Spatial_Grid")
SETTINGS += ("Situational_QA", "Maze_Navigation", "Occlusion", "Spatial_Relation")
# settings of SIBench that the published single-picture class leaves out
OTHERS = ("Object_Shape", "Counting", "Route_Planning", "Trajectory_Description", "Object_Size_Estimation")
OTHERS += ("Velocity_Acceleration", "Temporal-Appearance_Order", "Camera_Pose", "multi-view_reasoning")
OTHERS += ("Object_Localization",)
KNOWN = {name.lower(): name for name in (*SETTINGS, *OTHERS)}
WHOLE = "SIBench_Single_Image"  # the file that holds all settings
COLUMNS = ("index", "question", "answer", "type")
# sources whose questions do not say what kind of answer is wanted
UNINSTRUCTED = frozenset({"vstibench", "MMSI-Bench", "3DSRBench", "OmniSpatial", "Spatial-MM", "SpatialMQA", "VSI-Bench"})
UNINSTRUCTED |= {"STI-Bench", "SpatialEval", "SITE-Bench", "SPHERE-VLM", "SRBench", "BLINK"}


@dataclass(frozen=True)
class SibenchSubset:
    """What to read: `settings` in order, or the one file of all of them if that is found; `mini`: the small variants.

    `inputs`: kinds of input whose rows are kept. `multi-view` rows have several pictures; they are kept in the file of all
    settings in any case, as by the published class that reads it. Videos are never read.
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


def read_sibench(data: str | Path = HUB, wanted: SibenchSubset | None = None) -> BenchmarkSet:
    """The questions of a folder with `<setting>.tsv` files, of one such file, or of a hub data set.

    Pictures first, then the question; options from the columns A, B .. stand below it, others are in it already. Where
    the published protocol adds an instruction, ours is added. Rows that name another setting than those wanted are left out,
    with a note. How many rows there should be was never published.
    """
    wanted = wanted or SibenchSubset()
    folder = local_data(data, ("*.tsv", *PICTURES))
    items: list[Item] = []
    notes: list[str] = []
    for setting, path in _files(folder, wanted):
        rows = read_table(path, COLUMNS, key="index")
        kept = _kept(rows, wanted, bool(setting))
        pictures = PictureColumn(rows)
        shown = [pictures_or_fault(row, partial(_pictures, row, pictures)) for row in kept]
        found = [_item(row, setting or _setting(row), each) for row, each in zip(kept, shown, strict=True)]
        notes += [f"{path.name}: {note}" for note in (*_notes(rows, wanted, bool(setting)), *_item_notes(found))]
        items += found
    return checked_set(wanted.name, items, 0, notes)


def _files(folder: Path, wanted: SibenchSubset) -> list[tuple[str, Path]]:
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


def _setting(row: TableRow) -> str:
    """The setting that a row of the whole file names, in its published spelling; the file's name where it names none."""
    named = row.get("setting") or row.get("category") or row.get("task")
    return KNOWN.get(named.lower(), named) or WHOLE


def _is_wanted(row: TableRow, wanted: SibenchSubset, single: bool) -> bool:
    """Whether a row does not belong to a setting that is not wanted. `single`: its file holds one setting."""
    return single or _setting(row) in wanted.settings or _setting(row).lower() not in KNOWN


def _is_read(row: TableRow, wanted: SibenchSubset, single: bool) -> bool:
    """Whether a row has an input that is read."""
    return (row.get("input_type") or "image") in (wanted.inputs if single else (*wanted.inputs, "multi-view"))


def _kept(rows: Sequence[TableRow], wanted: SibenchSubset, single: bool) -> list[TableRow]:
    return [row for row in rows if _is_wanted(row, wanted, single) and _is_read(row, wanted, single)]


def _notes(rows: Sequence[TableRow], wanted: SibenchSubset, single: bool) -> Iterator[str]:
    """What a reader of the figures must know of rows that were left out, or kept and are unlike the others."""
    mine = [row for row in rows if _is_wanted(row, wanted, single)]
    if len(mine) < len(rows):
        names = sorted({_setting(row) for row in rows if not _is_wanted(row, wanted, single)})
        yield f"{len(rows) - len(mine)} rows of other settings ({', '.join(names)}) were left out"
    unread = sum(not _is_read(row, wanted, single) for row in mine)
    if unread:
        yield f"{unread} rows are no {' or '.join(wanted.inputs)} and were left out"
    several = sum(row.get("input_type") == "multi-view" for row in mine)
    if several and not single:
        yield f"{several} rows have several pictures and are asked, as the published class does"


def _item_notes(items: Sequence[Item]) -> Iterator[str]:
    blind = sum(are_stand_ins(item.choices) for item in items)
    if blind:
        yield f"the options of {blind} rows could not be told from the question; only letters are read"
    nameless = sum(item.category == WHOLE for item in items)
    if nameless:
        yield f"{nameless} rows name no setting, so whether it is one of the {len(SETTINGS)} is not checked"


def _pictures(row: TableRow, column: PictureColumn) -> tuple[LazyPicture, ...]:
    if row.get("image"):
        return column.of(row)
    home = row.file.parent
    return from_files(row, "image_path", (home, home / "images", home.parent / "images", home.parent))


def _item(row: TableRow, setting: str, pictures: tuple[LazyPicture, ...]) -> Item:
    kind = _type(row)
    listed = column_options(row) if kind == "MCQ" else ()
    options = (listed or _options_told(row)) if kind == "MCQ" else ()
    needs = row.get("data_source") in UNINSTRUCTED | {""}
    text = worded(row.text("question"), listed, WANTED[kind] if needs else "")
    id = item_id(setting, row.text("index"))
    return Item(
        id=id,
        category=setting,
        group="spatial",
        question=Question((*pictures, text), id=id),
        type=kind,
        truth=_truth(row, kind, options),
        choices=options,
        scoring="relative" if kind == "Number" else "tolerance",
    )


def _type(row: TableRow) -> QuestionType:
    for known in QUESTION_TYPES:
        if known == row.text("type"):
            return known
    raise row.fault("type", f"{row.text('type')!r} is none of {', '.join(QUESTION_TYPES)}")


def _options_told(row: TableRow) -> tuple[str, ...]:
    """The options in the question's text, or stand-ins when they are not told or the right one is not among them."""
    told, letter = options_in(row.text("question")), bare_letter(row.text("answer"))
    if told and (not letter or ord(letter) - ord("A") < len(told)):
        return told
    return stand_ins(letter)


def _truth(row: TableRow, kind: QuestionType, options: tuple[str, ...]) -> str:
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
