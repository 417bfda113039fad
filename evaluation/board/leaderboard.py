"""A leaderboard as files: a folder of records in, Markdown, CSV and one HTML page out.

Everything on it follows from the records (and the samples beside them), so the
same records always give the same files.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from evaluation.board.bands import BANDS_LEAD, BANDS_TITLES, band_cells, banded
from evaluation.board.board import Board, Cell, Row, build_board
from evaluation.board.groups import ColumnGroup, groups_of, rows_in
from evaluation.board.page.breakeven import breakeven_chapter
from evaluation.board.page.few_shot import few_shot_chapter
from evaluation.board.page.fields import PicturedModel
from evaluation.board.page.render import render_page
from evaluation.board.page.routing import routing_chapter
from evaluation.board.page.study import study_chapter
from evaluation.board.references import REFERENCES_TITLE, references_on
from evaluation.board.wording import (
    COST,
    ORIGINS,
    TERMS,
    factor_cell,
    flops_cell,
    headline_text,
    mean_rank,
    notes,
    origin_cells,
    row_label,
    score_cell,
    terms_cells,
)
from evaluation.breakeven.record import BREAK_EVENS
from evaluation.metrics.names import MetricName
from evaluation.records.kinds import RecordFolder
from evaluation.records.record import Record, ResultFile
from evaluation.records.results import results_in
from evaluation.records.samples import read_samples
from evaluation.records.table import markdown_table, parameters
from evaluation.routing.results import ROUTING
from evaluation.study.results import STUDIES, STUDY_TRANSFERS
from evaluation.transfer.record import TransferRecord
from evaluation.transfer.results import RUNS, SWEEPS


def write_leaderboard(records_folder: Path, output: Path) -> Board:
    """Read all results files of a folder and write the board.

    Args:
        records_folder: searched with its subfolders.
        output: folder for leaderboard.md, leaderboard.csv and index.html.

    Returns:
        What was written, as values.

    Raises:
        UserError: no readable records, or the output cannot be written.
    """
    found = RecordFolder(records_folder)
    results = results_in(found)
    board = build_board(_ranked_records(results, found.of(RUNS)))
    further = (
        study_chapter(found.of(STUDIES), found.of(STUDY_TRANSFERS)),
        few_shot_chapter(found.of(SWEEPS)),
        breakeven_chapter(found.of(BREAK_EVENS)),
        routing_chapter([each for file in found.of(ROUTING) for each in file.records]),
    )
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, text in {
            "leaderboard.md": board_markdown(board),
            "leaderboard.csv": board_csv(board),
            "index.html": render_page(
                board, _pictures(board, results), [each for each in further if each is not None]
            ),
        }.items():
            replace_file(output / name, text.encode())
    except OSError as error:
        raise UserError(f"{output}: the board could not be written ({error})") from None
    return board


def _ranked_records(
    results: Sequence[tuple[Path, ResultFile]], learnt: Sequence[TransferRecord]
) -> list[Record]:
    """All records but those of sweeps, whose many models have seen the corpus: no place for ranks.

    Raises:
        UserError: sweeps alone.
    """
    runs = {(run.record.model.fingerprint, run.record.task_hash) for run in learnt}
    records = [record for _, result in results for record in result.records]
    ranked = [each for each in records if (each.model.fingerprint, each.task_hash) not in runs]
    if not ranked:
        raise UserError(
            "all records are of foundation transfer, which makes no ranks; add some of "
            "foundation evaluate"
        )
    return ranked


def _pictures(board: Board, results: Sequence[tuple[Path, ResultFile]]) -> dict[str, PicturedModel]:
    """Of every column, fields of its best model, where its samples are at hand."""
    places = {
        id(record): (path.parent / result.samples_file, position)
        for path, result in results
        for position, record in enumerate(result.records)
    }
    pictures = {}
    for column in board.columns:
        for row in board.rows:
            cell = row.cells.get(column.task.name)
            if cell is None or not cell.best:
                continue
            samples, position = places[id(cell.record)]
            picture = (
                read_samples(samples, position, cell.record).picture if samples.exists() else None
            )
            if picture is not None:
                pictures[column.task.name] = PicturedModel(row.label, picture)
                break
    return pictures


def overview_markdown(board: Board) -> str:
    """Rank, size and cost of every model."""
    header = ["Model", "Rank", "Mean rank", "Total", "Activated", "FLOPs/frame"]
    rows = []
    for row in board.rows:
        counts = (row.facts.parameters_total, row.facts.parameters_activated)
        rows.append(
            [
                row_label(row),
                "–" if row.rank is None else str(row.rank),
                mean_rank(row, board.columns),
                *(parameters(count) if count else "–" for count in counts),
                flops_cell(row),
            ]
        )
    return markdown_table(header, rows)


def scores_markdown(board: Board, group: ColumnGroup) -> str:
    """The scores of a group of tasks, with ranks."""
    header = ["Model", *(column.title for column in group.columns), "Mean rank"]
    rows = [
        [
            row_label(row),
            *(_ranked(row.cells.get(column.task.name)) for column in group.columns),
            mean_rank(row, group.columns),
        ]
        for row in rows_in(board, group.columns)
    ]
    return markdown_table(header, rows)


def _ranked(cell: Cell | None) -> str:
    text = score_cell(cell)
    if cell is None or cell.rank is None:
        return text
    return f"**{text}** (#{cell.rank})" if cell.best else f"{text} (#{cell.rank})"


def factors_markdown(board: Board, group: ColumnGroup) -> str:
    """How many times each model beats the best floor of every column of a group."""
    header = ["Model", *(column.title for column in group.columns)]
    rows = [
        [row.label, *(factor_cell(row.cells.get(column.task.name)) for column in group.columns)]
        for row in rows_in(board, group.columns)
        if not row.facts.floor
    ]
    return markdown_table(header, rows)


def tables_markdown(board: Board) -> str:
    """The overview and the scores of every group of tasks."""
    parts = [overview_markdown(board)]
    for group in groups_of(board):
        parts += [f"## {group.title}", scores_markdown(board, group)]
    return "\n\n".join(parts)


def board_markdown(board: Board) -> str:
    """The whole board as Markdown."""
    parts = ["# Leaderboard", overview_markdown(board), COST]
    for group in groups_of(board):
        parts += [f"## {group.title}", headline_text(group.columns), scores_markdown(board, group)]
        if any(not row.facts.floor for row in rows_in(board, group.columns)):
            parts += ["### Factor over the best floor", factors_markdown(board, group)]
        if published := references_on(group.columns):
            table = markdown_table(published.titles, published.rows)
            parts += [f"### {REFERENCES_TITLE}", published.lead, table]
    if bands := [[row_label(row), *band_cells(record)] for row, record in banded(board)]:
        parts += ["## How sure forecasts are", BANDS_LEAD, markdown_table(BANDS_TITLES, bands, 2)]
    if listed := notes(board):
        parts += ["## Notes", "\n".join(f"- {line}" for line in listed)]
    parts += ["## Provenance", _provenance_markdown(board)]
    return "\n\n".join(parts) + "\n"


def _provenance_markdown(board: Board) -> str:
    terms = markdown_table(TERMS, [terms_cells(column) for column in board.columns], left=3)
    rows = [
        [row_label(row), *origin_cells(column, row.cells[column.task.name].record)]
        for row in board.rows
        for column in board.columns
        if column.task.name in row.cells
    ]
    return f"{terms}\n\n{markdown_table(['Model', *ORIGINS], rows, left=5)}"


def board_csv(board: Board) -> str:
    """One line per model, task and metric, with everything in full."""
    lines = [
        _csv_line(row, cell, metric)
        for row in board.rows
        for cell in row.cells.values()
        for metric in cell.record.scores
    ]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def _csv_line(row: Row, cell: Cell, metric: MetricName) -> dict[str, object]:
    record, origin, machine = cell.record, cell.record.provenance, cell.record.provenance.machine
    score = record.scores[metric]
    headline = metric == record.task.headline
    return {
        "model": row.label,
        "floor": row.facts.floor,
        "model_type": row.facts.model_type,
        "parameters_total": row.facts.parameters_total,
        "parameters_activated": row.facts.parameters_activated,
        "flops_per_frame": row.facts.flops_per_frame,
        "task": record.task.name,
        "task_version": record.task.version,
        "task_hash": record.task_hash,
        "groups": " ".join(record.task.groups),
        "corpus": record.task.corpus,
        "metric": metric,
        "value": score.value,
        "standard_error": score.standard_error,
        "rank": cell.rank if headline else None,
        "factor_over_floor": cell.factor if headline else None,
        "samples": record.num_samples,
        "non_finite": record.num_non_finite,
        "resolution": origin.resolution,
        "stride": origin.stride,
        "shard_fingerprint": origin.shard_fingerprint,
        "checkpoint_fingerprint": row.facts.fingerprint,
        "config_hash": row.facts.config_hash,
        "git_commit": origin.git_commit,
        "cpu": machine.cpu,
        "cores": machine.cores,
        "device": machine.device,
        "torch": machine.torch,
        "seconds": f"{record.seconds:.3f}",
        "seconds_per_frame": record.seconds / (record.num_samples * record.task.rollout_frames),
        "date": origin.date,
    }
