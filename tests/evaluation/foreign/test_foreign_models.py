"""Anybody's model on our tasks: what a factory returns is judged as our own models are.

The shards hold standing waves whose amplitude grows by the same amount every frame, so a straight
line through the context, by numpy's least squares, is exact; no model of ours is in play.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from travelling_waves import wave_card
from written import write_closed_forms

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.windows import load_windows
from data_shards.trajectory import Trajectory
from evaluation.foreign import ForeignModel, ModelLayout, square
from evaluation.foreign.factory import make_model
from evaluation.harness.compatible import own_layout
from evaluation.harness.forecaster import Forecaster, open_forecaster
from evaluation.harness.runner import RunSettings, run_task
from evaluation.tasks.task import Task, load_tasks
from launchers.cli import main

CPU = torch.device("cpu")
CORPORA = ("fno_ns_1e-5", "pdebench_cns_m0.1", "cfdbench")
TASKS = ",".join(f"zero_shot_{name}" for name in CORPORA)

LINE = """
import numpy as np
import torch
from evaluation.foreign import ForeignModel

def line():
    def forecast(context, steps):
        past, later = np.arange(context.shape[1]), np.arange(steps) + context.shape[1]
        series = np.moveaxis(context.double().numpy(), 1, 0)
        slope, start = np.polyfit(past, series.reshape(len(past), -1), 1)
        answer = (later[:, None] * slope + start).reshape(steps, *series.shape[1:])
        return torch.from_numpy(np.moveaxis(answer, 0, 1))
    return ForeignModel(forecast)
"""

NETWORK = """
import torch
from evaluation.foreign import ForeignModel, square

def stepper(slope=1.0):
    network = torch.nn.Linear(2, 1, bias=False)
    network.weight.data = torch.tensor([[-1.0, 1.0 + slope]])
    def step(context):
        return network(context.movedim(1, -1)).movedim(-1, 1)
    return ForeignModel(step, square(8), context_frames=2, rolled=True)

def other():
    return stepper(0.5)
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Write a module into the working directory; it is imported anew after every write."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two writes within a second differ
    written = set()

    def put(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)
        sys.modules.pop(name, None)
        written.add(name)

    yield put
    for name in written:
        sys.modules.pop(name, None)


def evaluate(shards: Path, output: Path, *targets: str, more: tuple[str, ...] = ()) -> int:
    where = ["--shards", str(shards), "--output", str(output), "--device", "cpu"]
    return main(["evaluate", *targets, *where, "--tasks", TASKS, *more])


def records_of(output: Path) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(output.read_text())["records"]
    return records


def test_a_line_by_numpy_is_exact_on_growing_waves(write, shards, tmp_path):
    write("numpys", LINE)
    output = tmp_path / "records" / "all.json"
    assert evaluate(shards, output, "numpys:line", "floor:persistence") == 0
    own, floor = records_of(output)[:3], records_of(output)[3:]
    for record, lazy in zip(own, floor, strict=True):
        assert record["scores"]["l2re"]["value"] < 1e-6  # round-off of the float32 shards
        assert lazy["scores"]["l2re"]["value"] > 0.1
        assert record["model"]["source"] == record["model"]["model_type"] == "numpys:line"


@pytest.mark.parametrize("name", CORPORA)
def test_a_rolled_network_of_two_weights_goes_on_like_the_line(write, corpus, name):
    """Whatever it makes of padding and of the obstacle is not fed back."""
    write("torchs", NETWORK)
    task = load_tasks()[f"zero_shot_{name}"]
    record, _ = run_task(open_forecaster("torchs:stepper", CPU), task, corpus(name), RunSettings())
    assert record.headline.value < 1e-5  # round-off of float32, fed back over ten frames or more
    assert record.model.parameters_total == 2


def test_records_are_kept_until_source_weights_or_a_named_file_change(write, shards, tmp_path):
    output = tmp_path / "kept.json"
    text = LINE.replace("ForeignModel(forecast)", "ForeignModel(forecast, files=('a.bin',))")
    (tmp_path / "a.bin").write_bytes(b"a")
    dates, prints = [], []
    for text_now, data in ((text, b"a"), (text, b"a"), (text, b"b"), (f"{text}\n#", b"b")):
        write("kept", text_now)
        (tmp_path / "a.bin").write_bytes(data)
        assert evaluate(shards, output, "kept:line") == 0
        dates.append(records_of(output)[0]["seconds"])
        prints.append(records_of(output)[0]["model"]["fingerprint"])
    assert dates[0] == dates[1]  # the very record
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_two_factories_of_one_file_differ_by_their_weights(write):
    write("torchs", NETWORK)
    first, second, again = (
        make_model(f"torchs:{name}", CPU) for name in ("stepper", "other", "stepper")
    )
    assert first.source_sha256 == second.source_sha256
    assert first.fingerprint == again.fingerprint != second.fingerprint
    assert not first.networks[0].training


@pytest.mark.parametrize(
    "held",
    [
        "forecast = lambda context, steps: nets[0](context)",
        "def inner(context):\n        return nets[1](context)\n"
        "    def forecast(context, steps):\n        return inner(context)",
        "import functools\n    forecast = functools.partial(whole, nets)",
        "forecast = Holder(nets).run",
        "forecast = Holder(nets)",
    ],
)
def test_networks_are_found_however_a_function_holds_them(write, held):
    start = """
import torch
from evaluation.foreign import ForeignModel

class Holder:
    def __init__(self, nets):
        self.nets = {"first": nets[0], "second": nets[1]}
    def run(self, context, steps):
        return self.nets["first"](context)
    __call__ = run

def whole(nets, context, steps):
    return nets[0](context)

def model():
    nets = [torch.nn.Linear(1, 1), torch.nn.Linear(2, 2)]
    """
    write("holders", f"{start}{held}\n    return ForeignModel(forecast)\n")
    made = make_model("holders:model", CPU)
    assert made.parameters == 2 + 6
    assert not any(network.training for network in made.networks)


