"""A checkpoint folder gives back what it was given, or says what is wrong."""

import json
import os
import pickle
import subprocess
from pathlib import Path

import pytest
import torch
from laid_out import laid_out
from safetensors.torch import load_file, save_file

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from data_shards.stream.layout import square
from data_shards.stream.origin import Origin
from foundation import Surrogate
from foundation.checkpoint.folder import save_folder
from foundation.checkpoint.sums import SUMS
from foundation.models.registry import build_model, read_model_config
from foundation.models.rollout import rollout

CONFIG = read_model_config(
    {"resolution": 16, "patch": 4, "width": 16, "blocks": 2, "heads": 2, "head_width": 8}, "test"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = build_model(CONFIG, seed=0)
    model.training_step.fill_(77)
    save_folder(tmp_path / "checkpoint", CONFIG, model.state_dict(), {"steps": 77})
    return tmp_path / "checkpoint"


def test_the_same_forecast_comes_back_with_router_temperature_and_origin(
    folder, tmp_path, generator
):
    context = torch.randn(2, 10, 4, 16, 16, generator=generator)
    model = Surrogate.from_pretrained(folder)
    assert not model.training
    assert model.network.training_step == 77
    assert model.about == {"steps": 77}
    model.save_pretrained(tmp_path / "copy")
    copy = Surrogate.from_pretrained(tmp_path / "copy")
    assert torch.equal(copy.forecast(context, 3), model.forecast(context, 3))
    assert copy.fingerprint == model.fingerprint


def test_a_key_that_came_later_changes_no_fingerprint_until_it_says_something(folder, tmp_path):
    """`router.unit` came after the first checkpoints, whose files do not know it."""
    assert "unit" not in json.loads((folder / "config.json").read_text())["model"]["router"]
    model = Surrogate.from_pretrained(folder)
    tokens = CONFIG.model_copy(
        update={"router": CONFIG.router.model_copy(update={"unit": "token"})}
    )
    save_folder(tmp_path / "tokens", tokens, model.network.state_dict(), {})
    assert Surrogate.from_pretrained(tmp_path / "tokens").config == tokens
    assert Surrogate.from_pretrained(tmp_path / "tokens").fingerprint != model.fingerprint


def test_fewer_channels_are_padded_and_longer_contexts_cut(folder, generator):
    model = Surrogate.from_pretrained(folder)
    context = torch.randn(2, 13, 2, 16, 16, generator=generator)
    future = model.forecast(context, 3)
    assert future.shape == (2, 3, 2, 16, 16)
    assert torch.equal(future, model.forecast(context[:, 3:], 3))


def test_routes_are_distributions_over_the_experts(folder, generator):
    routes = Surrogate.from_pretrained(folder).route(torch.randn(2, 10, 4, 16, 16))
    assert len(routes) == 2
    for route in routes:
        assert route.probabilities.shape == (2, 16)
        torch.testing.assert_close(route.probabilities.sum(1), torch.ones(2))
        torch.testing.assert_close(route.weights.sum(1), torch.ones(2))
        assert torch.equal(route.probabilities.topk(4).indices, route.experts)


def test_solid_cells_keep_their_values(folder, generator):
    mask = torch.ones(16, 16)
    mask[3, 4] = 0
    context = torch.randn(1, 10, 4, 16, 16, generator=generator)
    future = Surrogate.from_pretrained(folder).forecast(context, 2, mask)
    assert torch.equal(future[0, :, :, 3, 4], context[0, -1:, :, 3, 4].expand(2, -1))


def test_forecast_sees_an_obstacle_as_training_and_evaluation_do(folder, generator):
    """Whatever the solid cells hold, where corpora hold 0."""
    card = load_card("cfdbench")
    mask = torch.ones(16, 16)
    mask[4:7, 4:7] = 0
    fields = torch.randn(10, 2, 16, 16, generator=generator) * mask
    layout = square(16)
    frames, asked_mask, valid = laid_out(fields.numpy(), mask.numpy(), card, layout)
    ids = torch.zeros(1, dtype=torch.int64)
    batch = Batch(frames[None], frames[None, :0], asked_mask[None], valid[None], ids, ("",))
    model = Surrogate.from_pretrained(folder)
    with torch.no_grad():
        judged = rollout(model, batch, 3)
    expected = judged[:, :, :2] * mask
    assert torch.equal(model.forecast(fields[None], 3, mask), expected)
    behind = 7 * (1 - mask)
    assert torch.equal(model.forecast((fields + behind)[None], 3, mask), expected + behind)


CONTEXT = torch.zeros(2, 10, 4, 16, 16)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((CONTEXT, 0), "steps=0"),
        ((CONTEXT, 1, torch.ones(8, 8)), r"mask is \(8, 8\); wanted a tensor \(16, 16\) or \(2, 1"),
        ((CONTEXT, 1, torch.ones(3, 1, 16, 16)), r"mask is \(3, 1, 16, 16\)"),
        ((CONTEXT, 1, torch.ones(2, 4, 16, 16)), r"mask is \(2, 4, 16, 16\)"),
        ((CONTEXT, 1, CONTEXT[0, 0, 0].numpy()), "wanted a tensor"),
        ((CONTEXT, 1, None, (Origin(),) * 3), "3 origins for 2 samples"),
        ((CONTEXT.numpy(), 1), "context is ndarray"),
        ((CONTEXT[:0], 1), "B >= 1"),
        ((CONTEXT[:, :9], 1), "T >= 10"),
        ((torch.zeros(1, 10, 4, 24, 24), 1), "wanted whole numbers of 1 or more: regrid them"),
    ],
)
def test_what_is_no_context_of_this_model_is_the_users_error(folder, arguments, fault):
    with pytest.raises(UserError, match=fault):
        Surrogate.from_pretrained(folder).forecast(*arguments)


