"""The gates that a command asks for: tallies by scene, which are kept, so that a run that was stopped goes on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from cooper.errors import CooperError
from cooper.evaluation.figures.comparison import place_of as run_of
from cooper.evaluation.figures.comparison import rows_by_mode
from cooper.evaluation.gates.drawn import drawn_depth, perfect_reading, readings_of
from cooper.evaluation.gates.finding import found_places
from cooper.evaluation.gates.gate import Gate, Tally, part_of, points_between, share
from cooper.evaluation.gates.words import Features, WordTallies, words_of
from cooper.evaluation.runs.folder import gather_rows, open_run, read_part_lines
from cooper.evaluation.runs.origin import Origin, files_digest
from cooper.evaluation.runs.processes import Share
from cooper.evaluation.runs.progress import progress
from cooper.evaluation.runs.settings import WorkSettings
from cooper.files.hub import resolve
from cooper.files.rows import append_rows, batches
from cooper.reasoning.cooper import Cooper
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.room.scene import scene_id
from cooper.scenes.store import SceneSet

NAMES = ("A", "B", "C", "D")
MOST_WORDS, LEAST_NAMES, LEAST_FOUND, LEAST_AHEAD, LEAST_READ = 0.45, 0.70, 0.85, 0.15, 0.80


@dataclass(frozen=True, kw_only=True)
class GateSettings(WorkSettings):
    """`data`: held-out scenes, `limit` of them. `model`: what B, C and D ask, "" for none. `tower`: a checkpoint whose picture
    tower A probes with `labels` objects of the scenes in `train`, in `steps` steps. `words`: a run of answers in words, as
    FOLDER or FOLDER:MODE, that C compares with in place of the probe of A. `gates`: which are asked."""

    tower: str = ""
    train: str | Path = ""
    labels: int = 1000
    steps: int = 500
    words: str = ""
    gates: tuple[str, ...] = ()
    origin: Origin = Origin()
    share: Share = field(default_factory=Share.here)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("labels", "steps"):
            if getattr(self, name) < 1:
                raise CooperError(f"{name} must be at least 1, got {getattr(self, name)}")
        object.__setattr__(self, "gates", self._wanted())

    def _wanted(self) -> tuple[str, ...]:
        """The gates that are asked, by default all that can be. CooperError: one is unknown, or lacks what it needs."""
        lacks = {
            "A": "" if self.tower and self.train else "--tower and the --train scenes with its labels",
            "B": "" if self.model else "--model",
            "C": "" if self.model and (self.words or self.tower) else "--model, and --tower or --words to compare with",
            "D": "" if self.model else "--model",
        }
        for name in self.gates:
            if name not in NAMES:
                raise CooperError(f"there is no gate {name!r}; there are: {', '.join(NAMES)}")
            if lacks[name]:
                raise CooperError(f"gate {name} needs {lacks[name]}")
        if bool(self.tower) != bool(self.train):
            raise CooperError("a probe of a picture tower needs both --tower and --train")
        found = tuple(name for name in NAMES if name in self.gates or (not self.gates and not lacks[name]))
        if not found:
            raise CooperError("no gate can be asked: name --model, or --tower and --train")
        return found

    @property
    def record(self) -> dict[str, Any]:
        told = {"benchmark": "gates", "model": self.model, "seed": self.seed, "limit": self.limit, "data": str(self.data)}
        return {**told, **self.origin.record}

    @property
    def needs_probe(self) -> bool:
        return "A" in self.gates or ("C" in self.gates and not self.words)


@dataclass(frozen=True, eq=False)
class Asking:
    """What is asked: a model for B, C and D, a tower for A and C; each is loaded when it is needed."""

    settings: GateSettings
    model: Callable[[], Cooper]
    tower: Callable[[], Features]

    def answers(self) -> list[Gate]:
        """The gates, in order; what the folder of the run holds is not asked again. CooperError: the folder holds another run,
        or the scenes cannot be read."""
        settings = self.settings
        scenes = SceneSet(settings.data)
        records = [scenes[index] for index in range(min(settings.limit or len(scenes), len(scenes)))]
        said = in_words(settings.words) if "C" in settings.gates and settings.words else None
        open_run(settings.out, settings.record, share=settings.share)
        words = self._words(records) if settings.needs_probe and settings.share.first else None
        tallies = self._asked(records) if set(settings.gates) & {"B", "C", "D"} else {}
        if words is not None and said is None:
            said = words.far
        return self._gates(tallies, words, said or []) if settings.share.first else []

    def _gates(self, tallies: Mapping[str, list[Tally]], words: WordTallies | None, said: Sequence[Tally]) -> list[Gate]:
        """`said`: what words tell of distances from the camera, for C."""
        settings, seed, found = self.settings, self.settings.seed, list[Gate]()
        if "A" in settings.gates and words is not None:
            told = f"with {settings.labels} labels and places told"
            found.append(Gate("A", f"words {told}: distances within 10 %", share(words.far, seed), "at most", MOST_WORDS))
            found.append(Gate("A", f"names {told}: the shape", share(words.names, seed), "at least", LEAST_NAMES))
        if "B" in settings.gates:
            beside = 100 * share(tallies["find"], seed, near=True).mean
            what = f"the right place of an object; that or one beside it: {beside:.1f} %"
            found.append(Gate("B", what, share(tallies["find"], seed), "at least", LEAST_FOUND))
        if "C" in settings.gates:
            ahead = points_between(tallies["draw"], said, seed)
            found.append(Gate("C", "a perfect reader of drawn maps, less words", ahead, "at least", LEAST_AHEAD))
        if "D" in settings.gates:
            read = part_of(tallies["read"], tallies["could"], seed)
            found.append(Gate("D", "reading, as a part of a perfect reader's", read, "at least", LEAST_READ))
        return found

    def _asked(self, records: Sequence[SceneRecord]) -> dict[str, list[Tally]]:
        """Tallies of the model, by file: places found, maps drawn, maps read, and what a perfect reader of these reads."""
        settings, share_here = self.settings, self.settings.share
        files = {"B": ("find",), "C": ("draw",), "D": ("read", "could")}
        wanted = [name for gate in settings.gates for name in files.get(gate, ())]
        done = {name: read_part_lines(self._file(name), "id").keys() for name in wanted}
        mine = share_here.of(records)
        waiting = [each for each in mine if any((scene_id(each.scene),) not in done[name] for name in wanted)]
        with progress(len(mine), share_here.told("scenes asked about"), settings.quiet or not share_here.first) as advance:
            advance(len(mine) - len(waiting))
            for chunk in batches(waiting, settings.batch):
                for name, tallies in self._chunk(chunk).items():
                    rows = [asdict(tally) for tally in tallies if (tally.id,) not in done[name]]
                    append_rows(share_here.file(self._file(name)), rows)
                advance(len(chunk))
        ids = [(scene_id(record.scene),) for record in records]
        kept = {name: gather_rows(self._file(name), ("id",), ids, share=share_here) for name in wanted}
        return {name: [lines[key].as_a(Tally) for key in ids] for name, lines in kept.items()}

    def _chunk(self, records: Sequence[SceneRecord]) -> dict[str, list[Tally]]:
        settings, model, found = self.settings, self.model(), dict[str, list[Tally]]()
        if "B" in settings.gates:
            found["find"] = found_places(model, records, settings.seed)
        if set(settings.gates) & {"C", "D"}:
            maps = drawn_depth(model, records, settings.seed)
            if "C" in settings.gates:
                found["draw"] = [perfect_reading(*pair) for pair in zip(records, maps, strict=True)]
            if "D" in settings.gates:
                read = readings_of(model, records, maps, settings.seed)
                found |= {"read": read.model, "could": read.perfect}
        return found

    def _words(self, records: Sequence[SceneRecord]) -> WordTallies:
        """The tallies of the probe; kept by a digest of all that it depends on."""
        settings = self.settings
        told = (files_digest([resolve(settings.tower)]), str(settings.train), settings.labels, settings.steps)
        key = sha256(repr(told).encode()).hexdigest()[:12]
        paths = [self._file(f"{name}-{key}") for name in ("words", "names")]
        kept = [[line.as_a(Tally) for line in read_part_lines(path, "id").values()] for path in paths]
        if all(len(each) == len(records) for each in kept):
            return WordTallies(*kept)
        scenes = SceneSet(settings.train)
        train = [scenes[index] for index in range(len(scenes))]
        both = {scene_id(each.scene) for each in train} & {scene_id(each.scene) for each in records}
        if both:
            raise CooperError(f"--train and --data both hold the scene {min(both)}: a probe is asked about scenes it never saw")
        found = words_of(self.tower(), train, records, settings.labels, settings.seed, settings.steps)
        for path, tallies in zip(paths, (found.far, found.names), strict=True):
            path.unlink(missing_ok=True)
            append_rows(path, [asdict(tally) for tally in tallies])
        return found

    def _file(self, name: str) -> Path:
        return self.settings.out / f"{name}.jsonl"


def in_words(run: str) -> list[Tally]:
    """Questions about the distance from the camera that a run of `cooper eval scenes` answered, in the mode text if it names no
    other, by scene. CooperError: there are none."""
    place = run if run_of(run)[1] else f"{run}:text"
    ((_, rows),) = rows_by_mode(place).items()
    found: dict[str, Tally] = {}
    for row in rows:
        if row.category == "camera_distance":
            scene = row.id.rsplit("-", 2)[0]
            told = found.get(scene, Tally(scene, 0, 0))
            found[scene] = Tally(scene, told.right + row.correct, told.total + 1)
    if not found:
        raise CooperError(f"{place} has no answers about the distance from the camera; gate C compares with these")
    return list(found.values())
