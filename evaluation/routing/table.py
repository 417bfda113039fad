"""Text tables of routing records: block by block, and who was taken for whom."""

from collections.abc import Iterable, Sequence

from evaluation.records.record import Score
from evaluation.records.table import markdown_table, number
from evaluation.routing.inference import Inference, Look, mean_score
from evaluation.routing.record import RoutingRecord

ALL_BLOCKS = "all"


def routing_report(records: Sequence[RoutingRecord]) -> str:
    """Everything that a person wants to see of a run."""
    return "\n\n".join(part for record in records for part in _parts(record))


def block_table(record: RoutingRecord) -> str:
    """One row per block, counted from 1, and one for all of them together.

    Accuracy is among the seen corpora. "Among K" is that among seen and unseen ones, each
    with its fingerprint; "Unseen U" the part of it that is about unseen corpora. "Untrained
    clusters" is the purity of clusters of latents before any training, a floor of that of blocks.
    """
    findings = record.findings
    header = ["Block", "Accuracy", "±", "MI, bits", "shuffled", "Load, bits", "Purity"]
    looks = _with_all(findings.inference)
    rows = [[name, *_score(look.accuracy)] for name, look in looks]
    divided = findings.specialisation
    for row, block in zip(rows, [*divided, None], strict=True):
        row += (
            ["–"] * 4
            if block is None
            else [
                number(block.mutual_information_bits),
                number(block.shuffled_bits, digits=2),
                number(block.load_entropy_bits),
                "–" if block.purity is None else number(block.purity),
            ]
        )
    if record.untrained_purity is not None:
        header.append("Untrained clusters")
        for row in rows:
            row.append(number(record.untrained_purity))
    if findings.few_shot is not None:
        seen, everything = len(record.task.corpora), len(findings.few_shot.corpora)
        header += [f"Among {everything}", "±", f"Unseen {everything - seen}", "±"]
        for row, (_, look) in zip(rows, _with_all(findings.few_shot), strict=True):
            row += [*_score(look.accuracy), *_score(mean_score(look.found[seen:]))]
    if findings.detection is not None:
        for distance, detector in findings.detection.detectors.items():
            header += [f"AUROC {_DISTANCE_TITLES[distance]}", "±"]
            for row, score in zip(rows, [*detector.blocks, detector.combined], strict=True):
                row += _score(score)
    return markdown_table(header, rows)


_DISTANCE_TITLES = {"cross_entropy": "CE", "divergence": "KL"}


def confusion_table(inference: Inference, look: Look) -> str:
    """Rows: where samples are from; columns: what they were assigned to, in per cent."""
    rows = [
        [
            corpus,
            *(f"{100 * share:.1f}" for share in shares),
            str(windows),
            str(trajectories),
        ]
        for corpus, shares, windows, trajectories in zip(
            inference.corpora,
            look.confusion,
            inference.windows,
            inference.trajectories,
            strict=True,
        )
    ]
    header = ["from / assigned to, %", *inference.corpora, "windows", "trajectories"]
    return markdown_table(header, rows)


def _parts(record: RoutingRecord) -> Iterable[str]:
    findings = record.findings
    step = "" if record.training_step is None else f", step {record.training_step}"
    yield (
        f"{record.model.name}{step}: dataset inference among {len(record.task.corpora)} corpora "
        f"(chance {100 * findings.inference.chance:.1f} %), softmax temperature "
        f"{number(record.temperature)}"
    )
    yield block_table(record)
    yield "All blocks together, seen corpora:"
    yield confusion_table(findings.inference, findings.inference.combined)
    if findings.few_shot is not None:
        yield f"With fingerprints of unseen corpora from {record.task.few} windows or fewer:"
        yield confusion_table(findings.few_shot, findings.few_shot.combined)


def _with_all(inference: Inference) -> list[tuple[str, Look]]:
    blocks = [(str(number), look) for number, look in enumerate(inference.blocks, 1)]
    return [*blocks, (ALL_BLOCKS, inference.combined)]


def _score(score: Score) -> list[str]:
    return [number(score.value), number(score.standard_error, digits=2)]