def spoil_config(folder: Path, **changes) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["model"] |= changes
    (folder / "config.json").write_text(json.dumps(values))


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps({"weights": [1, 2, 3]}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is missing"),
        (truncate, "damaged or truncated"),
        (pickled, "damaged or truncated"),
        (lambda f: (f / "config.json").write_text("{"), "not readable as JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "wanted an object"),
        (lambda f: spoil_config(f, widht=3), "did you mean 'width'"),
        (lambda f: spoil_config(f, width=32), "do not belong together"),
        (lambda f: spoil_config(f, blocks=3), "lacks .* tensors"),
        (lambda f: spoil_config(f, blocks=1), "has unknown"),
        (lambda f: spoil_config(f, model_type="moepot"), "did you mean 'moe_pot'"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(folder, spoil, message):
    spoil(folder)
    with pytest.raises(UserError, match=message) as raised:
        Surrogate.from_pretrained(folder)
    assert "\n" not in str(raised.value)


def zeros(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({n: torch.zeros_like(t) for n, t in tensors.items()}, folder / "model.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        zeros,
        lambda folder: spoil_config(folder, modes=2),
        lambda folder: spoil_config(folder, router={"top_k": 1}),
        lambda folder: (folder / SUMS).write_text(""),
    ],
    ids=["weights", "modes", "router", "sums"],
)
def test_what_fits_but_is_not_what_was_written_is_refused(folder, change):
    change(folder)
    with pytest.raises(UserError, match="changed since it was written") as raised:
        Surrogate.from_pretrained(folder)
    assert "\n" not in str(raised.value)
    (folder / SUMS).unlink()  # as in folders of older versions
    assert Surrogate.from_pretrained(folder).about == {"steps": 77}


def test_checksums_that_cannot_be_read_are_not_taken_for_none(folder):
    (folder / SUMS).unlink()
    os.mkfifo(folder / SUMS)
    with pytest.raises(UserError, match=f"{SUMS}: is no plain file"):
        Surrogate.from_pretrained(folder)


def test_checksums_are_those_of_the_usual_command_whatever_the_shards(folder, tmp_path):
    Surrogate.from_pretrained(folder).save_pretrained(tmp_path / "small", max_shard_size="40KB")
    for each in (folder, tmp_path / "small"):
        checked = subprocess.run(["sha256sum", "-c", SUMS], cwd=each, capture_output=True)
        assert checked.returncode == 0
    held = {path.name for path in (tmp_path / "small").iterdir()}
    covered = {line.split()[1] for line in (tmp_path / "small" / SUMS).read_text().splitlines()}
    assert held - covered == {SUMS, "model.safetensors.index.json"}


def test_what_is_no_checkpoint_is_told_apart(folder, tmp_path):
    with pytest.raises(UserError, match=r"holds no config\.json"):
        Surrogate.from_pretrained(tmp_path)
    (tmp_path / "run").mkdir()
    folder.rename(tmp_path / "run" / "model")
    with pytest.raises(UserError, match="a training folder; its checkpoint is"):
        Surrogate.from_pretrained(tmp_path / "run")
    with pytest.raises(UserError, match="no such checkpoint folder"):
        Surrogate.from_pretrained("./nowhere")
