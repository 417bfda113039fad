"""The table of a sweep: a summary in, Markdown out."""

from evaluation.records.table import markdown_table, metric_title, number
from evaluation.transfer.curve import EqualSize, Gain, Point
from evaluation.transfer.record import TransferSummary

_MARKS = {"exact": "", "at_least": "> ", "at_most": "<= "}


def transfer_table(summary: TransferSummary) -> str:
    """One row per number of trajectories.

    Data saved is the number of trajectories that learning from scratch takes for the error
    after pre-training, and how many times more that is.
    """
    rows = [gain_cells(gain) for gain in summary.gains]
    return markdown_table(gain_titles(summary), rows, left=0)


def crossing_text(summary: TransferSummary) -> str:
    """Where learning from scratch catches up; empty where nothing can be compared."""
    point = summary.crossing
    if point is None:
        return ""
    count = round(point.trajectories)
    if point.bound == "at_least":
        return f"Learning from scratch has not caught up at {count} trajectories, the most tried."
    if point.bound == "at_most":
        return f"Learning from scratch is as good from {count} trajectories on, or fewer."
    return f"The curves cross at about {count} trajectories: from there on scratch is as good."


def gain_titles(summary: TransferSummary) -> list[str]:
    """Titles of the columns."""
    return [
        "Trajectories",
        f"{metric_title(summary.headline)} from checkpoint",
        "from scratch",
        "times less error",
        "same error from scratch",
        "times more data",
    ]


def gain_cells(gain: Gain) -> list[str]:
    """One row, in the order of `gain_titles`."""
    return [
        str(gain.trajectories),
        _point(gain.pretrained),
        _point(gain.scratch),
        number(gain.error_factor),
        _equal(gain.equal),
        _MARKS[gain.equal.bound] + number(gain.data_factor) if gain.equal else "n/a",
    ]


def _point(point: Point) -> str:
    text = number(point.error)
    if point.standard_error is not None:
        text += f" ± {number(point.standard_error, digits=2)}"
    return text


def _equal(equal: EqualSize | None) -> str:
    return f"{_MARKS[equal.bound]}{number(equal.trajectories)}" if equal else "n/a"
