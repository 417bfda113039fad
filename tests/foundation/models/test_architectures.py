"""Laws that every architecture obeys, so that nothing but its map differs from the others'."""

from dataclasses import replace

import pytest
import torch
from architectures import DENSE, OF_STATES, SIZES, batch_of, config_of, network_of, random_batch
from box_flows import BOXES
from torch import nn

from data_shards.errors import UserError
from foundation.models.registry import (
    ARCHITECTURES,
    architecture_names,
    build_model,
    read_model_config,
)
from foundation.nn.initialise import initialise
from foundation.physics.norms import relative_l2
from foundation.train.config import RunConfig

every_architecture = pytest.mark.parametrize("name", SIZES)
INCREMENTS = {"target": "increment", "instance_norm": True}


def test_no_architecture_escapes_these_laws():
    assert sorted([*SIZES, *BOXES, *OF_STATES]) == architecture_names()


@every_architecture
def test_an_architecture_is_entered_under_the_name_that_its_configurations_give(name):
    config = config_of(name)
    assert config.model_type == name
    assert type(config) is ARCHITECTURES[name].config
    assert type(network_of(name)) is ARCHITECTURES[name].network


@every_architecture
def test_a_run_holds_any_architectures_configuration_and_gives_it_back_whole(name):
    values = config_of(name, instance_norm=True).model_dump(mode="json")
    run = RunConfig.model_validate({"model": values, "steps": 1})
    assert run.model == config_of(name, instance_norm=True)
    assert run.model_dump(mode="json")["model"] == values
    with pytest.raises(ValueError, match="unknown key 'heat'"):
        RunConfig.model_validate({"model": {**values, "heat": 3}, "steps": 1})


@every_architecture
@pytest.mark.parametrize("frames", [1, 3])
def test_frames_come_back_with_the_contexts_shape(name, frames, generator):
    model = network_of(name, out_frames=frames)
    prediction = model(random_batch(generator, 2))
    assert prediction.fields.shape == (2, frames, 4, 16, 16)
    assert prediction.fields.dtype == torch.float32
    assert prediction.class_logits.shape == (2, 6 if model.config.has_classes else 0)
    assert bool(prediction.routing) == (model.config.num_routed > 0)


@every_architecture
@pytest.mark.parametrize("normalised", ["none", "instance", "source"])
def test_other_channels_than_the_given_ones_can_be_asked(name, normalised, generator):
    """A solution from a source and three coefficients, of one moment each."""
    slots = ("source", "k11", "k22", "k12")
    ways = {
        "none": {},
        "instance": {"instance_norm": True},
        "source": {"slots": slots, "scales": dict.fromkeys(slots, 1.0)},
    }
    asked = {"context_frames": 1, "asked_channels": 1, **ways[normalised]}
    model = network_of(name, **asked)
    assert model.config.normalise == normalised
    given = torch.randn(3, 1, 4, 16, 16, generator=generator)
    prediction = model(batch_of(given))
    assert prediction.fields.shape == (3, 1, 1, 16, 16)
    (prediction.fields.square().sum() + prediction.class_logits.square().sum()).backward()
    for path, parameter in model.named_parameters():
        # Experts that no sample chose learn nothing, and one moment has no phase.
        if "routed" not in path and path != "temporal.gamma":
            assert parameter.grad.abs().max() > 0, path
    one, two, four = (
        network_of(name, **asked | {"asked_channels": n}).parameter_counts().total
        for n in (1, 2, 4)
    )
    assert four - one == 3 * (two - one) > 0  # of the last map


@pytest.mark.parametrize("name", ["moe_pot", "dpot", "fno", "unet"])
def test_an_architecture_says_which_grids_it_takes(name):
    with pytest.raises(UserError, match=r"dimensions: Input should be 2 \(got 3\)"):
        config_of(name, dimensions=3)


@every_architecture
@pytest.mark.parametrize("options", [{}, INCREMENTS])
def test_a_gradient_reaches_every_parameter(name, options, generator):
    if name == "moe_pot":  # an expert that no sample chose learns nothing
        options = options | {"router": {"num_experts": 4, "top_k": 4}}
    model = network_of(name, **options)
    prediction = model(random_batch(generator))
    (prediction.fields.square().sum() + prediction.class_logits.square().sum()).backward()
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.abs().max() > 0, path


@every_architecture
def test_every_number_starts_as_a_function_of_the_seed(name):
    model = network_of(name, instance_norm=True)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.fill_(torch.nan if tensor.is_floating_point() else 99)
    initialise(model, 7)
    same, other = network_of(name, 7, instance_norm=True), network_of(name, 8, instance_norm=True)
    for path, tensor in model.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[path]), path
    weights = [path for path in model.state_dict() if path.endswith("weight")]
    differing = [
        p for p in weights if not torch.equal(model.state_dict()[p], other.state_dict()[p])
    ]
    norms = [p for p in weights if "norm" in p]
    assert sorted([*differing, *norms]) == sorted(weights)


@every_architecture
@pytest.mark.parametrize("target", ["frame", "increment"])
def test_a_sample_is_forecast_alike_in_any_batch(name, target, generator):
    model = network_of(name, target=target, instance_norm=True)
    fields = random_batch(generator).given
    order = torch.tensor([3, 1, 4])
    together, apart = model(batch_of(fields)).fields, model(batch_of(fields[order])).fields
    # float32: a batch of another size sums in another order
    torch.testing.assert_close(apart, together[order], rtol=1e-4, atol=1e-5)


