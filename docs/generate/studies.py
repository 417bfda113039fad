"""Results pages: the recorded files of `evaluation/studies` in, Markdown tables out.

Every figure comes from a recorded file. Records of evaluations become the leaderboard; any
other JSON file becomes tables of its own shape. Tables that a README copied from
such a file are left out in favour of the file's.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.board.leaderboard import board_markdown, write_leaderboard
from evaluation.records.results import read_results
from evaluation.routing.record import RoutingFile
from evaluation.routing.table import block_table
from evaluation.study.summary import StudySummary
from evaluation.study.table import study_tables, transfer_tables
from evaluation.study.transfer_summary import StudyTransfer
from evaluation.transfer.record import TransferSummary
from evaluation.transfer.table import crossing_text, transfer_table
from generate.sources import ROOT, turn_links

STUDIES = ROOT / "evaluation" / "studies"


def pages(boards: Path) -> dict[str, str | bytes]:
    """Pages by path, with the self-contained page of every board.

    Args:
        boards: folder in which boards may be made.
    """
    made: dict[str, str | bytes] = {"results/index.md": _overview()}
    for folder in _folders():
        texts = [_readme(folder)]
        if any(_holds_scores(path) for path in _files(folder)):
            board = write_leaderboard(folder, boards / folder.name)
            made[f"results/{folder.name}-board.html"] = (
                boards / folder.name / "index.html"
            ).read_bytes()
            texts.append(f"[The whole board, with curves and pictures]({folder.name}-board.html)")
            texts.append(_below_title(board_markdown(board)))
        texts += [_recorded(path) for path in _files(folder) if not _holds_scores(path)]
        made[f"results/{folder.name}.md"] = "\n\n".join(texts) + "\n"
    for path in _files(STUDIES):
        made[f"results/{path.stem}.md"] = f"# {_words(path.stem)}\n\n{_recorded(path)}\n"
    return made


def board_of(study: str, boards: Path) -> str:
    """Overview and scores of a study's records, for another page."""
    text = board_markdown(write_leaderboard(STUDIES / study, boards / study))
    return _below_title(text.partition("\n## Provenance")[0])


def _folders() -> list[Path]:
    return sorted(path.parent for path in STUDIES.glob("*/README.md"))


def _files(folder: Path) -> list[Path]:
    """What was recorded; of few-shot sweeps their summaries."""
    sweeps = [] if folder == STUDIES else sorted(folder.glob("*/transfer.json"))
    return sorted(folder.glob("*.json")) + sweeps


def _holds_scores(path: Path) -> bool:
    return read_results(path) is not None


def _overview() -> str:
    lines = [f"- [{_title(folder)}]({folder.name}.md)" for folder in _folders()]
    lines += [f"- [{_words(path.stem)}]({path.stem}.md)" for path in _files(STUDIES)]
    return (
        "# Results\n\nEvery figure on these pages is read at build from a recorded file of "
        "`evaluation/studies/`, which names machine and commit.\n\n"
        + "\n".join(lines)
        + "\n- [What was tried, failures included](log.md)\n"
    )


def _title(folder: Path) -> str:
    return (folder / "README.md").read_text().split("\n")[0].lstrip("# ")


def _words(stem: str) -> str:
    return stem.replace("_", " ").capitalize()


def _readme(folder: Path) -> str:
    source = f"evaluation/studies/{folder.name}/README.md"
    text = turn_links((ROOT / source).read_text(), source, f"results/{folder.name}.md")
    return re.sub(r"^\|.*\n?", "", text, flags=re.MULTILINE).strip()


def _below_title(markdown: str) -> str:
    return markdown.partition("\n")[2].strip()


def _recorded(path: Path) -> str:
    values = json.loads(path.read_text())
    worded = _WORDED.get(values.get("format"))
    sections = _sections(values) if worded is None else worded(values, str(path))
    return "\n\n".join([f"## `{_place(path)}`", *sections])


def _place(path: Path) -> str:
    """Within its study."""
    own = path.relative_to(STUDIES)
    return own.name if len(own.parts) < 2 else "/".join(own.parts[1:])


def _study(values: Mapping[str, Any], where: str) -> Iterator[str]:
    yield study_tables(StudySummary.read(values, where))


def _study_transfer(values: Mapping[str, Any], where: str) -> Iterator[str]:
    yield transfer_tables(StudyTransfer.read(values, where))


def _transfer(values: Mapping[str, Any], where: str) -> Iterator[str]:
    summary = TransferSummary.read(values, where)
    yield f"{summary.corpus}, recipe {summary.recipe}, routers {summary.router}"
    yield transfer_table(summary)
    yield crossing_text(summary)


def _routing(values: Mapping[str, Any], where: str) -> Iterator[str]:
    for record in RoutingFile.read(values, where).records:
        yield f"{record.model.name}, step {record.training_step}"
        yield block_table(record)


# Files that the platform itself puts into words, by their format.
_WORDED: dict[str, Callable[[Mapping[str, Any], str], Iterator[str]]] = {
    "foundation-study": _study,
    "foundation-study-transfer": _study_transfer,
    "foundation-transfer-summary": _transfer,
    "foundation-routing": _routing,
}


def _sections(values: Mapping[str, Any]) -> Iterator[str]:
    """Facts first, then one table per list of records."""
    tables = {key: value for key, value in values.items() if _is_records(value)}
    facts = [(key, _text(value)) for key, value in values.items() if key not in tables]
    if facts:
        yield _table(("recorded", ""), facts)
    for key, records in tables.items():
        columns = _columns(records)
        yield f"### {_words(key)}"
        yield _table(columns, [[_cell(record.get(name)) for name in columns] for record in records])


def _columns(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """All keys, those of plain values first."""
    keys = dict.fromkeys(name for record in records for name in record)
    return sorted(keys, key=lambda name: any(_nested(record.get(name)) for record in records))


def _nested(value: Any) -> bool:
    return isinstance(value, (dict, list))


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    names = [name.replace("_", " ") for name in header]
    return "\n".join([line(names), line(["---"] * len(names)), *map(line, rows)])


def _cell(value: Any) -> str:
    """Nested values get room: `.nested` in site.css."""
    return f'<span class="nested">{_text(value)}</span>' if _nested(value) else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return str(value)
