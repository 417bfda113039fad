"""Imported weights score under `protocol: reference` as the authors' program scores them.

`evaluate.py` of MoE-POT (commit c36ec22) was run on the files and weights of `prepared_flows`.
"""

import json
from pathlib import Path

import pytest
import torch
from prepared_flows import ASKED, FLOWS, FRAMES, write_flows, write_published

from data_shards.card import CorpusCard, PublishedFiles
from data_shards.catalogue import load_card
from data_shards.read.convert import convert
from data_shards.shards.corpus import ShardedCorpus
from evaluation.harness.forecaster import open_forecaster
from evaluation.harness.protocol import under
from evaluation.harness.runner import RunSettings, run_task
from evaluation.tasks.task import load_tasks
from foundation.published.published import import_published

THEIRS = json.loads((Path(__file__).parent / "authors.json").read_text())["scores"]
# Both sum in float32, in another order.
ROUND_OFF = 1e-6


def card_of(name: str) -> CorpusCard:
    cells, _, _ = FLOWS[name]
    own = {"dt_s": 1.0, "extent": [0, 1, 0, 1], "mask": "fractional"}
    sides = dict.fromkeys(("left", "right", "bottom", "top"), "periodic")
    published = PublishedFiles(reader="processed", options={**own, "boundary": sides})
    sizes = {"native_grid": (cells, cells), "frames": FRAMES, "rollout_frames": ASKED}
    return load_card(name).model_copy(update={"published": published, **sizes})


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """What judges a corpus under a protocol (None: the checkpoint's own)."""
    folder = tmp_path_factory.mktemp("authors")
    files = write_flows(folder)
    for name, file in files.items():
        convert(card_of(name), "test", file, folder / "shards")
    import_published(write_published(folder / "nano.pth"), folder / "model")
    forecaster = open_forecaster(str(folder / "model"), torch.device("cpu"))

    def score(name: str, protocol: str | None = None) -> float:
        corpus = ShardedCorpus.open(folder / "shards", name, "test")
        task = next(
            task
            for task in load_tasks().values()
            if task.corpus == name and task.name.startswith(("zero_shot", "downstream"))
        ).model_copy(update={"rollout_frames": ASKED})
        task = under(task, protocol or forecaster.protocol)
        record, _ = run_task(forecaster, task, corpus, RunSettings(batch_size=2, pictures=False))
        assert record.task.protocol == (protocol or "reference")
        return record.scores["l2re"].value

    return score


@pytest.mark.parametrize("name", FLOWS)
def test_an_imported_checkpoint_scores_as_its_authors_score_it(judged, name):
    assert judged(name) == pytest.approx(THEIRS[name], rel=ROUND_OFF)


@pytest.mark.parametrize("name", ["pdebench_cns_m0.1", "cfdbench", "pdearena_ns"])
def test_our_own_protocol_is_another_one(judged, name):
    """Axes, an obstacle and the order of channels each show, a hundred times above round-off."""
    assert abs(judged(name, "own") / THEIRS[name] - 1) > 1e-4
