"""`foundation plan --cluster`: seconds beside the counts, tables of layouts, and refusals."""

import json

import pytest

from foundation.plan.cluster import cluster_names
from launchers.cli import main

LAYOUT = ("tiny", "--world", "64", "--ep", "8", "--bf16")
ON_H100 = (*LAYOUT, "--cluster", "h100", "global_batch=1024")


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["plan", *arguments]) == 0
    return capsys.readouterr().out


def test_seconds_follow_the_plan_that_is_printed_without_a_cluster(capsys):
    without = planned(capsys, *LAYOUT, "global_batch=1024")
    said = planned(capsys, *ON_H100)
    assert said.startswith(without)
    for part in (
        "on h100, simulated: 64 GPUs on 8 nodes, experts inside a node, flat exchange",
        "seconds per step",
        "samples to experts and back",
        "gradients reduced",
        "waiting for the fullest rank",
        "efficiency against one GPU",
        "bound by                        launches, whatever the batch",
        "breaks first",
        "GiB, fits",
        "from vendor figures",
    ):
        assert part in said.removeprefix(without)


@pytest.mark.parametrize("name", cluster_names())
def test_figures_for_programs_add_up(capsys, name):
    found = json.loads(planned(capsys, *LAYOUT, "--cluster", name, "--micro", "4", "--json"))
    scaling = found["scaling"]
    assert scaling["seconds_per_step"] == pytest.approx(sum(scaling["seconds"].values()))
    assert scaling["global_batch"] == 4 * 64
    assert scaling["samples_per_s"] == pytest.approx(256 / scaling["seconds_per_step"])
    assert scaling["seconds"][scaling["bound_by"]] == max(scaling["seconds"].values())
    assert scaling["peak_bytes"] == found["peak_bytes"]
    assert set(scaling["breaks_first"]) == {"world", "reason"}, "tiny starves at 4 samples"
    assert "scaling" not in json.loads(planned(capsys, *LAYOUT, "global_batch=64", "--json"))


def test_a_table_has_every_layout_and_marks_the_fastest_of_each_world(capsys):
    words = ("small", "--bf16", "--cluster", "h100", "--micro", "2", "--world", "16,64")
    layouts = json.loads(planned(capsys, *words, "--json"))["layouts"]
    for world in (16, 64):
        rates = {f["samples_per_s"]: f["best"] for f in layouts if f["world"] == world}
        assert [rate for rate, marked in rates.items() if marked] == [max(rates)]
        assert {f["ep_size"] for f in layouts if f["world"] == world} == {1, 2, 4, 8, 16}
    rows = planned(capsys, *words).splitlines()
    assert len(rows) == 1 + 1 + len(layouts) + 1
    assert sum(row.endswith("*") for row in rows) == 2


def test_a_world_that_the_batch_does_not_serve_is_a_row_that_says_so(capsys):
    words = ("tiny", "--bf16", "--cluster", "h100", "--ep", "8", "--world", "64,128")
    said = planned(capsys, *words, "global_batch=64")
    assert "128 global_batch=64 does not divide by 128 ranks" in said
    refused = json.loads(planned(capsys, *words, "global_batch=64", "--json"))["refused"]
    assert list(refused) == ["128"]


def test_any_figure_of_a_cluster_can_be_set_and_is_told(capsys):
    seconds = json.loads(planned(capsys, *ON_H100, "--json"))["scaling"]
    halved = json.loads(planned(capsys, *ON_H100, "cluster.attained_share=0.125", "--json"))[
        "scaling"
    ]
    assert halved["seconds"]["compute"] == pytest.approx(2 * seconds["seconds"]["compute"])
    assert "set here: attained_share=0.125" in halved["simulated_from"]


def test_samples_per_rank_can_be_said_without_a_cluster(capsys):
    assert "micro-batch 3" in planned(capsys, "tiny", "--world", "4", "--micro", "3")


def test_doubling_ends_where_ranks_do_not_fill_nodes(capsys):
    said = planned(capsys, "tiny", "--world", "6", "--cluster", "h100", "--micro", "512")
    assert "at 12 GPUs: they do not fill nodes" in said


def test_a_cluster_of_ones_own_is_a_file(capsys, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "source: guesses\ngpus_per_node: 4\nmemory_bytes: 8.0e+9\nmemory_bytes_per_s: 1.0e+11\n"
        "peak_bf16_flops: 1.0e+13\npeak_fp32_flops: 1.0e+12\nattained_share: 0.5\n"
        "launch_s_per_block: 0.001\ninside: {alpha_s: 1.0e-5, beta_s_per_byte: 1.0e-10}\n"
    )
    words = ("tiny", "--ep", "2", "--cluster", str(path), "--micro", "1")
    assert "from guesses" in planned(capsys, *words, "--world", "4")
    assert main(["plan", *words, "--world", "8"]) == 2
    assert "8 ranks need 2 nodes, but the cluster says nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*LAYOUT, "--cluster", "h10", "--micro", "1"), "unknown cluster 'h10'; did you mean"),
        (("tiny", "--world", "8,16"), "a table of layouts and all that is said of a cluster need"),
        (("tiny", "--overlap", "both"), "need --cluster; take one of"),
        (("tiny", "cluster.gpus_per_node=4"), "need --cluster"),
        ((*ON_H100, "cluster.gpus=4"), "unknown key 'gpus'"),
        ((*ON_H100, "cluster.gpus_per_node=0"), "gpus_per_node: Input should be greater than 0"),
        (("tiny", "--world", "12", "--cluster", "h100", "--micro", "1"), "do not fill nodes of 8"),
        (
            ("tiny", "--world", "8,12", "--ep", "8", "--cluster", "h100", "--micro", "1"),
            "ep_size=8",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(capsys, arguments, message):
    assert main(["plan", *arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert "\n" not in said


@pytest.mark.parametrize(("option", "text"), [("--world", "8,x"), ("--ep", "0"), ("--skew", "-1")])
def test_what_is_no_number_is_refused(capsys, option, text):
    with pytest.raises(SystemExit) as exit_code:
        main(["plan", "tiny", f"{option}={text}"])
    assert exit_code.value.code == 2
    assert f"argument {option}" in capsys.readouterr().err
