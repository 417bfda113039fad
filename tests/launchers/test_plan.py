"""`foundation plan`: a mixture and its dense twins, and what does not fit."""

import json

import pytest

from foundation.train.config import load_run_config
from launchers.cli import main


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["plan", *arguments]) == 0
    return capsys.readouterr().out


def test_a_mixture_says_what_a_sample_passes_and_what_lies_in_experts(capsys):
    said = planned(capsys, "tiny", "--world", "8", "--ep", "8", "--bf16", "global_batch=64")
    assert "tiny: 8 ranks, ep_size 8, ZeRO 1, bf16, micro-batch 8" in said
    assert "activated per sample    17.6 M" in said
    assert "in routed experts" in said


@pytest.mark.parametrize("preset", ["nano_dpot", "nano_fno", "nano_unet", "dpot_tiny"])
def test_a_dense_network_has_neither(capsys, preset):
    said = planned(capsys, preset)
    assert "activated" not in said
    assert "experts" not in said
    assert "G forward" in said


def test_figures_for_programs_add_up(capsys):
    cost = json.loads(planned(capsys, "nano_fno", "--world", "2", "--zero", "2", "--json"))
    total, activated = cost["parameters"]
    assert total == activated
    assert cost["expert_parameters"] == 0
    assert cost["flops_step"] == 3 * cost["flops_forward"]
    parts = ("weight", "gradient", "optimiser", "activation")
    assert cost["rank_bytes"] == sum(cost[f"{part}_bytes"] for part in parts)


def test_twice_the_batch_keeps_twice_the_activations(capsys):
    batch = load_run_config("nano_unet", []).global_batch
    one, two = (
        json.loads(planned(capsys, "nano_unet", "--json", f"global_batch={n * batch}"))
        for n in (1, 2)
    )
    assert two["activation_bytes"] == 2 * one["activation_bytes"]
    assert two["weight_bytes"] == one["weight_bytes"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nano_dpot", "--world", "2", "--ep", "2"), "dpot is dense, it has no experts"),
        (("nano", "--ep", "2"), "ep_size=2 does not divide the 1 ranks"),
        (("nano_fno", "--world", "3"), "does not divide by 3 ranks"),
        (("nano_vit",), "unknown preset 'nano_vit'; did you mean"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(capsys, arguments, message):
    assert main(["plan", *arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert "\n" not in said
