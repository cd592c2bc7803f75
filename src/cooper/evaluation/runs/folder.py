"""The folder of a run: which run it holds, over which data, and the rows that its processes wrote there."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cooper.errors import CooperError
from cooper.evaluation.replies import RULES_VERSION
from cooper.evaluation.runs.processes import PATIENCE, Share, wait_for_others
from cooper.files.rows import Line, Row, read_lines, read_object, write_whole

FILE = "run.json"
RULES, QUESTIONS = "rules", "questions"  # fields of run.json beside the settings: version of the rules; digests by question
PICTURES = "pictures"  # of a run over pictures alone: digests by picture
ROWS = ("rows", "depth", "segmentation", "readers")  # files of rows that belong to one run
NO_DIGESTS = (
    "the folder was begun by an earlier version, which did not write down its questions and the rules that read replies: rows "
    "from then are taken as they are; `--rescore` reads their replies again"
)


def read_part_lines(path: Path, *key: str) -> dict[tuple[Any, ...], Line]:
    """All complete rows of a run, with their places, by their values of the fields `key`, which hold texts, whichever processes
    wrote them. Of rows with equal values the first stands: that of `rows.jsonl`, then that of `rows-0.jsonl`, and so on."""
    found: dict[tuple[Any, ...], Line] = {}
    for file in parts_of(path):
        for line in read_lines(file):
            for field in key:
                if field not in line.values:
                    raise CooperError(f"{file} holds a row without {field!r}, so it is no file of this run ({line.place})")
                if not isinstance(line.values[field], str) or not line.values[field]:
                    raise CooperError(f"{line.place}: {field} must be a text that is not empty, not {line.values[field]!r}")
            found.setdefault(tuple(line.values[field] for field in key), line)
    return found


def parts_of(path: Path) -> list[Path]:
    """The file of a process by itself, and those beside it that several processes wrote, in order of their numbers."""
    start = f"{path.stem}-"
    numbered = [file for file in path.parent.glob(f"{start}*{path.suffix}") if file.stem.removeprefix(start).isdecimal()]
    return [path, *sorted(numbered, key=lambda file: int(file.stem.removeprefix(start)))]


def gather_rows(
    path: Path, key: Sequence[str], wanted: Collection[tuple[Any, ...]], share: Share, patience: float = PATIENCE
) -> dict[tuple[Any, ...], Line]:
    """As `read_part_lines`, when all wanted rows are there: a process of several waits for the shares of the others."""
    if share.count > 1:
        wait_for_others(lambda: len(set(wanted) - read_part_lines(path, *key).keys()), f"rows of {path}", patience)
    return read_part_lines(path, *key)


def open_run(
    folder: Path, settings: Row, share: Share | None = None, questions: Mapping[str, str] | None = None, rescore: bool = False
) -> tuple[str, ...]:
    """Make `folder` the place of this run, or go on with the run there; what a reader of its report must know.

    `questions`: the digest of each question by its id, "" for one that is left out; given, the version of the rules that read
    replies is kept, too. `rescore`: replies are about to be read again, so the version may be another. Of several processes the
    first does so and the others wait for it. `share`: by default what the launcher says.
    CooperError: the folder holds another run, answers to questions that have changed, or rows of other rules.
    """
    path = folder / FILE
    if not (share or Share.here()).first:
        wait_for_others(lambda: int(not path.is_file()), f"file {path}")
    record = {**settings} if questions is None else {**settings, RULES: RULES_VERSION, QUESTIONS: questions}
    if path.exists():
        return _checked(folder, read_object(path), record, rescore)
    for name in ROWS:
        for part in parts_of(folder / f"{name}.jsonl"):
            if part.exists():
                raise CooperError(
                    f"{folder} holds {part.name} but no {FILE}, so nobody knows whose rows they are: choose another folder"
                )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CooperError(f"cannot make the folder {folder}: {error.strerror}") from None
    write_whole(path, json.dumps(record, indent=1) + "\n")
    return ()


def check_run(folder: Path, settings: Row) -> None:
    """CooperError: the folder holds another run."""
    path = folder / FILE
    if path.exists():
        _check_settings(folder, read_object(path), settings)


def with_given_maps(run: Row) -> Row:
    """The record of an evaluation; one of an earlier version says `true_maps` in place of `given_maps`."""
    told = {name: value for name, value in run.items() if name != "true_maps"}
    return {**told, "given_maps": "true"} if run.get("true_maps") is True else told


def _check_settings(folder: Path, known: Row, wanted: Row) -> None:
    known = with_given_maps(known)
    if "weights" in wanted and "weights" not in known:
        raise CooperError(
            f"{folder} holds a run of an earlier version, which did not write down its weights and settings, so its rows "
            "may be another model's: choose another folder"
        )
    changed = sorted(name for name in {*known, *wanted} - {RULES, QUESTIONS, PICTURES} if known.get(name) != wanted.get(name))
    if changed:
        name = changed[0]
        raise CooperError(
            f"{folder} holds a run with {name} {known.get(name)!r}, not {wanted.get(name)!r}: "
            "choose another folder, or the same settings to go on with it"
        )


def _checked(folder: Path, known: Row, wanted: Row, rescore: bool) -> tuple[str, ...]:
    _check_settings(folder, known, wanted)
    if QUESTIONS not in wanted:
        return ()
    if QUESTIONS not in known:
        return (NO_DIGESTS,)
    _check_questions(folder, known, wanted[QUESTIONS])
    if known.get(RULES) != wanted[RULES] and not rescore:
        raise CooperError(
            f"{folder} holds replies that were read by version {known.get(RULES)} of the rules, and this is version "
            f"{wanted[RULES]}: read them again with the same command and --rescore, which loads no model"
        )
    return ()


def _check_questions(folder: Path, run: Row, wanted: Mapping[str, str]) -> None:
    """CooperError names the first question that is not what it was when it was answered. One that nobody has answered yet, as
    its picture could not be read, may have been mended: its digest is written anew."""
    known = run[QUESTIONS]
    if not isinstance(known, dict):
        raise CooperError(f"{folder / FILE}: {QUESTIONS} must be an object of digests, not {str(known)[:60]!r}")
    told = "so its rows no longer fit the data: put the data back, or choose another folder"
    for name in wanted:
        if name not in known:
            raise CooperError(f"{folder} holds a run over data without the question {name}, {told}")
    changed = [name for name, digest in wanted.items() if digest and known[name] and known[name] != digest]
    if changed:
        answered = _answered(folder)
        name = next((name for name in changed if name in answered), None)
        if name is not None:
            raise CooperError(
                f"the question {name} has changed since {folder} was begun (text, options, truth or picture), {told}"
            )
    missing = [name for name in known if name not in wanted]
    if missing:
        raise CooperError(f"the question {missing[0]} is gone from the data since {folder} was begun, {told}")
    mended = {name: digest for name, digest in wanted.items() if digest}
    if {**known, **mended} != known:
        write_whole(folder / FILE, json.dumps({**run, QUESTIONS: {**known, **mended}}, indent=1) + "\n")


def _answered(folder: Path) -> set[str]:
    """The questions and pictures that the folder holds rows of."""
    return {values[0] for name in ROWS for values in read_part_lines(folder / f"{name}.jsonl", "id")}


@contextmanager
def telling_how_to_go_on() -> Iterator[None]:
    """For reading pictures in the middle of a run. CooperError: one cannot be read; it says what to do about it."""
    try:
        yield
    except CooperError as error:
        raise CooperError(
            f"{error} (all rows before it are kept: mend the file and run the same command again, or add --skip-bad, which "
            "leaves out what cannot be read)"
        ) from None


def left_out_notes(faults: Mapping[str, str]) -> list[str]:
    """For the report: how many questions or pictures were left out, and why the first."""
    return (
        [f"{len(faults)} left out, as they cannot be read (--skip-bad); the first: {next(iter(faults.values()))}"]
        if faults
        else []
    )


def check_rules(folder: Path) -> None:
    """CooperError: the replies in a folder were read by other rules than those of today; unknown where it does not say."""
    path = folder / FILE
    version = read_object(path).get(RULES, RULES_VERSION) if path.exists() else RULES_VERSION
    if version != RULES_VERSION:
        raise CooperError(
            f"{folder} holds replies that were read by version {version} of the rules, and this is version {RULES_VERSION}: "
            f"read them again with `cooper eval --rescore {folder}`, which loads no model"
        )


def store_rules(folder: Path) -> None:
    """Write down that all replies of a run have been read by the rules of this version."""
    path = folder / FILE
    write_whole(path, json.dumps({**read_object(path), RULES: RULES_VERSION}, indent=1) + "\n")
