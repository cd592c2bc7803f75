"""One run over a data set of maps: drawn, compared with the truth, reported, and a sheet of the best, middle and worst."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from cooper.data.digests import truth_digests
from cooper.data.examples import Conventions, Example, ExampleSet
from cooper.errors import CooperError
from cooper.evaluation.figures.statistics import Estimate
from cooper.evaluation.figures.summary import Report
from cooper.evaluation.maps.drawing import MapKind, draw_maps, modality_of
from cooper.evaluation.maps.sheet import best_middle_worst, stacked
from cooper.evaluation.runs.answering import Reasoner
from cooper.evaluation.runs.folder import left_out_notes
from cooper.evaluation.suites.suite import Asked, Suite
from cooper.files.plugins import load_plugins
from cooper.files.rows import batches
from cooper.perception.modality import Drawn, Modality


@dataclass(frozen=True, kw_only=True)
class MapSuite(Suite):
    """`dataset`: one of `READERS`; `data`: its folder; `limit`: pictures. A kind of map says what its rows, figures and panels
    are."""

    KIND: ClassVar[MapKind[Any]]
    READERS: ClassVar[dict[str, Callable[[Path], ExampleSet]]]

    dataset: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        load_plugins()
        if self.given_maps != "own":
            raise CooperError(
                f"{self.name} has maps drawn and asks nothing: --given-maps {self.given_maps} does not belong to it"
            )
        known = ", ".join(self.READERS)
        if not self.dataset:
            raise CooperError(f"no data set of {self.name} is named (--dataset); known: {known}")
        if self.dataset not in self.READERS:
            raise CooperError(f"unknown data set {self.dataset!r} of {self.name}; known: {known}")
        if not self.data:
            raise CooperError(self._without_data())

    def _without_data(self) -> str:
        """What to do where the data are not named."""
        if self.dataset != "scenes":
            return f"{self.name} on {self.dataset} needs the folder of the data set: --data {self.name}=FOLDER"
        made = "cooper scenes render --count 100 --split val --out data/scenes/val"
        return f"{self.name} on scenes needs a rendered set: `{made}` makes one, then --data {self.name}=data/scenes/val"

    @property
    def benchmark(self) -> str:
        return f"{self.name} on {self.dataset}"

    @property
    def record(self) -> dict[str, Any]:
        return {**super().record, "data": str(Path(self.data))}

    def load(self) -> Asked:
        folder = Path(self.data)
        if not folder.is_dir():
            raise CooperError(f"{folder} is no folder; --data must name that of the data set {self.dataset}")
        found = self.READERS[self.dataset](folder)
        items = found.items[: self.limit]
        faults = _unreadable(items) if self.skip_bad else {}
        kept = [item for item in items if item.id not in faults]
        if not kept:
            raise CooperError(f"{folder}: no picture can be read; the first: {next(iter(faults.values()), 'there is none')}")
        total = len(found.items)
        other = f"{total} pictures are there, {found.expected} belong to the published test set"
        notes = [other] if found.expected and found.expected != total else []
        return Asked(
            truths=tuple(kept),
            conventions=found.conventions,
            told={"pictures": f"{len(kept)} of {total}"} | ({"regions": found.regions} if self.name == "segmentation" else {}),
            notes=(*notes, *left_out_notes(faults)),
            digests={**truth_digests(kept), **dict.fromkeys(faults, "")},
        )

    def run(self, model: Reasoner, asked: Asked) -> Report:
        modality = modality_of(model, self.name)
        conventions, told = self.protocol(modality, asked.conventions)
        rows = draw_maps(model, self.KIND, asked.truths, conventions=conventions, settings=self)
        asked = replace(asked, told={**asked.told, **told})
        report = self.reported(asked, maps={self.name: self.figures(rows, conventions)})
        if self.share.first:
            self._sheet(model, asked.truths, list(map(self.error, rows)), conventions=conventions).save(self.out / "sheet.png")
        return report

    def _sheet(
        self, model: Reasoner, truths: Sequence[Example], errors: Sequence[float], *, conventions: Conventions
    ) -> Image.Image:
        """The pictures of the lowest, middle and highest errors, their maps drawn again."""
        modality, lines = model.modalities[self.name], []
        for places in batches(best_middle_worst(errors), self.batch):
            chosen = [truths[place] for place in places]
            steps = model.draw([truth.image for truth in chosen], self.name, seed=self.seed)
            for truth, step in zip(chosen, steps, strict=True):
                panels = self.panels(truth, step.drawn, modality=modality, conventions=conventions)
                lines.append([truth.image, *panels])
        return stacked(lines)

    def protocol(self, modality: Modality, conventions: Conventions) -> tuple[Conventions, Mapping[str, str]]:
        """How maps of this modality are judged, and what the report says of it."""
        del modality
        return conventions, {}

    @abstractmethod
    def figures(self, rows: Sequence[Any], conventions: Conventions) -> Mapping[str, Estimate]:
        """Averages over pictures."""

    @abstractmethod
    def error(self, row: Any) -> float:
        """By what the sheet is sorted."""

    @abstractmethod
    def panels(self, item: Example, drawn: Drawn, *, modality: Modality, conventions: Conventions) -> list[Image.Image]:
        """What stands beside a picture on the sheet."""


def _unreadable(items: Sequence[Example]) -> dict[str, str]:
    """Pictures that cannot be read, or whose truth cannot, by name with the reason."""
    found = {}
    for item in items:
        try:
            _ = item.image, item.reading
        except CooperError as error:
            found[item.id] = str(error)
    return found
