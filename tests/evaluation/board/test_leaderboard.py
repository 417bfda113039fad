"""Laws of the leaderboard's files: self-contained, complete, a function of the records."""

import csv
import io
import re
import shutil
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.batch import Batch
from evaluation.board.board import Board
from evaluation.board.leaderboard import board_csv, write_leaderboard
from evaluation.board.wording import notes
from evaluation.harness.forecaster import Forecaster, open_forecaster
from evaluation.harness.resume import read_judged
from evaluation.harness.runner import RunSettings, run_task
from evaluation.records.record import ModelFacts
from evaluation.records.results import save_results
from evaluation.records.table import markdown_table, number, parameters
from evaluation.tasks.task import load_tasks

VOID = {"meta", "path", "use", "image", "img", "input", "br", "wbr", "rect"}


class Reader(HTMLParser):
    """Checks that tags close in order and collects tags and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text += data


def _line(name: str) -> Forecaster:
    """Continues the last two frames along a line: nearly exact on the test shards."""
    facts = ModelFacts(
        name=name,
        model_type="moe_pot",
        source=name,
        parameters_total=30_200_000,
        parameters_activated=17_600_000,
        fingerprint="f" * 64,
        config_hash="c" * 64,
    )

    def forecast(batch: Batch, steps: int) -> torch.Tensor:
        rate = batch.given[:, -1:] - batch.given[:, -2:-1]
        return batch.given[:, -1:] + 0.9 * rate * torch.arange(1, 1 + steps).reshape(1, -1, 1, 1, 1)

    return Forecaster(facts, forecast)


@pytest.fixture(scope="module")
def records(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two results files: both floors, and a model whose name needs escaping."""
    folder = tmp_path_factory.mktemp("records")
    tasks = [load_tasks()[f"zero_shot_{n}"] for n in ("cfdbench", "pdebench_cns_m0.1")]
    cpu = torch.device("cpu")
    floors = [open_forecaster(f"floor:{name}", cpu) for name in ("persistence", "context_mean")]
    for name, forecasters in (("floors", floors), ("model", [_line("a<b>&c")])):
        judged = [
            run_task(f, t, ShardedCorpus.open(shards, t.corpus, t.split), RunSettings())
            for f in forecasters
            for t in tasks
        ]
        save_results(folder / f"{name}.json", judged)
    return folder


@dataclass(frozen=True)
class Built:
    """A board and the texts that were written of it."""

    board: Board
    page: str
    markdown: str


@pytest.fixture(scope="module")
def built(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("board")
    board = write_leaderboard(records, folder)
    texts = [(folder / name).read_text() for name in ("index.html", "leaderboard.md")]
    return Built(board, *texts)


def _without(records: Path, name: str, folder: Path) -> Path:
    """A copy of the records that lacks one file."""
    copy = folder / "records"
    shutil.copytree(records, copy, ignore=shutil.ignore_patterns(name))
    return copy


def test_page_is_well_formed_self_contained_and_fetches_nothing(built: Built) -> None:
    page = built.page
    reader = Reader()
    reader.feed(page)
    assert not reader.open
    assert not {"link", "iframe", "object", "embed"} & set(reader.tags)
    assert reader.tags.count("script") == 1
    sources = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert all(source.startswith(("#", "data:image/png")) for source in sources)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page), "styles and drawings fetch nothing either"
    names = re.findall(r' id="([^"]*)"', page)
    assert len(names) == len(set(names)), "drawings must not share the names of their parts"
    assert "a<b>&c" in reader.text
    assert "<b>&c" not in page


def test_page_names_floors_factors_curves_fields_and_provenance(built: Built) -> None:
    board, page = built.board, built.page
    assert page.count('aria-label="L2RE against predicted frame') == 2
    assert page.count('alt="Truth, prediction and error') == 2
    assert page.count('<span class="tag">floor</span>') >= 4  # two rows, twice in tables
    for row in board.rows:
        for cell in row.cells.values():
            assert cell.record.task_hash[:10] in page
            assert cell.record.provenance.shard_fingerprint[:10] in page
    factor = board.rows[0].cells["zero_shot_cfdbench"].factor
    assert factor is not None
    assert factor > 5
    assert f"{number(factor)} ×" in page


def test_same_records_give_the_same_files(built: Built, records: Path, tmp_path: Path) -> None:
    write_leaderboard(records, tmp_path)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["index.html", "leaderboard.csv", "leaderboard.md"]
    assert (tmp_path / "index.html").read_text() == built.page
    assert (tmp_path / "leaderboard.md").read_text() == built.markdown
    assert (tmp_path / "leaderboard.csv").read_text() == board_csv(built.board)


