"""All drawings of a run: routing records in, SVG elements by name out.

For a folder of figures as for a page, which may set them side by side.
"""

from collections import Counter
from collections.abc import Sequence

from evaluation.routing.plots import (
    draw_accuracy,
    draw_confusion,
    draw_emergence,
    draw_usage,
    runs_of,
)
from evaluation.routing.record import RoutingRecord

EMERGENCE = "emergence"


def figures_of(records: Sequence[RoutingRecord]) -> dict[str, str]:
    """Confusion, usage and accuracy of every record, and their emergence if there are several.

    Args:
        records: of one task.

    Returns:
        SVG elements by "MODEL.confusion", "MODEL.usage", "MODEL.accuracy" and "emergence";
        models of one name are numbered from 1.
    """
    figures = {}
    for name, record in zip(_labels(records), records, strict=True):
        findings = record.findings
        widest = findings.few_shot or findings.inference
        figures[f"{name}.confusion"] = draw_confusion(widest, widest.combined, name)
        figures[f"{name}.usage"] = draw_usage(findings.usage, name)
        figures[f"{name}.accuracy"] = draw_accuracy(record)
    runs = runs_of(records)
    if any(len(run) > 1 for run in runs.values()):
        figures[EMERGENCE] = draw_emergence(runs)
    return figures


def _labels(records: Sequence[RoutingRecord]) -> list[str]:
    names = [record.model.name for record in records]
    shared, seen = Counter(names), Counter[str]()
    labels = []
    for name in names:
        seen[name] += 1
        labels.append(name if shared[name] == 1 else f"{name}-{seen[name]}")
    return labels
