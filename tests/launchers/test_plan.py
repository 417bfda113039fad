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
    assert "activated per sample 17.6 M" in " ".join(said.split())
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
    assert 2.5 * cost["flops_forward"] < cost["flops_step"] < 3 * cost["flops_forward"]
    assert cost["flops_dense"] == cost["flops_forward"]
    ways = ("exchange", "gradients", "expert_gradients", "weights")
    assert cost["traffic"]["total"] == sum(cost["traffic"][way] for way in ways)
    assert cost["traffic"]["exchange"] == 0


def test_what_a_launch_would_do_is_told_whole(capsys):
    said = planned(capsys, "tiny", "--world", "4", "--ep", "2", "--recompute")
    for part in (
        "on each rank",
        "were all experts computed",
        "memory per rank, at most",
        "process on CPUs",
        "samples to experts",
        "gradients, all ranks",
        "gradients of experts",
        "weights gathered",
    ):
        assert part in said


def test_figures_stand_in_a_column_of_their_own_and_none_is_rounded_away(capsys):
    rows = planned(capsys, "nano", "--world", "2", "--ep", "2").splitlines()[1:]  # below a title
    assert all(row[29] == " " and row[30].isdigit() for row in rows)
    assert not any(row[30:].startswith("0.00") for row in rows)


def test_recomputing_trades_memory_for_work_and_traffic(capsys):
    words = ("tiny", "--world", "2", "--ep", "2", "--json")
    kept, again = (json.loads(planned(capsys, *words, *more)) for more in ((), ("--recompute",)))
    assert again["activation_bytes"] < 0.6 * kept["activation_bytes"]
    assert again["flops_step"] > 1.1 * kept["flops_step"]
    assert again["traffic"]["exchange"] == pytest.approx(
        1.5 * kept["traffic"]["exchange"], rel=0.01
    )


def test_twice_the_batch_keeps_twice_the_activations(capsys):
    batch = load_run_config("nano_unet", []).global_batch
    one, two = (
        json.loads(planned(capsys, "nano_unet", "--json", f"global_batch={n * batch}"))
        for n in (1, 2)
    )
    assert two["activation_bytes"] == 2 * one["activation_bytes"]  # nothing of a U-Net is shared
    assert two["weight_bytes"] == one["weight_bytes"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nano_dpot", "--world", "2", "--ep", "2"), "dpot is dense, it has no experts"),
        (("nano", "--ep", "2"), "ep_size=2 does not divide the 1 ranks"),
        (("nano_fno", "--world", "3"), "does not divide by 3 ranks"),
        (("nano_vit",), "unknown preset 'nano_vit'; did you mean"),
        (("tiny", "--zero", "0", "--bf16"), "ZeRO 0 trains wrongly in bf16"),
        (("nano", "--zero", "0"), "ZeRO 0 trains wrongly in bf16 and with clipping"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(capsys, arguments, message):
    assert main(["plan", *arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert "\n" not in said
