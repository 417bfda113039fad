"""A training folder of any layout of ranks, exported, forecasts as the engine that wrote it."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from group import on_ranks
from test_layouts import GLOBAL_BATCH, RESOLUTION, Case, global_batch, part

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from evaluation.routing.run_checkpoints import open_run
from foundation import Surrogate
from foundation.checkpoint.store import CheckpointStore
from foundation.models.registry import build_model, read_model_config
from foundation.models.rollout import rollout
from foundation.parallel.collectives import sum_over_ranks
from foundation.parallel.engine import build_engine, resolve_deepspeed_config
from foundation.parallel.launch import join_ranks, leave_ranks
from foundation.parallel.layout import Layout, StepConfig
from foundation.train.export import export_run
from foundation.train.losses import losses_of
from foundation.train.objectives import LossConfig

pytestmark = pytest.mark.dist

SIZES = {"width": 32, "blocks": 2, "heads": 4, "head_width": 8, "patch": 4}
STEPS, FRAMES = 2, 3


def settings(case: Case, model_type: str) -> dict[str, Any]:
    routed = {"router": {"gate_norm": case.gate}} if model_type == "moe_pot" else {}
    return {**SIZES, "resolution": RESOLUTION, "model_type": model_type, **routed}


def context() -> Batch:
    return part(global_batch(), 0, 2)


def train_and_save(folder: Path, case: Case, model_type: str) -> torch.Tensor:
    """A few steps, a checkpoint after each; the last engine's own forecast."""
    ranks = join_ranks()
    values = settings(case, model_type)
    config = read_model_config(values, "test")
    template = {
        "zero_optimization": {"stage": case.zero, "reduce_bucket_size": 10**6},
        "bf16": {"enabled": case.bf16},
    }
    micro = GLOBAL_BATCH // case.world
    resolved = resolve_deepspeed_config(template, StepConfig(micro_batch=micro))
    engine = build_engine(build_model(config, seed=0), resolved, case.ep_size)
    layout = Layout(world=case.world, ep_size=case.ep_size, zero_stage=case.zero, bf16=case.bf16)
    store = CheckpointStore(folder / "checkpoints", keep=3)
    own = part(global_batch(), ranks.rank * micro, micro)
    for step in range(1, STEPS + 1):
        loss = losses_of(engine(own), own, LossConfig(), sum_over_ranks).total
        engine.backward(loss)
        engine.step()
        for name, buffer in engine.module.named_buffers():
            if name == "training_step":
                buffer.fill_(step)
        store.save(engine, step, step * GLOBAL_BATCH, layout)
    if ranks.is_first:
        run = {"model": config.model_dump(mode="json"), "data": {"corpora": ["a", "b"]}}
        values = {"preset": "test", "overrides": [], "shards": "shards", "world": case.world}
        run |= {"steps": STEPS, "seed": 5}
        (folder / "config.yaml").write_text(yaml.safe_dump({**values, "run": run}))
    engine.module.eval()
    with torch.no_grad():
        future = rollout(engine.module, context(), FRAMES)
    leave_ranks()
    return future


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Any:
    """Training folders with the forecasts of the engines that wrote them, by their layout."""
    known: dict[Any, tuple[Path, torch.Tensor]] = {}

    def run(case: Case, model_type: str = "moe_pot") -> tuple[Path, torch.Tensor]:
        if (case, model_type) not in known:
            folder = tmp_path_factory.mktemp("run")
            future = on_ranks(case.world, train_and_save, folder, case, model_type)[0]
            known[case, model_type] = folder, future
        return known[case, model_type]

    return run


