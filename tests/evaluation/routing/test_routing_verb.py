"""Laws of the verb routing: from a checkpoint and shards to records, tables and figures."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from handmade_routes import MIXTURE
from travelling_waves import CORPORA
from written import write_closed_forms

from data_shards.card import CorpusCard
from data_shards.shards.corpus import ShardedCorpus
from data_shards.trajectory import Trajectory
from evaluation.records.kinds import RecordFolder
from evaluation.records.results import read_results
from evaluation.routing.fingerprints import read_fingerprints
from evaluation.routing.record import RoutingRecord, find
from evaluation.routing.results import ROUTING, read_routes
from evaluation.routing.runner import fingerprints_of
from foundation import Surrogate
from foundation.models.moe_pot import MoEPOT
from foundation.models.registry import build_model, read_model_config
from launchers.cli import main

KNOWN = ",".join(CORPORA)


def _routing(shards: Path, output: Path, *more: str) -> int:
    return main(["routing", "--shards", str(shards), "--output", str(output), *more])


def _records(output: Path) -> tuple[RoutingRecord, ...]:
    found = ROUTING.read(output)
    assert found is not None
    return found.records


def _saved(folder: Path, network: torch.nn.Module, about: dict | None = None) -> Path:  # type: ignore[type-arg]
    Surrogate(network, read_model_config(MIXTURE, "test"), about or {}).save_pretrained(folder)
    return folder


def _row_sums(record: RoutingRecord) -> np.ndarray:
    return np.sum(record.findings.inference.combined.confusion, axis=1)


def test_a_checkpoint_goes_to_a_record_a_table_and_figures(
    mixture: Path, waves: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, figures = tmp_path / "records" / "run.json", tmp_path / "figures"
    more = ["--windows", "9", "--figures", str(figures)]
    assert _routing(waves, output, str(mixture), *more) == 0
    (record,) = _records(output)
    assert record.task.corpora == ("toy_duct", "toy_wave")
    assert record.findings.inference.windows == (9, 9)
    assert record.findings.inference.trajectories == (3, 3)
    assert record.model.fingerprint == Surrogate.from_pretrained(mixture).fingerprint
    assert set(record.shards) == {f"{c}/{s}" for c in CORPORA for s in ("train", "test")}
    np.testing.assert_allclose(_row_sums(record), 1)
    printed = capsys.readouterr().out
    for text in ("Accuracy", "MI, bits", "toy_wave", str(output)):
        assert text in printed
    names = {path.name for path in figures.iterdir()}
    assert names == {f"seedling.{kind}.svg" for kind in ("accuracy", "confusion", "usage")}
    for path in figures.iterdir():
        assert ET.fromstring(path.read_text()).tag.endswith("svg")
    assert read_results(output) is None, "leaderboards pass routing files over"
    assert [file.records for file in RecordFolder(tmp_path).of(ROUTING)] == [(record,)]


def test_a_record_follows_from_the_routes_beside_it(
    mixture: Path, waves: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run.json"
    more = ["--corpora", KNOWN, "--windows", "7"]
    assert _routing(waves, output, str(mixture), *more) == 0
    (record,) = _records(output)
    routes = read_routes(tmp_path / "run.routes.npz", 0, record)
    shards = {place: record.shards["/".join(place)] for place in routes}
    assert find(routes, shards, record.task) == record.findings
    for each in routes.values():
        # 1e-6: float32 softmax
        np.testing.assert_allclose(each.probabilities_NLE.sum(-1), 1, atol=1e-6)
        np.testing.assert_allclose(each.weights_NLE.sum(-1), 1, atol=1e-6)
        assert ((each.weights_NLE > 0).sum(-1) == 2).all()


def test_routes_are_those_of_the_model_at_the_temperature_asked(
    mixture: Path, waves: Path, tmp_path: Path
) -> None:
    """At 1, the temperature of `Surrogate.route`; at 2 by default, that of an untrained model."""
    for temperature in ("1", "evaluation"):
        output = tmp_path / f"{temperature}.json"
        more = ["--windows", "2", "--temperature", temperature, "--start", "first"]
        assert _routing(waves, output, str(mixture), *more) == 0
    (plain,), (own,) = (_records(tmp_path / f"{t}.json") for t in ("1", "evaluation"))
    assert (plain.temperature, own.temperature) == (1, 2)
    routes = read_routes(tmp_path / "1.routes.npz", 0, plain)["toy_wave", "test"]
    softer = read_routes(tmp_path / "evaluation.routes.npz", 0, own)["toy_wave", "test"]
    flattened = np.sqrt(routes.probabilities_NLE)
    flattened /= flattened.sum(-1, keepdims=True)
    np.testing.assert_allclose(softer.probabilities_NLE, flattened, rtol=1e-5)
    np.testing.assert_array_equal(softer.weights_NLE, routes.weights_NLE)
    assert all(key.endswith("@0") for key in routes.keys)

    from data_shards.shards.corpus import ShardedCorpus
    from data_shards.stream.layout import square
    from data_shards.stream.windows import load_windows

    corpus = ShardedCorpus.open(waves, "toy_wave", "test")
    layout = square(16)
    batch = load_windows(corpus, [0, 1], layout, context_frames=10, target_frames=0)
    expected = Surrogate.from_pretrained(mixture).route(batch.given)
    for block, route in enumerate(expected):
        np.testing.assert_allclose(
            routes.probabilities_NLE[:, block], route.probabilities, rtol=1e-4
        )


def test_a_router_that_knows_its_corpora_is_found_out(waves: Path, tmp_path: Path) -> None:
    """Gates set by hand: the sign of one feature decides between two experts."""
    network = build_model(read_model_config(MIXTURE, "test"), seed=0)
    marks = _marks_of_corpora(network, waves)
    with torch.no_grad():
        for block, (middle, direction) in zip(network.blocks, marks, strict=True):
            score = block.moe.router.gate.score  # type: ignore[union-attr,operator]
            score.weight.zero_()
            score.bias.zero_()
            score.weight[0], score.weight[1] = 200 * direction, -200 * direction
            score.bias[0], score.bias[1] = -200 * direction @ middle, 200 * direction @ middle
            score.bias[2:] = -1e4
    output = tmp_path / "run.json"
    assert _routing(waves, output, str(_saved(tmp_path / "sage", network)), "--windows", "60") == 0
    findings = _records(output)[0].findings
    first = findings.inference.blocks[0]
    assert first.accuracy.value == 1
    assert findings.specialisation[0].mutual_information_bits > 0.5


def _marks_of_corpora(
    network: torch.nn.Module, waves: Path
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Middle and direction between two corpora's mean gate features, block by block."""
    from data_shards.shards.corpus import ShardedCorpus
    from data_shards.stream.layout import square
    from data_shards.stream.windows import load_windows

    assert isinstance(network, MoEPOT)
    means: list[list[torch.Tensor]] = [[] for _ in network.blocks]
    hooks = [
        block.moe.router.gate.score.register_forward_pre_hook(  # type: ignore[union-attr,operator]
            lambda _, inputs, seen=seen: seen.append(inputs[0].mean(0))
        )
        for block, seen in zip(network.blocks, means, strict=True)
    ]
    for name in CORPORA:
        corpus = ShardedCorpus.open(waves, name, "train")
        layout = square(16)
        batch = load_windows(corpus, range(12), layout, context_frames=10, target_frames=0)
        with torch.no_grad():
            network.eval()(batch)
    for hook in hooks:
        hook.remove()
    return [((a + b) / 2, (a - b) / (a - b).norm()) for a, b in means]


