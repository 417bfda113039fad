"""Presets and overrides: what is accepted, and what a wrong one is told."""

import pytest
from architectures import config_of

from data_shards.errors import UserError
from foundation.models.network import FieldConfig
from foundation.models.registry import build_model, outline_model
from foundation.plan.cost import cost_of
from foundation.train.config import (
    SIX_CORPORA,
    RunConfig,
    first_difference,
    laid_over,
    load_run_config,
)
from foundation.train.presets import preset_names

# DESIGN of the paper's three sizes: total and activated parameters in millions
PUBLISHED = {"tiny": (30.2, 17.6), "small": (166.3, 90.8), "medium": (489.6, 288.2)}


@pytest.mark.parametrize("preset", PUBLISHED)
def test_the_papers_sizes_count_exactly(preset):
    cost = cost_of(load_run_config(preset, []).model, 1, 1, 1, False, 1)
    counts = tuple(round(count / 1e6, 1) for count in cost.parameters)
    assert counts == PUBLISHED[preset]


@pytest.mark.parametrize("preset", PUBLISHED)
def test_the_papers_presets_see_as_many_samples_as_published(preset):
    """1000 passes over the trajectories that the published weights count."""
    run = load_run_config(preset, [])
    assert run.global_batch * run.steps == 1000 * sum(run.data.weights.values())
    assert run.global_batch == {"tiny": 40, "small": 40, "medium": 160}[preset]


# What a run was before the presets took up the rest of the published recipe.
OURS = {"steps": 1_000_000, "global_batch": 20, "data": {"weights": "balanced"}}


@pytest.mark.parametrize("preset", PUBLISHED)
def test_our_own_recipe_is_every_default_and_differs_in_nothing_of_the_network(preset):
    published, ours = load_run_config(preset, []), load_run_config(f"{preset}_plus", [])
    plain = RunConfig.read({"model": ours.model.model_dump(), **OURS}, preset)
    assert ours == plain
    assert ours.canonical() == plain.canonical()
    router = ours.model.router.model_copy(update={"gate_norm": "batch"})
    assert published.model == ours.model.model_copy(update={"router": router})


# DPOT's own table, in millions, rounded down there
DPOT_SIZES = {"tiny": 7, "small": 30, "medium": 122, "large": 509, "huge": 1031}
TWINS = ("nano_dpot", "nano_fno", "nano_unet")


@pytest.mark.parametrize("size", DPOT_SIZES)
def test_dpots_sizes_count_as_published(size):
    cost = cost_of(load_run_config(f"dpot_{size}", []).model, 1, 1, 1, False, 1)
    assert int(cost.parameters.total / 1e6) == DPOT_SIZES[size]


# At four inputs, by the formula of the network's own layers: width and modes in the name.
TRANSFER_SCALING = {
    "fno_16_4": 67_281,
    "fno_16_16": 1_050_321,
    "fno_32_16": 4_200_865,
    "fno_64_16": 16_802_625,
    "fno_64_32": 67_134_273,
    "fno_128_32": 268_535_425,
}


@pytest.mark.parametrize("preset", TRANSFER_SCALING)
def test_sizes_of_transfer_scaling_count_exactly(preset):
    config = load_run_config(preset, []).model
    assert sum(p.numel() for p in outline_model(config).parameters()) == TRANSFER_SCALING[preset]
    assert cost_of(config, 1, 1, 1, False, 1).parameters.total == TRANSFER_SCALING[preset]


@pytest.mark.parametrize("preset", TRANSFER_SCALING)
def test_sizes_of_transfer_scaling_differ_in_nothing_but_the_size(preset):
    run, smallest = load_run_config(preset, []), load_run_config("fno_16_4", [])
    assert run.model_dump(exclude={"model"}) == smallest.model_dump(exclude={"model"})
    sizes = {"width", "modes", "projection"}
    assert run.model.model_dump(exclude=sizes) == smallest.model.model_dump(exclude=sizes)
    assert f"fno_{run.model.width}_{run.model.modes}" == preset
    assert run.model.projection == 2 * run.model.width


