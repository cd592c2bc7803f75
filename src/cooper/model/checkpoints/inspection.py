"""What a checkpoint directory holds, from its headers alone: family, faults, and what to do about each."""

from dataclasses import dataclass
from pathlib import Path

from cooper.errors import CooperError
from cooper.model.checkpoints.names import network_entries, vae_entries
from cooper.model.checkpoints.opening import (
    OWN_STEM,
    PROMPTS_FILE,
    TOKENIZER_FILES,
    Differences,
    Family,
    companions,
    compare,
    family_of,
    own_config,
    own_entries,
    require_drawing,
)
from cooper.model.checkpoints.published import STEMS, Places, config_of
from cooper.model.checkpoints.tensor_files import Stored, first_not_finite, has_weights, read_headers
from cooper.model.config import CooperConfig


@dataclass(frozen=True)
class Finding:
    """One thing to know, whether it keeps the model from loading, and what to do."""

    what: str
    advice: str
    is_fault: bool


@dataclass(frozen=True)
class Amount:
    """Tensors stored in one type."""

    dtype: str
    tensors: int
    numbers: int
    nbytes: int


@dataclass(frozen=True)
class Inspection:
    """All that `inspect` found out about a directory."""

    directory: Path
    base: Path | None
    family: Family
    config: CooperConfig | None = None
    amounts: tuple[Amount, ...] = ()
    differences: Differences = Differences()
    findings: tuple[Finding, ...] = ()

    @property
    def is_loadable(self) -> bool:
        return self.config is not None and not any(finding.is_fault for finding in self.findings)

    @property
    def status(self) -> str:
        """The family, with "incomplete" before it when the model cannot be loaded."""
        if self.family is Family.NONE or self.is_loadable:
            return self.family.value
        return f"incomplete: {self.family.value}"


@dataclass(frozen=True)
class _Contents:
    headers: dict[str, Stored]
    config: CooperConfig | None
    differences: Differences
    findings: tuple[Finding, ...] = ()


def inspect(directory: Path, base: Path | None = None, values: bool = True) -> Inspection:
    """Look at a checkpoint without loading it; faults are reported, not raised. `values`: read all numbers, too, to find
    those that are not finite; without it only headers are read.

    Raises CooperError only if ``directory`` or ``base`` is no directory.
    """
    for place in (directory, base):
        if place is not None and not place.is_dir():
            raise CooperError(f"{place} is no directory")
    try:
        family = family_of(directory, base)
    except CooperError as error:
        fault = Finding(str(error), "Fetch the file again.", is_fault=True)
        return Inspection(directory, base, _likely_family(directory), findings=(fault,))
    if family is Family.NONE:
        advice = "Name a directory with config.json of ours, or with llm_config.json and ema.safetensors."
        return Inspection(directory, base, family, findings=(Finding("No checkpoint files.", advice, is_fault=True),))
    places = Places(directory, base)
    contents = _ours(places) if family is Family.OURS else _published(places)
    findings = (*contents.findings, *_tensor_findings(contents.differences), *_companion_findings(places, family))
    if values and not any(finding.is_fault for finding in contents.findings):
        findings += _value_findings(contents.headers)
    return Inspection(directory, base, family, contents.config, _amounts(contents.headers), contents.differences, findings)


def _likely_family(directory: Path) -> Family:
    return Family.PUBLISHED if any(has_weights(directory, stem) for stem in STEMS) else Family.NONE


def _fault(error: CooperError, advice: str) -> Finding:
    return Finding(str(error), advice, is_fault=True)


def _ours(places: Places) -> _Contents:
    try:
        config = own_config(places.weights)
        headers = read_headers(places.weights, OWN_STEM)
    except CooperError as error:
        return _Contents({}, None, Differences(), (_fault(error, "Copy or download the directory again."),))
    return _Contents(headers, config, compare(own_entries(config), headers))


def _published(places: Places) -> _Contents:
    headers: dict[str, Stored] = {}
    config, differences, findings = None, Differences(), []
    try:
        headers = places.network_headers()
        require_drawing(headers, places.weights)
        config = config_of(places, headers)
        differences = compare(network_entries(config), headers)
    except CooperError as error:
        advice = "Complete the directory from the model's page, or pass the base BAGEL directory with --base."
        findings.append(_fault(error, advice))
    try:
        vae = places.vae_headers()
        if config is not None:
            differences = _joined(differences, compare(vae_entries(config), vae))
        headers = headers | vae
    except CooperError as error:
        findings.append(_fault(error, "Take ae.safetensors from the base BAGEL directory, or pass it with --base."))
    findings.append(
        Finding(
            "BAGEL base and COOPER weights have the same tensors; the files cannot tell which one this is.",
            "If it is the base, its maps follow no known convention: use COOPER weights for depth and segmentation.",
            is_fault=False,
        )
    )
    return _Contents(headers, config, differences, tuple(findings))


def _joined(one: Differences, other: Differences) -> Differences:
    return Differences(one.missing + other.missing, one.unexpected + other.unexpected, one.misshapen + other.misshapen)


def _tensor_findings(differences: Differences) -> tuple[Finding, ...]:
    kinds = (
        (len(differences.missing), "missing", "Fetch the weight files again: they are incomplete or of another model."),
        (len(differences.unexpected), "unexpected", "They belong to another model: remove them to load the rest."),
        (
            len(differences.misshapen),
            "misshapen",
            "Weights and JSON files are of different models: take both from one place.",
        ),
    )
    return tuple(
        Finding(f"{count} tensor{'s' if count > 1 else ''} {kind}.", advice, is_fault=True)
        for count, kind, advice in kinds
        if count
    )


def _value_findings(headers: dict[str, Stored]) -> tuple[Finding, ...]:
    name = first_not_finite(headers)
    if name is None:
        return ()
    what = f"{headers[name].file}: tensor {name} holds numbers that are not finite (NaN or infinity)."
    return (Finding(what, "Fetch the file again, or take an earlier checkpoint of the run.", is_fault=True),)


def _companion_findings(places: Places, family: Family) -> tuple[Finding, ...]:
    names = {path.name for path in companions(places)}
    findings = []
    if not names & set(TOKENIZER_FILES):
        advice = "Copy tokenizer.json from the model's page, or pass the base BAGEL directory with --base."
        findings.append(Finding("No tokenizer files.", advice, is_fault=True))
    if PROMPTS_FILE not in names:
        reason = "The published weights lack their prompts" if family is Family.PUBLISHED else "No prompt file"
        what = f"{reason} ({PROMPTS_FILE}); our own wording is used, with a warning."
        advice = f"Write its training prompts into {PROMPTS_FILE} beside the weights, see docs/how-to/published-weights.md."
        findings.append(Finding(what, advice, is_fault=False))
    return tuple(findings)


def _amounts(headers: dict[str, Stored]) -> tuple[Amount, ...]:
    kinds = sorted({stored.dtype for stored in headers.values()})
    groups = [(kind, [stored for stored in headers.values() if stored.dtype == kind]) for kind in kinds]
    return tuple(
        Amount(kind, len(group), sum(s.shape.numel() for s in group), sum(s.nbytes for s in group)) for kind, group in groups
    )