def test_renaming_the_experts_of_a_checkpoint_changes_no_answer(
    mixture: Path, waves: Path, tmp_path: Path
) -> None:
    network = Surrogate.from_pretrained(mixture).network
    order = [2, 0, 3, 1]
    # Copies: loading writes into the tensors that a state dict shows.
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    renamed = dict(weights)
    for name, tensor in weights.items():
        if ".gate.score." in name:
            renamed[name] = tensor[order]
        if ".routed.experts." in name:
            head, _, rest = name.partition(".routed.experts.")
            position, _, tail = rest.partition(".")
            renamed[name] = weights[f"{head}.routed.experts.{order[int(position)]}.{tail}"]
    network.load_state_dict(renamed)
    twin = _saved(tmp_path / "twin", network)
    more = ["--windows", "12", "--output", str(tmp_path / "run.json")]
    assert _routing(waves, tmp_path / "run.json", str(mixture), str(twin), *more) == 0
    one, other = (record.findings for record in _records(tmp_path / "run.json"))
    assert one.inference == other.inference
    for a, b in zip(one.specialisation, other.specialisation, strict=True):
        # 1e-5: the experts' outputs are summed in another order, which the next block sees
        assert a.model_dump() == pytest.approx(b.model_dump(), abs=1e-5)


def test_unseen_corpora_are_detected_and_inferred_from_a_few_windows(
    mixture: Path, shards_of_three: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run.json"
    more = ["--corpora", KNOWN, "--unseen", "toy_third", "--windows", "6", "--few", "4"]
    assert _routing(shards_of_three, output, str(mixture), *more) == 0
    findings = _records(output)[0].findings
    assert findings.few_shot is not None
    assert findings.detection is not None
    assert findings.few_shot.corpora == (*CORPORA, "toy_third")
    assert findings.few[0].windows == 4
    assert findings.detection.unseen == ("toy_third",)
    assert [usage.seen for usage in findings.usage] == [True, True, False]
    for detector in findings.detection.detectors.values():
        assert 0 <= detector.combined.value <= 1
        assert detector.per_corpus["toy_third"].value == detector.combined.value

    assert _routing(shards_of_three, output, str(mixture), *more, "--few", "0", "--overwrite") == 0
    again = _records(output)[0].findings
    assert again.few_shot is None
    assert again.detection == findings.detection


@pytest.fixture(scope="module")
def shards_of_three(waves: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy corpora and a third, which no model was trained on."""
    import shutil

    from travelling_waves import wave, wave_card

    folder = tmp_path_factory.mktemp("three")
    shutil.copytree(waves, folder, dirs_exist_ok=True)
    card = wave_card("toy_third").model_copy(update={"splits": {"train": 2, "test": 2}})

    def steeper(card: CorpusCard, index: int, seed: int) -> Trajectory:
        trajectory = wave(card, index, seed)
        return replace(trajectory, fields=trajectory.fields**3 + 4)

    return write_closed_forms(folder, card, card.splits, steeper)


def test_several_checkpoints_of_a_run_give_a_curve(waves: Path, tmp_path: Path) -> None:
    """In the order of their training, whatever that of the command line."""
    folders = []
    for step in (40, 0, 400):
        network = build_model(read_model_config(MIXTURE, "test"), seed=step)
        network.training_step.fill_(step)  # type: ignore[union-attr,operator]
        folders.append(str(_saved(tmp_path / f"step-{step}", network)))
    figures = tmp_path / "figures"
    more = ["--windows", "3", "--figures", str(figures)]
    assert _routing(waves, tmp_path / "run.json", *folders, *more) == 0
    records = _records(tmp_path / "run.json")
    assert [record.training_step for record in records] == [40, 0, 400]
    # The floor of the schedule is reached at 138 steps.
    assert [record.temperature for record in records] == pytest.approx([2 * 0.99**40, 2, 0.5])
    assert (figures / "emergence.svg").is_file()
    assert len(list(figures.iterdir())) == 10


def test_the_untrained_twin_is_the_same_network_with_fresh_weights(
    waves: Path, tmp_path: Path
) -> None:
    network = build_model(read_model_config(MIXTURE, "test"), seed=5)
    network.training_step.fill_(400)  # type: ignore[union-attr,operator]
    folder = _saved(tmp_path / "adept", network, {"steps": 400})
    more = ["--untrained", "--windows", "3", "--seed", "5", "--save-fingerprints"]
    assert _routing(waves, tmp_path / "run.json", str(folder), *more) == 0
    adept, twin = _records(tmp_path / "run.json")
    # "Trained" weights are the fresh ones of the same seed here, so all answers agree.
    assert twin.findings == adept.findings
    assert (adept.training_step, twin.training_step) == (400, 0)
    assert adept.temperature == twin.temperature == 0.5
    assert (twin.model.name, twin.model.floor) == ("adept-untrained", True)
    assert twin.model.fingerprint != adept.model.fingerprint
    assert read_fingerprints(folder, adept.model.fingerprint) == adept.fingerprints


def test_fingerprints_travel_in_the_checkpoint_folder(waves: Path, tmp_path: Path) -> None:
    network = build_model(read_model_config(MIXTURE, "test"), seed=3)
    folder = _saved(tmp_path / "model", network, {"corpora": list(CORPORA)})
    before = Surrogate.from_pretrained(folder).fingerprint
    output = tmp_path / "run.json"
    assert _routing(waves, output, str(folder), "--windows", "5", "--save-fingerprints") == 0
    (record,) = _records(output)
    assert record.task.corpora == CORPORA, "those that the checkpoint was trained on, in its order"
    model = Surrogate.from_pretrained(folder)
    assert model.fingerprint == before, "what lies beside the weights does not change them"
    assert read_fingerprints(folder, model.fingerprint) == record.fingerprints
    train = [ShardedCorpus.open(waves, name, "train") for name in CORPORA]
    assert fingerprints_of(model, train, windows=5) == record.fingerprints, "as a training leaves"


def test_json_prints_the_records_and_nothing_else(
    mixture: Path, waves: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run.json"
    assert _routing(waves, output, str(mixture), "--windows", "2", "--json", "--name", "x") == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads(output.read_text())
    assert document["records"][0]["model"]["name"] == "x"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--corpora", "toy_wave"], "at least 2 items"),
        (["--corpora", "toy_wave,toy_dct"], "did you mean"),
        (["--corpora", KNOWN, "--unseen", "toy_duct"], "toy_duct named twice"),
        (["--test-split", "train"], "choose two splits"),
        (["--test-split", "tset"], "tset"),
        (["--temperature", "warm"], "wanted a number or `evaluation`"),
        (["--temperature", "-1"], "temperature"),
        (["--start", "last"], "start"),
        (["--name", "a", "--name", "b"], "--name came 2 times for 1 checkpoints"),
        (["--device", "tpu9"], "--device"),
    ],
)
def test_what_a_user_can_fix_is_one_line_and_exit_code_2(
    more: list[str],
    message: str,
    mixture: Path,
    waves: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _routing(waves, tmp_path / "run.json", str(mixture), *more) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_an_existing_output_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text("precious")
    assert _routing(tmp_path / "no" / "shards", tmp_path / "run.json", "no/model") == 2
    assert "exists already" in capsys.readouterr().err


def test_a_changed_record_is_refused(mixture: Path, waves: Path, tmp_path: Path) -> None:
    from data_shards.errors import UserError

    output = tmp_path / "run.json"
    assert _routing(waves, output, str(mixture), "--windows", "2") == 0
    document = json.loads(output.read_text())
    document["records"][0]["task"]["windows"] = 3
    output.write_text(json.dumps(document))
    with pytest.raises(UserError, match="task_hash"):
        ROUTING.read(output)


def test_terms_come_from_a_task_file_but_for_those_given(
    mixture: Path, waves: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "{name: mine, version: 3, kind: routing, description: '', corpora: [mixture_6], "
    (tmp_path / "mine.yaml").write_text(text + "windows: 3, start: first, temperature: 1.5}")
    more = ["--task", "mine", "--include", str(tmp_path), "--corpora", KNOWN]
    assert _routing(waves, tmp_path / "run.json", str(mixture), *more, "--windows", "2") == 0
    (record,) = _records(tmp_path / "run.json")
    task = record.task
    assert (task.version, task.windows, task.start, task.temperature) == (3, 2, "first", 1.5)
    assert set(task.corpora) == set(CORPORA)
    capsys.readouterr()
    assert _routing(waves, tmp_path / "b.json", str(mixture), "--task", "routing_mixture6") == 2
    assert "did you mean 'routing_mixture_6'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [([], "no checkpoints in it"), (["--save-fingerprints"], "leave one of them out")],
)
def test_all_checkpoints_are_those_of_a_training_folder(
    more: list[str],
    message: str,
    mixture: Path,
    waves: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = [str(mixture), "--all-checkpoints", *more]
    assert _routing(waves, tmp_path / "run.json", *asked) == 2
    assert message in capsys.readouterr().err