def test_transfer_scaling_trains_as_published_and_may_minimise_what_is_reported():
    run = load_run_config("fno_16_4", [])
    assert run.steps * run.global_batch == 500 * 32768
    assert (run.loss.objective, run.loss.noise, run.clip) == ("sum_of_squares", 0, 0)
    assert (run.optimiser.betas, run.optimiser.weight_decay) == ((0.9, 0.999), 0)
    assert run.scales == "measured"
    assert [run.schedule.at(n * run.steps // 2, run.steps, 1e-3) for n in range(3)] == (
        pytest.approx([1e-3, 5e-4, 0])
    )
    other = load_run_config("fno_16_4", ["loss.objective=relative_l2"])
    assert other.loss.objective == "relative_l2"


@pytest.mark.parametrize("preset", TWINS)
def test_baselines_of_nano_differ_in_nothing_but_the_network(preset):
    nano, twin = load_run_config("nano", []), load_run_config(preset, [])
    assert twin.model_dump(exclude={"model"}) == nano.model_dump(exclude={"model"})
    shared = FieldConfig.model_fields.keys() - {"model_type"}
    assert twin.model.model_dump(include=shared) == nano.model.model_dump(include=shared)


@pytest.mark.parametrize("preset", TWINS)
def test_baselines_of_nano_have_the_parameters_that_a_sample_of_nano_passes(preset):
    nano, twin = (
        cost_of(load_run_config(name, []).model, 1, 1, 1, False, 1).parameters
        for name in ("nano", preset)
    )
    assert twin.activated == pytest.approx(nano.activated, rel=0.05)


@pytest.mark.parametrize(
    "preset", ["debug", "nano", "nano_moe_fno", "nano_moe_fno_patched", *TWINS]
)
def test_small_presets_build_with_the_parameters_they_plan(preset):
    config = load_run_config(preset, []).model
    model = build_model(config, seed=0)
    built = sum(p.numel() for p in model.parameters())
    assert built == cost_of(config, 1, 1, 1, False, 1).parameters.total


def test_every_preset_loads():
    assert {*PUBLISHED, *TWINS, "debug", "nano"} <= set(preset_names())
    for name in preset_names():
        assert load_run_config(name, []).steps > 0


def test_overrides_reach_nested_keys():
    run = load_run_config("debug", ["steps=7", "model.router.top_k=2", "data.corpora=[cfdbench]"])
    assert (run.steps, run.model.router.top_k, run.data.corpora) == (7, 2, ("cfdbench",))


@pytest.mark.parametrize(
    ("preset", "overrides", "message"),
    [
        ("nanno", [], "unknown preset 'nanno'; did you mean 'nano'"),
        ("debug", ["stepz=3"], "did you mean 'steps'"),
        ("debug", ["model.widht=3"], "did you mean 'width'"),
        ("debug", ["optimiser.learning_rate=3"], r"unknown key 'learning_rate'"),
        ("debug", ["steps"], r"wanted key\.path=value"),
        ("debug", ["steps.a=1"], "steps is a value, not a group"),
        ("debug", ["steps=-1"], "steps: .*greater than 0"),
        ("debug", ["model.width=30"], "width by heads: 30 is not divisible by 4"),
        ("debug", ["model.router.top_k=17"], "top_k=17 exceeds"),
        ("debug", ["model.model_type=dopt"], "unknown model_type 'dopt'; did you mean 'dpot'"),
        ("debug", ["model=3"], "model"),
        ("nano_fno", ["model.heads=2"], "unknown key 'heads'"),
        ("nano_fno", ["model.modes=33"], "modes=33: a grid of 64 points has 32"),
        ("nano_fno", ["model.patch=2", "model.modes=17"], "modes=17: a grid of 32 points has 16"),
        ("nano_fno", ["model.patch=3"], "patch=3 does not divide a grid of"),
        ("nano_unet", ["loss.class_weight=0.1"], "unet has no auxiliary head; set it to 0"),
        ("debug", ["global_batch=9", "accumulation=2"], "does not divide"),
        ("debug", ["loss.objective=squares"], "loss.objective: unknown objective 'squares'"),
        ("nano", ["loss.objective=sum_of_squares"], "relative_to=change: .* set relative_to=field"),
        ("debug", ["compile=true", "recompute=true"], "compile=true and recompute=true"),
        ("debug", ["compile=fast"], "compile: Input should be False, True or 'reduce-overhead'"),
        ("debug", ["compile=reduce-overhead", "recompute=true"], "compile=reduce-overhead and rec"),
        ("debug", ["compile=reduce-overhead", "accumulation=2"], "set accumulation=1, or compile="),
        ("debug", ["steps=[1"], "not readable as YAML"),
        ("debug", ["frozen_routers=true"], "set loss.balance_weight=0"),
        ("nano_fno", ["frozen_routers=true"], "fno has none; leave it out"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(preset, overrides, message):
    with pytest.raises(UserError, match=message) as raised:
        load_run_config(preset, overrides)
    assert "\n" not in str(raised.value)


def test_groups_stand_for_their_corpora_and_other_names_for_themselves():
    run = load_run_config("nano", ["data.corpora=[mixture_6, mine]", "data.weights=balanced"])
    assert set(run.data.corpora) == {*SIX_CORPORA, "mine"}
    for group, size in (("mixture_10", 10), ("mixture_12", 12)):
        run = load_run_config("nano", [f"data.corpora={group}", "data.weights=balanced"])
        assert len(set(run.data.corpora)) == len(run.data.corpora) == size


def test_a_global_batch_that_does_not_fit_the_ranks_is_refused():
    run = load_run_config("debug", ["global_batch=8"])
    assert run.step_on(4).micro_batch == 2
    with pytest.raises(UserError, match="does not divide by 3 ranks"):
        run.step_on(3)


def test_experts_of_a_dense_network_cannot_be_spread():
    run = load_run_config("nano_dpot", [])
    run.check_ranks(4, 1)
    with pytest.raises(UserError, match=r"dpot is dense, .* leave ep_size at 1"):
        run.check_ranks(4, 2)
    with pytest.raises(UserError, match="ep_size=3 does not divide"):
        load_run_config("nano", []).check_ranks(4, 3)


def test_a_network_with_a_head_for_classes_may_learn_them():
    assert load_run_config("nano_dpot", ["loss.class_weight=0.1"]).loss.class_weight == 0.1


@pytest.mark.parametrize("name", ["moe_pot", "dpot", "fno", "unet"])
def test_a_dumped_run_reads_back_with_its_architecture(name):
    run = RunConfig(model=config_of(name), steps=3)
    again = RunConfig.read(run.model_dump(mode="json"), "a dumped run")
    assert again == run
    assert RunConfig.model_validate(run.model_dump(mode="json")) == run
    assert type(again.model) is type(run.model)


def test_keys_that_came_later_leave_runs_of_before_what_they_were():
    loss = ("mask", "relative_to", "balance", "balance_weight", "class_weight", "noise")
    decided = load_run_config("nano", []).deciding_values(hashed=True)
    assert tuple(decided["loss"]) == loss
    other = load_run_config("nano_fno", SQUARES).deciding_values(hashed=True)
    assert other["loss"]["objective"] == "sum_of_squares"
    assert first_difference(decided["loss"], other["loss"], "loss")


SQUARES = ["loss.objective=sum_of_squares", "loss.relative_to=field"]


def test_a_file_that_is_like_another_changes_single_keys_and_whole_parts_of_another_kind():
    below = {
        "model": {"model_type": "fno", "width": 4, "router": {"top_k": 1, "unit": "sample"}},
        "schedule": {"warmup_fraction": 0.5},
        "steps": 3,
    }
    deep = laid_over(below, {"model": {"width": 8, "router": {"top_k": 2}}, "seed": 1})
    assert deep == {
        "model": {"model_type": "fno", "width": 8, "router": {"top_k": 2, "unit": "sample"}},
        "schedule": {"warmup_fraction": 0.5},
        "steps": 3,
        "seed": 1,
    }
    same = laid_over(below, {"model": {"model_type": "fno", "width": 8}})
    assert same["model"]["router"] == below["model"]["router"]
    other = {"model": {"model_type": "unet"}, "schedule": {"kind": "cosine"}, "steps": {"a": 1}}
    assert laid_over(below, other) == other
    assert below["model"]["width"] == 4, "nothing is changed in place"


def test_measured_scales_decide_nothing_that_the_data_do_not():
    asked = load_run_config("fno_16_4", [])
    scales = dict.fromkeys(asked.model.slots, 0.5)
    measured = RunConfig.read(
        {**asked.model_dump(), "model": {**asked.model.model_dump(), "scales": scales}}, "run"
    )
    assert measured != asked
    for hashed in (False, True):
        assert measured.deciding_values(hashed=hashed) == asked.deciding_values(hashed=hashed)
    kept = measured.model_copy(update={"scales": "kept"})
    assert "scales" in kept.deciding_values()["model"]


def test_first_difference_names_the_key():
    assert first_difference({"a": {"b": 1}}, {"a": {"b": 1}}) is None
    assert first_difference({"a": {"b": 1}}, {"a": {"b": 2}}) == "a.b was 1, now 2"
    assert first_difference({}, {"c": 3}, "model") == "model.c was None, now 3"


def test_expert_parallelism_divides_experts_and_zero_divides_the_optimiser():
    config = load_run_config("medium", []).model
    one, spread = (cost_of(config, 8, ep, 1, True, 1) for ep in (1, 8))
    dense = one.parameters.total - one.expert_parameters
    assert one.weight_bytes == 2 * one.parameters.total
    assert spread.weight_bytes == 2 * (dense + one.expert_parameters // 8)
    # every expert's optimiser state lives on one rank in either layout
    assert spread.optimiser_bytes == one.optimiser_bytes
    assert cost_of(config, 8, 8, 2, True, 1).gradient_bytes < spread.gradient_bytes
