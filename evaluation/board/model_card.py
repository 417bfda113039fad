"""The card of a checkpoint folder: configuration, records and shards in, README.md out.

Nothing is written by hand: facts come from `config.json`, figures from records of this very
checkpoint, statistics from the manifest of the shards, routes from `fingerprints.json`.
"""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from data_shards.handbook import table
from data_shards.remote.find import find_shards
from data_shards.shards.manifest import CorpusEntry, Manifest, read_manifest
from evaluation.board.card_use import OF_STATES, how_to_use
from evaluation.board.hub_results import HUB_TASK, eval_results, model_index
from evaluation.records.kinds import RecordFolder
from evaluation.records.record import Record
from evaluation.records.results import read_results, results_in
from evaluation.records.table import metric_title, number, parameters
from evaluation.routing.fingerprints import (
    FINGERPRINT_FILES,
    FINGERPRINTS,
    Fingerprints,
    read_fingerprints,
    save_fingerprints,
)
from foundation.checkpoint.folder import fingerprint_of, read_config
from foundation.models.flow import FlowConfig
from foundation.models.registry import ModelConfig, outline_model

CARD = "README.md"
RESULTS = ".eval_results"
# The line by which a card of ours is known; a README without it was written by hand.
MARK = "# Written by `foundation card`; remove this line to keep your own words."

_LICENCE = "apache-2.0"
_BUSIEST = 3  # experts named for every corpus
_UNLABELLED = (
    "Of {corpora} it has seen parameters without labels: what is measured there is transductive."
)


@dataclass(frozen=True)
class Evidence:
    """What a card may tell beside the configuration.

    Attributes:
        records: of any models.
        manifest: of the shards that were trained on, if given.
        fingerprints: to lie beside the weights, if given.
    """

    records: tuple[Record, ...] = ()
    manifest: Manifest | None = None
    fingerprints: Fingerprints | None = None

    def of(self, fingerprint: str) -> "Evidence":
        """What is of one model; of records on one task the newest.

        Raises:
            UserError: the fingerprints are of another model.
        """
        routes = self.fingerprints
        if routes is not None and routes.model != fingerprint:
            raise UserError(
                f"the fingerprints are of model {routes.model[:10]}, this checkpoint is "
                f"{fingerprint[:10]}; make them with `foundation routing CHECKPOINT`"
            )
        own = [record for record in self.records if record.model.fingerprint == fingerprint]
        own.sort(key=lambda record: (record.task.name, record.provenance.date))
        return replace(self, records=tuple({record.task.name: record for record in own}.values()))


def read_evidence(
    records: Path | None, shards: str | Path | None = None, fingerprints: Path | None = None
) -> Evidence:
    """Read what a card is to be filled from.

    Args:
        records: results file, or folder of such.
        shards: name (`find_shards`) of what was trained on.
        fingerprints: file of routing fingerprints.

    Raises:
        UserError: one of them is missing or cannot be read.
    """
    manifest = read_manifest(find_shards(shards)) if shards is not None else None
    routes = None if fingerprints is None else FINGERPRINT_FILES.require(fingerprints)
    return Evidence(() if records is None else _records(records), manifest, routes)


def write_card(
    folder: Path, evidence: Evidence, dataset: str | None = None, licence: str | None = None
) -> list[str]:
    """Write the card, results in the Hub's form and fingerprints into a checkpoint folder.

    Args:
        folder: of the checkpoint.
        evidence: what the card is filled from; of records those of this checkpoint count.
        dataset: id on the Hub of the data set with the shards, if they are shared.
        licence: the Hub's identifier; by default this project's, for what was trained by it.

    Returns:
        What the user should know: what was asked for and could not be told.

    Raises:
        UserError: no whole checkpoint, fingerprints of another one, or the disk refuses.
    """
    print_of = fingerprint_of(folder)
    own = evidence.of(print_of)
    if own.fingerprints is not None:
        save_fingerprints(own.fingerprints, folder)
    elif (folder / FINGERPRINTS).is_file():
        own = replace(own, fingerprints=read_fingerprints(folder, print_of))
    text = model_card(folder, print_of, own, dataset, licence)
    notes = list(_shortcomings(evidence, own, dataset))
    try:
        card = folder / CARD
        if card.exists() and MARK not in card.read_text(errors="replace"):
            notes.append(f"{card} was written by hand and stays as it is")
        else:
            replace_file(card, text.encode())
        if dataset and own.records:
            (folder / RESULTS).mkdir(exist_ok=True)
            for name, values in eval_results(own.records, dataset).items():
                replace_file(folder / RESULTS / f"{name}.yaml", _yaml(values).encode())
    except OSError as error:
        raise UserError(f"{folder}: the card could not be written ({error})") from None
    return notes