def test_the_source_of_a_network_from_another_file_counts(write):
    layers = "import torch\nclass Own(torch.nn.Linear):\n    gain = {}\n"
    user = NETWORK.replace("torch.nn.Linear(", "layers_of_mine.Own(") + "\nimport layers_of_mine\n"
    prints = []
    for gain in (1, 2):
        write("layers_of_mine", layers.format(gain))
        write("user_of_layers", user)
        prints.append(make_model("user_of_layers:stepper", CPU).source_sha256)
    assert prints[0] != prints[1]


def test_who_wants_the_whole_batch_sees_masks_and_origins(corpus):
    seen = []

    def forecast(batch, steps):
        seen.append(batch)
        return batch.given[:, -1:].expand(-1, steps, -1, -1, -1)

    shards = corpus("cfdbench")
    layout = own_layout(shards)
    model = ForeignModel(forecast, layout, whole_batch=True)
    batch = load_windows(shards, [0], layout, context_frames=10, target_frames=4)
    assert model.answer(batch, 4).shape == (1, 4, 3, 8, 8)
    assert seen[0].origins[0].boundary["left"] == "periodic"
    assert seen[0].valid_mask.sum() == 60  # 64 cells, four of them solid


@pytest.mark.parametrize(
    ("target", "text", "message"),
    [
        ("nowhere_at_all:model", "", "no module nowhere_at_all in"),
        ("faulty.py:model", "", "write faulty:model"),
        ("faulty:modell", "def model(): ...", "did you mean 'model'?"),
        ("faulty:model", "def model(): ...", "returns NoneType; wanted a ForeignModel"),
        ("faulty:model", "def model():\n    return 1 / 0", "division by zero (line 2 of"),
        ("faulty:model", "def model():\n    raise ValueError('of two\\nlines')", "of two lines"),
        ("faulty:model", "import nothing_there", "No module named 'nothing_there' (line 1 of"),
        ("faulty:model", "def model(:", "SyntaxError"),
    ],
)
def test_faults_of_a_factory_are_one_line(write, shards, tmp_path, capsys, target, text, message):
    write("faulty", text)
    assert evaluate(shards, tmp_path / "never.json", target) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "never.json").exists()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("context[:, -1:]", "it gives (3, 1, 3, 8, 8) of torch.float32; wanted"),
        ("context.numpy()", "it gives ndarray; wanted"),
        ("context[:, :1, :1].repeat(1, steps, 1, 1, 1)", "wanted floating-point (3, 10, 2 to 3"),
        ("context.reshape(7)", "shape '[7]' is invalid"),
    ],
)
def test_faults_of_a_forecast_are_one_line(write, shards, tmp_path, capsys, body, message):
    start = "from evaluation.foreign import ForeignModel\ndef model():\n"
    write("wrong", f"{start}    return ForeignModel(lambda context, steps: {body})\n")
    where = ["--shards", str(shards), "--output", str(tmp_path / "never.json"), "--device", "cpu"]
    assert main(["evaluate", "wrong:model", *where, "--tasks", "zero_shot_cfdbench"]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.splitlines()[-1].startswith("error: wrong:model: ")
    assert not (tmp_path / "never.json").exists()


def test_a_layout_too_narrow_for_a_corpus_is_told_before_any_forecast(write, shards, tmp_path):
    write("narrow", NETWORK.replace("square(8)", "square(8, channels=1)"))
    assert evaluate(shards, tmp_path / "never.json", "narrow:stepper") == 2


def test_a_folder_whose_name_has_a_colon_is_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs:old").mkdir()
    with pytest.raises(UserError, match=r"config\.json"):
        open_forecaster("runs:old", CPU)


def test_square_is_the_layout_of_a_plane():
    assert square(64, channels=3).grid == (64, 64)


def test_a_rectangle_is_judged_on_its_own_cells(tmp_path):
    """As The Well's 384 x 128: a network is given the stored values, not resized ones."""
    rows, columns, frames = 16, 8, 14
    rng = np.random.default_rng(3)
    fields = rng.standard_normal((frames, 1, rows, columns)).astype(np.float32)
    card = wave_card("toy_wave").model_copy(
        update={"native_grid": (rows, columns), "frames": frames, "splits": {"test": 1}}
    )
    write_closed_forms(
        tmp_path,
        card,
        card.splits,
        lambda card, index, seed: Trajectory(
            fields, card.name, index, seed, 0.1, (0, 1, 0, 2), card.boundary, {"speed": 1.0}
        ),
    )
    shards = ShardedCorpus.open(tmp_path, card.name, "test")
    seen = []

    def still(context):
        seen.append(context)
        return context[:, -1:]

    layout = ModelLayout(grid=(rows, columns), channels=1)
    model = ForeignModel(still, layout, context_frames=4, rolled=True)
    facts = open_forecaster("floor:persistence", CPU).facts.model_copy(update={"floor": False})
    task = Task(
        name="toy", version=1, description="", corpus=card.name, rollout_frames=4, metrics=("l2re",)
    )
    judged = Forecaster(facts, model.answer, layout, 4)
    record, _ = run_task(judged, task, shards, RunSettings())
    np.testing.assert_array_equal(seen[0][0, :, 0], fields[6:10, 0])
    error = np.linalg.norm(fields[10:] - fields[9:10]) / np.linalg.norm(fields[10:])
    assert record.headline.value == pytest.approx(error, rel=1e-5)
