"""Text tables: rows of cells in, Markdown with aligned columns out; numbers as people read them."""

import math
from collections.abc import Sequence

from data_shards.errors import UserError
from evaluation.metrics.names import find_metric
from evaluation.records.record import Record


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A Markdown table, padded so that it reads well on a terminal too.

    Args:
        header: one cell per column.
        rows: cells of every row.
        left: how many columns, from the first, are aligned left; the others right.
    """
    header, rows = _escaped(header), [_escaped(row) for row in rows]
    columns = [[header[i], *(row[i] for row in rows)] for i in range(len(header))]
    widths = [max(3, *(len(cell) for cell in column)) for column in columns]
    rule = ["-" * w if i < left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(header), line(rule), *map(line, rows)])


def _escaped(cells: Sequence[str]) -> list[str]:
    """Cells whose bars and line ends no longer end a column or a row."""
    return [" ".join(cell.replace("\\", "\\\\").replace("|", "\\|").splitlines()) for cell in cells]


def number(value: float | None, digits: int = 3) -> str:
    """A few significant digits, without an exponent where a person would write none."""
    if value is None:
        return "n/a"
    if not math.isfinite(value):
        return "diverged" if value > 0 else str(value)
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e5:
        places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        return f"{value:.{places}f}"
    return f"{value:.{digits - 1}e}"


def metric_title(name: str) -> str:
    """A metric as the field writes it: L2RE, nRMSE, VRMSE."""
    try:
        return find_metric(name).title
    except UserError:
        return name


def _arrow(name: str) -> str:
    """Which way is better; nothing where neither is."""
    metric = find_metric(name)
    if not metric.ranked:
        return ""
    return "↑" if metric.higher_is_better else "↓"


def parameters(count: int) -> str:
    """A number of parameters: 30.2 M, 489.6 M, 12.3 k."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return str(count)


def result_table(records: Sequence[Record]) -> str:
    """Every metric of every record: Model | Tasks | Version | Metric | Value | ± | samples | s."""
    header = ["Model", "Tasks", "Version", "Metric", "", "Value", "±", "samples", "s"]
    rows = []
    for record in records:
        for position, (name, score) in enumerate(record.scores.items()):
            rows.append(
                [
                    record.model.name if position == 0 else "",
                    record.task.name if position == 0 else "",
                    str(record.task.version) if position == 0 else "",
                    name,
                    _arrow(name),
                    number(score.value),
                    number(score.standard_error, digits=2),
                    str(record.num_samples) if position == 0 else "",
                    f"{record.seconds:.1f}" if position == 0 else "",
                ]
            )
    table = markdown_table(header, rows, left=5)
    diverged = [record for record in records if record.num_non_finite]
    notes = [
        f"{record.model.name} on {record.task.name}: the forecast of {record.num_non_finite} of "
        f"{record.num_samples} samples is not finite"
        for record in diverged
    ]
    return "\n".join([table, *notes])