def model_card(
    folder: Path,
    fingerprint: str,
    evidence: Evidence,
    dataset: str | None = None,
    licence: str | None = None,
) -> str:
    """The text of the card, front matter first.

    Args:
        folder: of the checkpoint.
        fingerprint: of its configuration and weights.
        evidence: of this checkpoint alone.
        dataset: id on the Hub of the data set with the shards, if they are shared.
        licence: the Hub's identifier.
    """
    config, about = read_config(folder)
    name = folder.resolve().name
    front = _front_matter(name, config, about, evidence.records, dataset, licence)
    parts = [
        f"---\n{MARK}\n{_yaml(front)}---\n\n# {name}\n",
        _summary(config, fingerprint),
        how_to_use(name, config, about.get("corpora") or ()),
        _training(about, evidence.manifest),
        _making(about, evidence.records),
        _results(evidence.records),
        _routing(evidence.fingerprints),
    ]
    return "\n".join(part for part in parts if part)


def _records(path: Path) -> tuple[Record, ...]:
    """Those of a results file, or of all in a folder."""
    if path.is_dir():
        files = [results for _, results in results_in(RecordFolder(path))]
    elif (one := read_results(path)) is not None:
        files = [one]
    else:
        raise UserError(f"{path}: not a results file; write one with foundation evaluate")
    return tuple(record for results in files for record in results.records)


def _shortcomings(given: Evidence, own: Evidence, dataset: str | None) -> Iterator[str]:
    if given.records and not own.records:
        named = sorted({record.model.name for record in given.records})
        yield (
            f"no record is of this checkpoint, they are of {', '.join(named)}; evaluate it and "
            "write the card again"
        )
    if own.records and not dataset:
        yield f"{RESULTS}/ is not written: it names a data set on the Hub, give --dataset"
    diverged = [r.task.name for r in own.records if r.headline.value == float("inf")]
    if diverged and dataset:
        yield f"{RESULTS}/ has no form for a diverged forecast: {', '.join(diverged)} left out"


def _front_matter(
    name: str,
    config: ModelConfig,
    about: dict[str, Any],
    records: Sequence[Record],
    dataset: str | None,
    licence: str | None,
) -> dict[str, Any]:
    routed = ["mixture-of-experts"] if config.num_routed else []
    tags = ["physics", "pde", "surrogate-modelling", "neural-operator", *routed]
    known = {"license": licence or _LICENCE}
    if licence is None and "imported" in about:  # whose terms are not ours to state
        known = {"license": "other", "license_name": "see-the-authors"}
    front: dict[str, Any] = {
        **known,
        "library_name": "moe-pot",
        "pipeline_tag": HUB_TASK,
        "tags": [*tags, config.model_type.replace("_", "-")],
    }
    if dataset:
        front["datasets"] = [dataset]
    if records:
        front["model-index"] = model_index(name, records, dataset)
    return front


def _summary(config: ModelConfig, fingerprint: str) -> str:
    counts = outline_model(config).parameter_counts()
    rows = [
        ("architecture", config.model_type),
        ("parameters", parameters(counts.total)),
        ("input", f"{config.context_frames} frames of up to {config.channels} channels"),
        ("grid", " x ".join(map(str, config.grid))),
        ("frames per call", str(config.out_frames)),
        ("fingerprint", f"`{fingerprint}`"),
    ]
    if config.num_routed:
        rows.insert(2, ("activated per sample", parameters(counts.activated)))
        rows.insert(3, ("routed experts per block", str(config.num_routed)))
    text = "It continues simulations of partial differential equations: past frames in, later\n"
    text += "frames out."
    if isinstance(config, FlowConfig):
        text = "It continues flows in boxes: past frames in, later frames out, by way of latents."
    if config.reconstructs:
        text = "It is a tokenizer of flows in boxes: a frame in, the same out, by way of latents."
    if config.model_type in OF_STATES:
        text = "It predicts ground states: a field or a potential in, amplitudes of all states out."
    elif config.layout.slots:
        text = "It solves steady problems: a source and coefficients in, the solution out."
    return f"{text}\n\n{table(('', ''), rows)}"


def _training(about: dict[str, Any], manifest: Manifest | None) -> str:
    corpora = about.get("corpora") or []
    if not corpora:
        return ""
    seen = [
        f"{about[key]} {words}"
        for key, words in (("steps", "optimiser steps"), ("samples", "samples"))
        if about.get(key) is not None
    ]
    names = ", ".join(f"`{corpus}`" for corpus in corpora)
    lines = [f"## What it was trained on\n\n{names}" + (f": {', '.join(seen)}." if seen else ".")]
    if hidden := about.get("unlabelled"):
        lines.append(_UNLABELLED.format(corpora=", ".join(f"`{corpus}`" for corpus in hidden)))
    shards = (about.get("launch") or {}).get("shards_sha256") or {}
    entries = [manifest.find(corpus, "train") for corpus in corpora] if manifest else []
    there = [entry for entry in entries if entry is not None]
    if there:
        header = ("corpus", "trajectories", "channel", "unit", "mean", "std", "min", "max")
        lines.append("")
        lines.append(table(header, [row for entry in there for row in _statistics(entry)]))
    other = [e.corpus for e in there if shards.get(e.corpus, e.fingerprint) != e.fingerprint]
    if other:
        lines.append(f"Not the very shards that were trained on: {', '.join(other)}.")
    return "\n".join(lines).rstrip() + "\n"