@every_architecture
def test_normalised_increments_are_equivariant_to_units(name, generator):
    """Metres or feet, the forecast of all channels scales and shifts with the context."""
    model = network_of(name, **INCREMENTS)
    nn.init.zeros_(model.scale_features.weight)
    nn.init.zeros_(model.shift_features.weight)
    fields = random_batch(generator).given
    plain, scaled = model(batch_of(fields)).fields, model(batch_of(7 * fields + 3)).fields
    # the floor of 1e-6 under a deviation of order one, through the whole network
    torch.testing.assert_close(scaled, 7 * plain + 3, rtol=1e-3, atol=1e-3)


@every_architecture
def test_the_context_is_seen_with_its_size_unless_the_statistics_are_silenced(name, generator):
    model = network_of(name, **INCREMENTS)
    fields = random_batch(generator).given
    plain, scaled = model(batch_of(fields)).fields, model(batch_of(7 * fields)).fields
    assert (scaled - 7 * plain).abs().max() > 1e-2


@every_architecture
def test_a_context_at_rest_stays_at_rest_under_increments(name, generator):
    model = network_of(name, **INCREMENTS)
    fields = random_batch(generator).given[:, :1].expand(-1, 10, -1, -1, -1).contiguous()
    change = model(batch_of(fields)).fields - fields[:, -1:]
    assert change.abs().max() < 1e-4  # 1e-6 of scale floor times outputs of order ten


@every_architecture
def test_the_order_of_frames_matters(name, generator):
    model = network_of(name)
    batch = random_batch(generator)
    backwards = replace(batch, given=batch.given.flip(1))
    assert (model(backwards).fields - model(batch).fields).abs().max() > 1e-3


@every_architecture
def test_a_small_set_is_learnt_by_heart(name, generator):
    model = network_of(name, instance_norm=True)
    fields = torch.randn(4, 11, 4, 16, 16, generator=generator)
    batch = replace(batch_of(fields[:, :10]), asked=fields[:, 10:])
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    errors = []
    for _ in range(60):
        optimiser.zero_grad()
        error = relative_l2(model(batch).fields, batch.asked).mean()
        error.backward()
        optimiser.step()
        errors.append(float(error.detach()))
    assert errors[-1] < 0.8 * errors[0]  # noise: there is nothing to learn but by heart


@every_architecture
def test_recomputed_blocks_give_the_same_gradients(name, generator):
    batch = random_batch(generator)
    results = []
    for recompute in (False, True):
        model = network_of(name, instance_norm=True)
        model.recompute_blocks = recompute
        model(batch).fields.square().sum().backward()
        results.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    plain, again = results
    assert plain.keys() == again.keys()
    for path, gradient in plain.items():
        torch.testing.assert_close(again[path], gradient, msg=path)


@every_architecture
def test_recomputed_blocks_keep_less_for_the_backward_pass(name, generator):
    batch = random_batch(generator)
    kept = []
    for recompute in (False, True):
        model = network_of(name)
        model.recompute_blocks = recompute
        held: dict[int, int] = {}

        def note(tensor: torch.Tensor, held: dict[int, int] = held) -> torch.Tensor:
            held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            model(batch)
        kept.append(sum(held.values()))
    assert kept[1] < kept[0]


@every_architecture
def test_bf16_weights_take_float32_batches_and_give_float32_fields(name, generator):
    model = network_of(name, instance_norm=True)
    batch = random_batch(generator)
    expected = model(batch).fields
    found = model.bfloat16()(batch).fields
    assert found.dtype == torch.float32
    # 8 bits of mantissa through the blocks, fields of order one
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.1)


@every_architecture
def test_what_is_planned_without_memory_is_what_is_built(name):
    config = config_of(name)
    built = sum(p.numel() for p in build_model(config, 0).parameters())
    assert network_of(name).parameter_counts().total == built


@pytest.mark.parametrize("name", DENSE)
def test_the_step_is_nothing_to_a_network_without_a_schedule(name):
    model, before = network_of(name), network_of(name).state_dict()
    model.at_step(500)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.temperature is None


@pytest.mark.parametrize("name", DENSE)
def test_a_sample_of_a_dense_network_passes_every_parameter(name):
    counts = network_of(name).parameter_counts()
    assert counts.activated == counts.total > 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "dopt"}, "unknown model_type 'dopt'; did you mean 'dpot'"),
        ({"model_type": "fno", "width": 8, "modes": 9}, "modes=9: a grid of 16 points has 8"),
        ({"model_type": "fno", "width": 8, "heads": 2}, "unknown key 'heads'"),
        ({"model_type": "unet", "width": 8, "levels": 6}, "resolution by 6 levels: 16 is not"),
        ({"model_type": "unet", "width": 6}, "width by norm_groups: 6 is not divisible by 4"),
        ({"model_type": "dpot", "width": 20, "blocks": 1, "heads": 2}, "norm groups: 20 is not"),
        (
            {"model_type": "fno", "width": 8, "modes": 4, **INCREMENTS, "context_frames": 1},
            "increment needs context_frames of 2",
        ),
        ("fno", "wanted a mapping"),
    ],
)
def test_sizes_that_do_not_fit_are_told_in_one_line(values, message):
    if isinstance(values, dict):
        values = {"resolution": 16, **values}
    with pytest.raises(UserError, match=message) as raised:
        read_model_config(values, "test")
    assert "\n" not in str(raised.value)
