"""A published checkpoint becomes ours and back: same function, same bits, or one clear refusal."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from architectures import config_of, network_of
from reference_files import GOLDEN, args_of, golden_tensors, weights_of, write_pth

from data_shards.errors import UserError
from foundation import Surrogate
from foundation.checkpoint.folder import save_folder
from foundation.published.published import export_published, import_published
from foundation.published.published_file import open_published

# The reference was computed in float32 by convolutions; ours sums in another order.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
BATCH_GATE = {"router": {"gate_norm": "batch"}}


@pytest.fixture(params=GOLDEN)
def reference(request, golden: Path):
    """Tensors of a published network, its configuration as published, its kind."""
    return (*golden_tensors(golden, request.param), request.param)


@pytest.fixture
def file(reference, tmp_path: Path) -> Path:
    tensors, config, _ = reference
    return write_pth(tmp_path / "model.pth", weights_of(tensors), args_of(config))


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("kind", ["whole", "some", "none", "dict"])
def test_forecasts_are_those_of_the_published_network(reference, tmp_path, prefix, kind):
    tensors, config, _ = reference
    args = args_of(config)
    if kind == "some":
        del args.modes, args.act, args.out_layer_dim
    args = {"whole": args, "some": args, "none": None, "dict": vars(args)}[kind]
    path = write_pth(tmp_path / "model.pth", weights_of(tensors), args, prefix)
    import_published(path, tmp_path / "model")
    model = Surrogate.from_pretrained(tmp_path / "model")
    context = tensors["golden.input"].permute(0, 3, 4, 1, 2)  # (B, X, Y, T, C)
    ours = model.forecast(context, 1).permute(0, 3, 4, 1, 2)
    torch.testing.assert_close(ours, tensors["golden.output"], **TOLERANCE)


def test_routes_are_those_of_the_published_network(golden, tmp_path):
    tensors, config = golden_tensors(golden, "moe_pot")
    path = write_pth(tmp_path / "model.pth", weights_of(tensors), args_of(config))
    import_published(path, tmp_path / "model")
    context = tensors["golden.input"].permute(0, 3, 4, 1, 2)
    for block, route in enumerate(Surrogate.from_pretrained(tmp_path / "model").route(context)):
        assert torch.equal(route.experts, tensors[f"golden.block{block}.topk_index"])
        torch.testing.assert_close(
            route.weights, tensors[f"golden.block{block}.topk_weight"], **TOLERANCE
        )


@pytest.mark.parametrize("prefix", ["", "module."])
def test_import_and_export_give_every_tensor_back_bit_for_bit(reference, tmp_path, prefix):
    tensors, config, _ = reference
    weights = weights_of(tensors)
    if "blocks.0.MoE.gating.gate.1.running_mean" in weights:
        for name in weights:  # as after a training, all different
            if name.endswith("num_batches_tracked"):
                weights[name] = torch.tensor(len(name))
    path = write_pth(tmp_path / "model.pth", weights, args_of(config), prefix)
    import_published(path, tmp_path / "model")
    export_published(tmp_path / "model", tmp_path / "back.pth")
    back = open_published(tmp_path / "back.pth")
    assert back.weights.keys() == weights.keys()
    for name, tensor in weights.items():
        assert back.weights[name].dtype == tensor.dtype
        assert torch.equal(back.weights[name], tensor), name
    stated = vars(args_of(config))
    assert back.args == {name: stated[name] for name in back.args}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dpot", {"instance_norm": True, "out_frames": 2, "modes": 3}),
        ("dpot", {"time_aggregation": "mlp", "channels": 2}),
        ("moe_pot", {**BATCH_GATE, "instance_norm": True, "num_shared": 3}),
    ],
)
def test_networks_of_ours_come_back_from_the_published_layout(tmp_path, generator, name, options):
    network = network_of(name, seed=4, **options)
    if name == "moe_pot":
        network.training_step.fill_(500)
    config = config_of(name, **options)
    save_folder(tmp_path / "ours", config, network.state_dict(), {})
    export_published(tmp_path / "ours", tmp_path / "model.pth")
    assert import_published(tmp_path / "model.pth", tmp_path / "again").config == config
    context = torch.randn(2, 10, config.channels, 16, 16, generator=generator)
    ours, again = (Surrogate.from_pretrained(tmp_path / f) for f in ("ours", "again"))
    assert torch.equal(ours.forecast(context, 3), again.forecast(context, 3))


def test_the_router_of_an_imported_mixture_stands_at_its_lowest_temperature(golden, tmp_path):
    tensors, config = golden_tensors(golden, "moe_pot")
    path = write_pth(tmp_path / "model.pth", weights_of(tensors), args_of(config))
    import_published(path, tmp_path / "model")
    assert Surrogate.from_pretrained(tmp_path / "model").network.temperature == 0.5


def test_the_folder_says_where_it_comes_from(file, reference, tmp_path):
    made = import_published(file, tmp_path / "model")
    origin = json.loads((tmp_path / "model" / "config.json").read_text())["about"]["imported"]
    assert origin == made.about["imported"]
    assert origin["file"] == "model.pth"
    assert origin["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert origin["bytes"] == file.stat().st_size
    assert origin["from_args"] == {"modes": 32, "act": "gelu"}
    assert origin["assumed"] == ({"router.top_k": 4} if reference[2] == "moe_pot" else {})
    assert "width" in origin["from_tensors"]
    assert len(made.remarks) == len(origin["assumed"])


def test_what_is_taken_for_granted_is_said(reference, tmp_path):
    path = write_pth(tmp_path / "model.pth", weights_of(reference[0]))
    remarks = " ".join(import_published(path, tmp_path / "model").remarks)
    for word in ("model.pth has no args", "modes=32: not in the file", "act=gelu: not in the file"):
        assert word in remarks


def test_modes_that_cut_the_spectrum_are_remarked_on(reference, tmp_path):
    tensors, config, _ = reference
    path = write_pth(tmp_path / "model.pth", weights_of(tensors), args_of(config, modes=3))
    made = import_published(path, tmp_path / "model")
    assert made.config.modes == 3
    assert any("modes=3" in remark for remark in made.remarks)


def test_weights_of_half_precision_are_kept_in_single_and_it_is_said(reference, tmp_path):
    tensors, config, _ = reference
    halves = {
        name: tensor.bfloat16() if tensor.is_floating_point() else tensor
        for name, tensor in weights_of(tensors).items()
    }
    path = write_pth(tmp_path / "model.pth", halves, args_of(config))
    made = import_published(path, tmp_path / "model")
    assert any("bfloat16" in remark for remark in made.remarks)
    model = Surrogate.from_pretrained(tmp_path / "model")
    found = model.network.temporal.weight
    assert torch.equal(found, halves["time_agg_layer.w"].float())


def test_weights_that_are_views_of_one_buffer_become_tensors_of_their_own(reference, tmp_path):
    tensors = reference[0]
    floats = {n: t for n, t in weights_of(tensors).items() if t.is_floating_point()}
    flat = torch.cat([tensor.flatten() for tensor in floats.values()])
    pieces = flat.split([tensor.numel() for tensor in floats.values()])
    views = {n: p.view(t.shape) for (n, t), p in zip(floats.items(), pieces, strict=True)}
    tied = weights_of(tensors)["cls_head.0.bias"]
    whole = {**weights_of(tensors), **views, "cls_head.0.bias": tied, "cls_head.2.bias": tied}
    import_published(write_pth(tmp_path / "model.pth", whole), tmp_path / "model")
    export_published(tmp_path / "model", tmp_path / "back.pth")
    back = open_published(tmp_path / "back.pth").weights
    assert all(torch.equal(back[name], tensor) for name, tensor in whole.items())


def refused(path: Path, out: Path) -> str:
    """What an import says that must leave nothing behind, not even a half of it."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(UserError) as raised:
        import_published(path, out)
    assert sorted(out.parent.iterdir()) == before
    return str(raised.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(reference, tmp_path, value):
    tensors, config, _ = reference
    weights = weights_of(tensors)
    weights["out_layer.2.bias"] = weights["out_layer.2.bias"].clone()
    weights["out_layer.2.bias"][3] = value
    path = write_pth(tmp_path / "model.pth", weights, args_of(config))
    assert "out_layer.2.bias holds NaN or infinity" in refused(path, tmp_path / "model")


@pytest.mark.parametrize("dtype", [torch.float64, torch.int32, torch.bool])
def test_weights_of_another_type_are_refused_by_name(reference, tmp_path, dtype):
    tensors, config, _ = reference
    weights = weights_of(tensors)
    weights["cls_head.0.bias"] = weights["cls_head.0.bias"].to(dtype)
    path = write_pth(tmp_path / "model.pth", weights, args_of(config))
    assert f"cls_head.0.bias is {dtype}" in refused(path, tmp_path / "model")


def test_arguments_that_contradict_the_tensors_are_refused(reference, tmp_path):
    tensors, config, _ = reference
    path = write_pth(tmp_path / "model.pth", weights_of(tensors), args_of(config, width=64))
    assert "args.width=64, its tensors say 32" in refused(path, tmp_path / "model")


def test_nothing_is_overwritten(file, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").write_text("mine")
    assert "exists" in refused(file, tmp_path / "model")
    assert (tmp_path / "model" / "mine.txt").read_text() == "mine"
    import_published(file, tmp_path / "new")
    before = file.read_bytes()
    with pytest.raises(UserError, match="exists"):
        export_published(tmp_path / "new", file)
    assert file.read_bytes() == before


def test_a_failing_write_leaves_nothing_and_says_so(file, tmp_path, monkeypatch):
    def full(folder, *arguments):
        folder.mkdir(exist_ok=True)
        (folder / "half").write_text("a half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("foundation.published.published.save_folder", full)
    assert "No space left" in refused(file, tmp_path / "model")


def test_a_place_that_does_not_exist_is_refused_before_the_file_is_read(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        import_published(tmp_path / "gone.pth", tmp_path / "nowhere" / "model")


def test_a_router_still_warm_is_not_exported(tmp_path):
    network = network_of("moe_pot", seed=4, **BATCH_GATE)
    network.training_step.fill_(20)
    save_folder(tmp_path / "ours", config_of("moe_pot", **BATCH_GATE), network.state_dict(), {})
    with pytest.raises(UserError, match=r"temperature 1\.64"):
        export_published(tmp_path / "ours", tmp_path / "model.pth")
    assert not (tmp_path / "model.pth").exists()