def _statistics(entry: CorpusEntry) -> Iterator[tuple[str, ...]]:
    for channel, values in zip(entry.card.channels, entry.statistics, strict=True):
        measured = (values.mean, values.std, values.min, values.max)
        figures = (f"{value:.4g}" for value in measured)
        yield (f"`{entry.corpus}`", str(entry.count), channel.name, channel.unit, *figures)


def _making(about: dict[str, Any], records: Sequence[Record]) -> str:
    commands = (_training_command(about), _judging_command(records))
    lines = "".join(f"{command}\n" for command in commands if command)
    block = f"```\n{lines}```\n\n" if lines else ""
    origin = json.dumps(about, indent=1, ensure_ascii=False)
    told = f"`config.json` tells its origin:\n\n```json\n{origin}\n```\n"
    return f"## How it was made\n\n{block}{told}"


def _training_command(about: dict[str, Any]) -> str | None:
    launch = about.get("launch") or {}
    start = ["deepspeed"]
    if "world" in launch:
        start += ["--num_accelerators", str(launch["world"])]
    if "preset" in about:
        script = ["launchers/pretrain.py", "--preset", str(about["preset"])]
    elif isinstance(about.get("fine_tuned_from"), dict):
        script = ["launchers/finetune.py", "--checkpoint", str(about["fine_tuned_from"]["name"])]
        for key in ("recipe", "trajectories", "router"):
            script += [f"--{key}", str(about[key])] if about.get(key) is not None else []
        script += [word for corpus in about.get("corpora", []) for word in ("--corpus", corpus)]
    elif isinstance(about.get("imported"), dict):
        file = str(about["imported"].get("file", "FILE.pth"))
        return f"foundation import-reference {shlex.quote(file)} OUT"
    else:
        return None
    script += ["--shards", str(launch.get("shards", "DIR"))]
    for key in ("ep_size", "deepspeed_config"):
        script += [f"--{key.replace('_', '-')}", str(launch[key])] if key in launch else []
    words = [*start, *script, "--output", "RUN", *map(str, about.get("overrides") or [])]
    return shlex.join(words)


def _judging_command(records: Sequence[Record]) -> str | None:
    if not records:
        return None
    tasks = ",".join(record.task.name for record in records)
    return f"foundation evaluate CHECKPOINT --shards DIR --tasks {tasks} --output results.json"


def _results(records: Sequence[Record]) -> str:
    if not records:
        return ""
    header = ("task", "corpus", "metric", "value", "±", "samples", "task hash")
    rows = [
        (
            record.task.name,
            f"`{record.task.corpus}`",
            metric_title(metric),
            number(score.value),
            number(score.standard_error, 2),
            f"{record.num_samples} of {record.num_available}",
            f"`{record.task_hash[:10]}`",
        )
        for record in records
        for metric, score in record.scores.items()
    ]
    lines = [f"## Results\n\n{table(header, rows)}"]
    for made in dict.fromkeys(_conditions(record) for record in records):
        lines.append(made)
    return "\n".join(lines) + "\n"


def _conditions(record: Record) -> str:
    made, machine = record.provenance, record.provenance.machine
    return (
        f"Commit `{made.git_commit[:12]}`, {made.date[:10]}, {machine.cores} cores of "
        f"{machine.cpu}, {machine.device}, torch {machine.torch}."
    )


def _routing(fingerprints: Fingerprints | None) -> str:
    if fingerprints is None:
        return ""
    rows = []
    for entry in fingerprints.corpora:
        last = list(enumerate(entry.probabilities[-1]))
        busiest = sorted(last, key=lambda pair: -pair[1])[:_BUSIEST]
        shares = ", ".join(f"{expert}: {100 * share:.0f} %" for expert, share in busiest)
        rows.append((f"`{entry.corpus}`", entry.split, str(entry.windows), shares))
    header = ("corpus", "split", "windows", "busiest experts of the last block")
    text = f"`{FINGERPRINTS}` holds the mean routing distribution of every corpus, by which\n"
    text += "`foundation fingerprint` tells what a simulation looks like."
    return f"## Routing\n\n{text}\n\n{table(header, rows)}"


def _yaml(values: Any) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=96)
