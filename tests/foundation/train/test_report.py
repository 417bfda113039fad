"""What a run writes for people and programs."""

import json
import queue
import shutil
import threading
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.event_file_writer import _AsyncWriterThread

from data_shards.errors import UserError
from foundation.train import report as report_module
from foundation.train.report import Reporter, finite_or_none, usage_figure

CORPORA = ("left", "right")


def row(step: int) -> dict:
    return {
        "step": step,
        "samples": 8 * step,
        "loss": 1.0 / step,
        "balance": 0.5,
        "corpus_loss": {"left": 0.25, "right": 0.75},
        "lr": 1e-3,
        "grad_norm": None,
        "samples_per_s": 40.0,
        "seconds_per_step": 0.2,
        "peak_memory_gib": 1.5,
        "router_entropy": 2.7,
        "temperature": 0.5,
        "expert_load": [[0.25, 0.75], [0.5, 0.5]],
    }


def test_a_bad_disk_leaves_no_trace_of_the_boards_thread(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)  # pytest has its own
    reporter = Reporter(tmp_path, CORPORA, first_step=0, steps=2)
    disk = MagicMock()
    disk.write.side_effect = OSError("no room")
    waiting: queue.Queue[bytes] = queue.Queue()
    waiting.put(b"a point")
    thread = _AsyncWriterThread(waiting, disk, flush_secs=120)
    thread.start()
    thread.join()
    assert thread.exception is disk.write.side_effect  # what its writer raises at the next point
    assert capsys.readouterr().err == ""
    other = threading.Thread(target=[].pop)
    other.start()
    other.join()
    assert "IndexError" in capsys.readouterr().err
    reporter.close()
    assert threading.excepthook is threading.__excepthook__


def test_a_folder_that_is_removed_under_a_run_is_said_at_the_next_line(tmp_path, monkeypatch):
    """What is written to a file without a name is lost, and the system calls it a success."""
    # Without TensorBoard, whose thread would go on after the test.
    monkeypatch.setattr(report_module, "SummaryWriter", lambda *_, **__: MagicMock())
    folder = tmp_path / "run"
    folder.mkdir()
    reporter = Reporter(folder, CORPORA, 0, steps=10)
    reporter.training(row(1), None)
    shutil.rmtree(folder)
    with pytest.raises(UserError, match=r"\A\S*run: was removed or replaced while the run .*\Z"):
        reporter.training(row(2), None)
    reporter.close()
    assert not folder.exists()


def report(folder: Path, first_step: int, steps: list[int]) -> None:
    reporter = Reporter(folder, CORPORA, first_step, steps=10)
    for step in steps:
        reporter.training(row(step), torch.full((2, 2, 2), 0.5))
        reporter.validation(step, {"left": 0.1, "right": 0.2})
    reporter.close()


def written(folder: Path) -> list[tuple[str, int]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [(r["kind"], r["step"]) for r in map(json.loads, lines)]


def test_tensorboard_holds_every_scalar_per_corpus_and_expert_and_the_heat_map(tmp_path):
    report(tmp_path, 0, [1, 2])
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    scalars = set(board.Tags()["scalars"])
    assert {
        *("train/loss", "train/lr", "train/router_entropy", "train/peak_memory_gib"),
        *("train_l2re/left", "train_l2re/right", "validation_l2re/left", "validation_l2re/right"),
        *("expert_load/block0/expert01", "expert_load/block1/expert00"),
    } <= scalars
    assert "train/grad_norm" not in scalars, "what is unknown is not drawn"
    assert [e.value for e in board.Scalars("train/loss")] == [1.0, 0.5]
    assert len(board.Images("expert_usage")) == 2


def test_terms_of_a_network_are_drawn_and_written_only_if_there_are_any(tmp_path):
    reporter = Reporter(tmp_path, CORPORA, 0, steps=10)
    reporter.training({**row(1), "terms": {"residual": 0.125, "energy": None}}, None)
    reporter.training(row(2), None)
    reporter.close()
    lines = list(map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines()))
    assert lines[0]["terms"] == {"residual": 0.125, "energy": None}
    assert "terms" not in lines[1]
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [e.value for e in board.Scalars("train_terms/residual")] == [0.125]
    assert "train_terms/energy" not in board.Tags()["scalars"], "what is not finite is not drawn"


def test_how_far_corpora_part_is_drawn_and_written_where_it_is_known(tmp_path):
    reporter = Reporter(tmp_path, CORPORA, 0, steps=10)
    reporter.training({**row(1), "expert_purity": [0.5, 0.875]}, None)
    reporter.training(row(2), None)
    reporter.close()
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [e.value for e in board.Scalars("expert_purity/block1")] == [0.875]


def test_a_resumed_run_drops_the_lines_behind_its_checkpoint(tmp_path):
    report(tmp_path, 0, [1, 2, 3])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')  # a kill in the middle of a line
    report(tmp_path, 2, [3, 4])
    steps = [step for kind, step in written(tmp_path) if kind == "train"]
    assert steps == [1, 2, 3, 4]


def test_plain_lines_tell_the_rate_and_the_time_left(tmp_path, capsys):
    report(tmp_path, 0, [5])
    said = capsys.readouterr().err
    assert "step 5/10 loss 0.2 " in said
    assert "40 samples/s ETA 0:01" in said
    assert "validation L2RE left 0.1  right 0.2" in said


def test_heat_map_has_a_panel_per_block_and_a_row_per_corpus():
    figure = usage_figure(torch.rand(3, 2, 16), CORPORA)
    panels = [axis for axis in figure.axes if axis.images and axis.get_title()]
    assert [axis.get_title() for axis in panels] == ["block 0", "block 1", "block 2"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == list(CORPORA)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), (float("nan"), None), (float("inf"), None), (torch.tensor(2.0), 2.0), (3, 3.0)],
)
def test_numbers_that_json_cannot_hold_become_null(value, expected):
    assert finite_or_none(value) == expected