def test_csv_has_every_score_in_full(built: Built) -> None:
    board = built.board
    lines = list(csv.DictReader(io.StringIO(board_csv(board))))
    assert len(lines) == 3 * 2 * 4  # rows, tasks, metrics
    for line in lines:
        row = next(row for row in board.rows if row.label == line["model"])
        score = row.cells[line["task"]].record.scores[line["metric"]]  # type: ignore[index]
        assert float(line["value"]) == score.value
        assert line["floor"] == str(row.facts.floor)


def test_markdown_marks_floors_and_the_best_model(built: Built) -> None:
    text = built.markdown
    assert "| persistence (floor)" in text
    assert "| context_mean (floor)" in text
    assert re.search(r"\*\*0\.0\d+ ± [\d.e-]+\*\* \(#1\)", text)
    assert "### Factor over the best floor" in text
    assert "## Zero-shot" in text


def test_records_without_samples_or_floors_still_make_a_board(
    records: Path, tmp_path: Path
) -> None:
    lone = _without(records, "floors.*", tmp_path)
    (lone / "model.samples.npz").unlink()
    board = write_leaderboard(lone, tmp_path / "board")
    assert any("no floor was judged" in note for note in notes(board))
    assert "Truth, prediction" not in (tmp_path / "board" / "index.html").read_text()


def test_floors_alone_make_a_board_without_ranks(records: Path, tmp_path: Path) -> None:
    board = write_leaderboard(_without(records, "model.*", tmp_path), tmp_path / "board")
    assert all(row.mean_rank is None for row in board.rows)


def _foreign(records: Path, folder: Path, corpus: str) -> Path:
    """A copy of the records in which one of the model's is of a corpus without a card."""
    copy = _without(records, "nothing", folder)
    path = copy / "model.json"
    (record, values), *others = read_judged(path)
    task = record.task.model_copy(update={"name": "zero_shot_foreign", "corpus": corpus})
    foreign = record.model_copy(update={"task": task, "task_hash": task.hash})
    save_results(path, [(foreign, values), *others])
    return copy


def test_a_record_of_an_unknown_corpus_gets_its_own_column(records: Path, tmp_path: Path) -> None:
    corpus = 'air|foil"<b>'
    board = write_leaderboard(_foreign(records, tmp_path, corpus), tmp_path / "board")
    assert [column.title for column in board.columns] == ["cfdbench", corpus, "pdebench_cns_m0.1"]
    assert [row.label for row in board.rows if "zero_shot_foreign" in row.cells] == ["a<b>&c"]
    reader = Reader()
    page = (tmp_path / "board" / "index.html").read_text()
    reader.feed(page)
    assert not reader.open
    assert "first channel, first test trajectory" in reader.text
    assert 'foil"<b>' not in page


def test_an_output_that_cannot_be_written_is_an_error(records: Path, tmp_path: Path) -> None:
    (tmp_path / "board").write_text("a file")
    with pytest.raises(UserError, match="could not be written"):
        write_leaderboard(records, tmp_path / "board")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.06824, "0.0682"),
        (1.0, "1.00"),
        (123.4, "123"),
        (0.0, "0"),
        (3.2e-7, "3.20e-07"),
        (1.5e7, "1.50e+07"),
        (None, "n/a"),
        (float("inf"), "diverged"),
    ],
)
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_parameters_are_counted_as_papers_do() -> None:
    assert [parameters(n) for n in (30_243_111, 12_345, 12)] == ["30.2 M", "12.3 k", "12"]


@pytest.mark.parametrize(
    ("name", "cell"), [("a|b", r"a\|b"), ("a\\|b", r"a\\\|b"), ("a\nb", "a b"), ("a\\b", r"a\\b")]
)
def test_a_name_can_end_neither_a_column_nor_a_row(name: str, cell: str) -> None:
    lines = markdown_table([name, "b"], [[name, "1"]]).splitlines()
    assert len(lines) == 3
    assert lines[2] == f"| {cell.ljust(3)} |   1 |"
    assert lines[0].startswith(f"| {cell.ljust(3)} |")


def test_markdown_columns_are_aligned() -> None:
    lines = markdown_table(["a", "b"], [["x", "1"], ["longer", "22"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1] == "| ------ | --: |"
