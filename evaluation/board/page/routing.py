"""The chapter of routing: routing records in, what the routers tell of a corpus out."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from evaluation.board.page.elements import Chapter, Figure, Part, Table, plain_table
from evaluation.records.record import Score
from evaluation.records.table import number
from evaluation.routing.figures import figures_of
from evaluation.routing.record import RoutingRecord

MOST_MODELS = 2  # whose drawings are shown; the table names all


def routing_chapter(records: Sequence[RoutingRecord]) -> Chapter | None:
    """Tables and drawings of every routing task; None without a record."""
    if not records:
        return None
    by_task: dict[str, list[RoutingRecord]] = defaultdict(list)
    for record in records:
        by_task[record.task_hash].append(record)
    figures = [each for task in sorted(by_task) for each in _figures(by_task[task])]
    lead = "From the weights of its routers alone: which corpus does a sample come from?"
    lead += " Fresh weights learnt nothing: what exceeds their accuracy is learnt."
    lead += " Purity is the share of routes that are of the corpus which uses their expert most, in"
    lead += " the mean over blocks."
    if any(record.untrained_purity is not None for record in records):
        lead += " Its floor: that of k-means clusters of latents of an untrained encoder."
    if any(len(found) > MOST_MODELS for found in by_task.values()):
        lead += f" Drawn are the {MOST_MODELS} longest trained models of each task."
    ordered = [record for task in sorted(by_task) for record in by_task[task]]
    return Chapter("routing", "Routing", Part(lead, table=_table(ordered), figures=figures))


def _figures(records: Sequence[RoutingRecord]) -> list[Figure]:
    """Of one task: its emergence first, then model by model."""
    drawings: dict[str, list[str]] = defaultdict(list)
    for name, drawing in figures_of(records).items():
        drawings[name.rpartition(".")[0]].append(drawing)
    emergence = drawings.pop("", [])  # the one name without a model before it
    latest = sorted(zip(drawings, records, strict=True), key=lambda pair: -_step(pair[1]))
    figures = [Figure("Emergence", "over training", [each], wide=True) for each in emergence]
    caption = "which corpus a sample is taken for; routing weights of the experts; accuracies"
    for model, _ in latest[:MOST_MODELS]:
        figures.append(Figure(model, caption, drawings[model], layout="beside three", wide=True))
    return figures


def _step(record: RoutingRecord) -> int:
    return record.training_step or 0


def _table(records: Sequence[RoutingRecord]) -> Table:
    distances = sorted({distance for record in records for distance in _unseen(record)})
    header = ["Model", "Training step", "Corpora", "Accuracy", "Chance", "Purity", "Unseen"]
    fresh = {_twin(r): r.findings.inference.combined.accuracy for r in records if r.model.floor}
    if fresh:
        header.insert(4, "Fresh weights")
    floored = any(record.untrained_purity is not None for record in records)
    if floored:
        header.insert(-1, "Untrained clusters")
    header += [f"AUROC by {distance.replace('_', ' ')}" for distance in distances]
    rows = []
    for record in records:
        inference, found = record.findings.inference, _unseen(record)
        cells = [
            record.model.name,
            "–" if record.training_step is None else str(record.training_step),
            str(len(inference.corpora)),
            _score(inference.combined.accuracy),
            *([_score(fresh[_twin(record)]) if _twin(record) in fresh else "–"] if fresh else []),
            number(inference.chance),
            _or_dash(_purity(record)),
            *([_or_dash(record.untrained_purity)] if floored else []),
            str(len(record.task.unseen)),
            *(_score(found[each]) if each in found else "–" for each in distances),
        ]
        rows.append(cells)
    return plain_table(header, rows)


def _twin(record: RoutingRecord) -> tuple[str, str]:
    """What a network and its twin of fresh weights share: configuration and terms."""
    return record.model.config_hash, record.task_hash


def _purity(record: RoutingRecord) -> float | None:
    """Mean over blocks."""
    shares = [block.purity for block in record.findings.specialisation]
    known = [share for share in shares if share is not None]
    return fmean(known) if known else None


def _or_dash(value: float | None) -> str:
    return "–" if value is None else number(value)


def _unseen(record: RoutingRecord) -> dict[str, Score]:
    """How well unseen corpora are told, all blocks together, by distance."""
    detection = record.findings.detection
    detectors = {} if detection is None else detection.detectors
    return {distance: detector.combined for distance, detector in detectors.items()}


def _score(score: Score) -> str:
    text = number(score.value)
    return text if score.standard_error is None else f"{text} ± {number(score.standard_error, 2)}"