@pytest.mark.parametrize(
    ("case", "model_type"),
    [
        (Case(2, 2), "moe_pot"),
        pytest.param(Case(2, 1), "moe_pot", marks=pytest.mark.slow),
        pytest.param(Case(2, 2, zero=2, gate="batch"), "moe_pot", marks=pytest.mark.slow),
        pytest.param(Case(2, 2, zero=0), "moe_pot", marks=pytest.mark.slow),
        pytest.param(Case(1, 1), "moe_pot", marks=pytest.mark.slow),
        pytest.param(Case(2, 1), "dpot", marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_an_export_forecasts_as_the_engine_does(trained, tmp_path, case, model_type):
    folder, future = trained(case, model_type)
    source = export_run(folder, tmp_path / "out", max_shard_size="20KB")
    assert source.steps == STEPS
    assert (tmp_path / "out" / "model.safetensors.index.json").is_file()
    model = Surrogate.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        again = rollout(model, context(), FRAMES)
    # float32: ranks sum the parts of a sample in another order
    torch.testing.assert_close(again, future, rtol=1e-6, atol=1e-6)
    assert model.about["steps"] == STEPS
    assert model.about["samples"] == STEPS * GLOBAL_BATCH
    assert model.about["corpora"] == ["a", "b"]
    assert model.about["launch"] == {"shards": "shards", "world": case.world}


def test_every_checkpoint_of_a_run_can_be_looked_at_for_its_routing(trained):
    folder, future = trained(Case(2, 2))
    models = open_run(folder, torch.device("cpu"), "run")
    assert [model.training_step for model in models] == [1, STEPS]
    assert [model.facts.name for model in models] == ["run-step-00000001", "run-step-00000002"]
    assert models[0].facts.source == str(folder / "checkpoints" / "step-00000001")
    with torch.no_grad():
        again, first = (rollout(m.model, context(), FRAMES) for m in reversed(models))
    # float32: ranks sum the parts of a sample in another order
    torch.testing.assert_close(again, future, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(first, future, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_a_bf16_run_is_exported_as_the_numbers_it_computed_with(trained, tmp_path):
    folder, future = trained(Case(2, 2, bf16=True))
    export_run(folder, tmp_path / "out")
    model = Surrogate.from_pretrained(tmp_path / "out")
    assert all(torch.equal(p, p.bfloat16().float()) for p in model.parameters())
    with torch.no_grad():
        again = rollout(model, context(), FRAMES)
    # the same weights, once computed with in bf16 and once in float32
    assert (again - future).abs().max() < 0.05 * future.abs().max()


def test_any_checkpoint_of_a_run_can_be_had(trained, tmp_path):
    folder, _ = trained(Case(2, 2))
    prints = set()
    for tag in ("step-1", "step-00000002", "2"):
        source = export_run(folder, tmp_path / tag, checkpoint=tag)
        assert source.steps == int(tag.removeprefix("step-"))
        model = Surrogate.from_pretrained(tmp_path / tag)
        assert model.network.training_step == source.steps
        prints.add(model.fingerprint)
    assert len(prints) == 2
    with pytest.raises(UserError, match="unknown checkpoint 'step-3'; did you mean"):
        export_run(folder, tmp_path / "out", checkpoint="step-3")


def test_a_finished_model_is_exported_unless_the_run_went_on(trained, tmp_path):
    folder = shutil.copytree(trained(Case(2, 2))[0], tmp_path / "run")
    export_run(folder, folder / "model", checkpoint="step-2")
    (folder / "model" / "README.md").write_text("# Mine\n")
    assert export_run(folder, tmp_path / "finished").path == folder / "model"
    assert (tmp_path / "finished" / "README.md").read_text() == "# Mine\n"
    shutil.rmtree(folder / "model")
    export_run(folder, folder / "model", checkpoint="step-1")
    assert export_run(folder, tmp_path / "went_on").path.name == "step-00000002"
    again = export_run(tmp_path / "finished", tmp_path / "again", max_shard_size="20KB")
    assert again.path == tmp_path / "finished"
    one, many = (Surrogate.from_pretrained(tmp_path / n) for n in ("finished", "again"))
    assert one.fingerprint == many.fingerprint


class Evil:
    def __reduce__(self) -> Any:
        return print, ("code of the file's ran",)


def rewrite(checkpoint: Path, name: str, content: Any) -> None:
    """Replace a file and what the manifest says of it, as somebody with bad intentions would."""
    path = checkpoint / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    manifest = json.loads((checkpoint / "checkpoint.json").read_text())
    manifest["files"][name] = path.stat().st_size
    manifest |= {"sha256": {}, "seal": None}
    (checkpoint / "checkpoint.json").write_text(json.dumps(manifest))


EXPERT = "layer_1_expert_7_mp_rank_00_model_states.pt"
DENSE = "mp_rank_00_model_states.pt"


def changed(checkpoint: Path, change: Any) -> Any:
    state = torch.load(checkpoint / EXPERT, weights_only=True)
    return {name: change(tensor) for name, tensor in state.items()}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: rewrite(c, DENSE, pickle.dumps(Evil())), "damaged, or more than tensors"),
        (lambda c: rewrite(c, DENSE, Evil()), "damaged, or more than tensors"),
        (lambda c: rewrite(c, DENSE, [1]), "holds list, wanted a state dict"),
        (lambda c: rewrite(c, DENSE, {"module": {"x": 3}}), "not a checkpoint of ours"),
        (lambda c: rewrite(c, EXPERT, {}), "lacks 2 tensors, blocks.1"),
        (lambda c: rewrite(c, EXPERT, changed(c, lambda t: t[:1])), "do not belong together"),
        (lambda c: rewrite(c, EXPERT, changed(c, lambda t: t * torch.nan)), "NaN or infinite"),
        (lambda c: (c / EXPERT).unlink(), "no good checkpoint among 1"),
        (lambda c: (c / EXPERT).write_bytes(b""), "no good checkpoint among 1"),
        (lambda c: (c.parents[1] / "config.yaml").unlink(), "config.yaml: no such file"),
        (lambda c: (c.parents[1] / "config.yaml").write_text("a: 1"), "not a run's configuration"),
        (lambda c: shutil.rmtree(c), "no checkpoints in it"),
    ],
)
@pytest.mark.filterwarnings("ignore:passed over:UserWarning")
def test_a_damaged_run_is_refused_in_one_line_and_leaves_nothing(
    trained, tmp_path, capsys, spoil, message
):
    folder = shutil.copytree(trained(Case(2, 2))[0], tmp_path / "run")
    shutil.rmtree(folder / "checkpoints" / "step-00000001")
    spoil(folder / "checkpoints" / "step-00000002")
    with pytest.raises(UserError, match=message) as raised:
        export_run(folder, tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert "ran" not in capsys.readouterr().out


def test_nothing_is_overwritten(trained, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").touch()
    with pytest.raises(UserError, match="exists already"):
        export_run(trained(Case(2, 2))[0], tmp_path / "out")
    with pytest.raises(UserError, match="no such training folder"):
        export_run(tmp_path / "nowhere", tmp_path / "new")
