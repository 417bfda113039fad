"""The tables of a study: its summaries in, Markdown out."""

from collections.abc import Sequence

from evaluation.records.record import Record
from evaluation.records.table import markdown_table, metric_title, number, parameters
from evaluation.study.summary import OverSeeds, Standing, StudySummary
from evaluation.study.transfer_summary import Chosen, StudyTransfer, TransferCell


def study_tables(summary: StudySummary) -> str:
    """Standings of every mixture, then who beats whom."""
    parts = []
    for mixture in mixtures_of(summary):
        standings = [each for each in summary.standings if each.mixture == mixture]
        rows = [standing_cells(each, standings[0].steps) for each in standings]
        about = f"{mixture}: {standings[0].corpora} corpora, {standings[0].steps} steps"
        parts += [about, markdown_table(standing_titles(summary), rows)]
    if summary.wins:
        parts.append(markdown_table(WIN_TITLES, win_rows(summary), left=3))
    return "\n\n".join(parts)


def mixtures_of(summary: StudySummary) -> list[str]:
    """In the order of the study."""
    return list(dict.fromkeys(each.mixture for each in summary.standings))


_ABOUT = ["Model", "Seeds", "Total", "Activated", "FLOPs/frame", "Processor, s"]


def standing_titles(summary: StudySummary) -> list[str]:
    """Titles of the columns of a mixture's table."""
    tasks = [
        f"{metric_title(headline)} {task.removeprefix('zero_shot_')}"
        for task, headline in summary.tasks.items()
    ]
    return [*_ABOUT, *tasks, "Geometric mean", "Mean rank"]


def standing_cells(standing: Standing, steps: int) -> list[str]:
    """One row, in the order of `standing_titles`.

    Args:
        standing: of a model.
        steps: that its table says; another number stands beside the name.
    """
    flops, seconds = standing.flops_per_frame, standing.processor_seconds
    return [
        standing.model + ("" if standing.steps == steps else f", {standing.steps} steps"),
        str(standing.seeds),
        parameters(standing.parameters_total),
        parameters(standing.parameters_activated),
        "–" if flops is None else parameters(flops),
        "–" if seconds is None else over_seeds_cell(seconds),
        *(over_seeds_cell(each) for each in standing.errors.values()),
        over_seeds_cell(standing.geometric_mean),
        over_seeds_cell(standing.mean_rank),
    ]


def beside_table(summary: StudySummary, records: Sequence[Record]) -> str:
    """Models that the study did not train: the headline of every task."""
    errors: dict[str, dict[str, float]] = {}
    for record in records:
        errors.setdefault(record.model.name, {})[record.task.name] = record.headline.value
    titles = standing_titles(summary)[len(_ABOUT) : -2]
    rows = [[name, *(number(own[task]) for task in summary.tasks)] for name, own in errors.items()]
    return "judged as they are\n\n" + markdown_table(["Model", *titles], rows)


WIN_TITLES = ["Mixture", "Model", "against", "Better on", "clearly", "clearly worse on"]


def win_rows(summary: StudySummary) -> list[list[str]]:
    """Every pair of models of a mixture once, the better standing first."""
    place = {(each.mixture, each.model): i for i, each in enumerate(summary.standings)}
    return [
        [
            wins.mixture,
            wins.model,
            wins.other,
            f"{wins.better} of {wins.tasks}",
            str(wins.clearly_better),
            str(wins.clearly_worse),
        ]
        for wins in summary.wins
        if place[wins.mixture, wins.model] < place[wins.mixture, wins.other]
    ]


def transfer_tables(summary: StudyTransfer) -> str:
    """Fine-tuning, corpus by corpus: errors at the learning rates that validation chose."""
    parts = []
    for corpus, headline in summary.headlines.items():
        rows = [transfer_cells(cell) for cell in summary.cells if cell.corpus == corpus]
        if rows:
            title = f"{corpus}, fine-tuned: {metric_title(headline)} by number of trajectories"
            parts += [title, markdown_table(TRANSFER_TITLES, rows, left=2)]
    return "\n\n".join(parts)


TRANSFER_TITLES = [
    *("Model", "Mixture", "Trajectories", "from checkpoint", "rate"),
    *("from scratch", "rate", "times less error"),
]


def transfer_cells(cell: TransferCell) -> list[str]:
    """One row, in the order of `TRANSFER_TITLES`."""
    return [
        cell.model,
        cell.mixture,
        str(cell.trajectories),
        *_chosen_cells(cell.pretrained),
        *_chosen_cells(cell.scratch),
        number(cell.error_factor),
    ]


def _chosen_cells(chosen: Chosen | None) -> tuple[str, str]:
    if chosen is None:
        return "–", "–"
    return over_seeds_cell(chosen.error), f"{chosen.learning_rate:g}"


def over_seeds_cell(value: OverSeeds) -> str:
    """Mean over seeds ± its standard error."""
    text = number(value.mean)
    if value.standard_error is not None:
        text += f" ± {number(value.standard_error, digits=2)}"
    return text
