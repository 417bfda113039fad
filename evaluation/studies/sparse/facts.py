"""Figures of an FNO that routes its samples."""

from collections.abc import Iterator
from typing import Any

from evaluation.studies.baselines.facts import inference
from evaluation.studies.facts import (
    STUDIES,
    Phrase,
    Row,
    geometric_mean,
    on,
    record,
    setup,
    standings_of,
    wins_of,
)

README = f"{STUDIES}/sparse/README.md"
STUDY = "sparse/study.json"
CORPORA = {
    "NS 1e-5": "fno_ns_1e-5", "NS 1e-3": "fno_ns_1e-3", "CNS": "pdebench_cns_m0.1",
    "shallow water": "pdebench_swe", "diffusion-reaction": "pdebench_dr", "CFDBench": "cfdbench",
}  # fmt: skip
_TRIALS = {
    "FNO, 9 modes": "FNO", "all 9 modes routed": "all modes routed",
    "lowest 5 routed (the preset)": "lowest 5 routed", "lowest 3 routed": "lowest 3 routed",
    "all routed, 1 x 1 maps routed too": "1 x 1 maps routed too",
    "all routed, 3 x 3 in place of 1 x 1 maps": "3 x 3 local maps",
    "all routed, last hidden map 32 wide for 128": "projection of 32",
}  # fmt: skip

_CHOSEN = setup(
    README,
    "choose 4 of 16 sets",
    "each at 1.2e-2, the best of three rates",
    "at 1.2e-2 for 6e-3 its",
    "were trained at 6e-3",
    "end at wave number 5 and the spectrum at 9",
    "400 steps of 16, seed 0, validation L2RE of 5 frames",
    "At the board's rate of 6e-3",
    "At 2.4e-2",
)


def zero_shot_errors(standing: Any) -> list[float]:
    """Errors of a model of a study by corpus, means over seeds."""
    return [standing["errors"][f"zero_shot_{corpus}"]["mean"] for corpus in CORPORA.values()]


def both() -> tuple[Any, Any]:
    """The mixture and the plain FNO."""
    found = standings_of(STUDY)
    return found["MoE-FNO", "mixture_6"], found["FNO", "mixture_6"]


def ahead() -> float:
    """By how much the mixture's geometric mean is below the plain one's, in percent."""
    ours, plain = (one["geometric_mean"]["mean"] for one in both())
    return float(100 * (1 - ours / plain))


def _and_error(found: Any) -> list[float]:
    return [found["mean"], found["standard_error"]]


@on(README)
def errors() -> Iterator[Row | Phrase]:
    ours, plain = both()
    means = [*_and_error(ours["geometric_mean"]), *_and_error(plain["geometric_mean"])]
    yield Phrase("geometric means # +- # and # +- #, # % less", [*means, ahead()])
    won = wins_of(STUDY, "MoE-FNO", "FNO")
    assert not won["clearly_worse"]
    counts = [won["better"], won["tasks"], won["clearly_better"]]
    difference = "clearly (beyond twice the standard error of the difference)"
    yield Phrase(f"better on # of #, {difference} on #", counts)
    for label, corpus in CORPORA.items():
        of_both = (one["errors"][f"zero_shot_{corpus}"] for one in (ours, plain))
        yield Row("", label, [value for one in of_both for value in _and_error(one)])


@on(README)
def price() -> Iterator[Phrase]:
    ours, plain = both()
    total, activated, flops = (
        ours[key] / plain[key]
        for key in ("parameters_total", "parameters_activated", "flops_per_frame")
    )
    millions = [plain["parameters_total"], ours["parameters_total"], ours["parameters_activated"]]
    yield Phrase(
        "# M parameters; the mixture has # M, of which a sample passes # M",
        [value / 1e6 for value in millions],
    )
    yield Phrase("(# MFLOP a frame for #)", [one["flops_per_frame"] / 1e6 for one in (ours, plain)])
    yield Phrase(
        "# % more FLOPs a frame, # times the activated parameters, # times those in memory",
        [100 * (flops - 1), activated, total],
    )
    yield Phrase("What is left of these # % at equal time", [ahead()])
    found = record("sparse/layers.json")
    lowest, whole = (
        [
            found["layers"][f"{experts} experts, {modes} modes"]["of_dense"]
            for experts in (16, 32, 64)
        ]
        for modes in (5, 9)
    )
    yield Phrase(
        "a layer takes #, # and # times the dense one's time, forward and backward, with 16, 32 "
        "and 64 experts (#, #, # for all 9 modes)",
        [*lowest, *whole],
    )
    yield Phrase("Adam included, # times", [found["steps"]["nano_moe_fno"]["of_dense"]])


@on(README)
def beside_the_board() -> Iterator[Phrase]:
    board = standings_of("baselines/study.json")["FNO", "mixture_6"]
    means = [one["geometric_mean"]["mean"] for one in (board, both()[1])]
    yield Phrase("falls from # to #", means)


@on(README)
def routers() -> Iterator[Phrase]:
    trained, fresh = inference("sparse/routing.json")
    assert len({one["value"] for one in trained}) == 1
    values = [trained[0]["value"], trained[0]["standard_error"], fresh["value"]]
    yield Phrase("among the six: # +- # from both seeds, fresh weights #:", values)


@on(README)
def patches() -> Iterator[Phrase]:
    shown = {
        (one["model"]["name"], one["task"]["corpus"]): one["scores"]["grid_imprint"]["value"]
        for one in record("sparse/grid.json")["records"]
    }
    three = [shown["MoE-POT", CORPORA[name]] for name in ("NS 1e-3", "CFDBench", "CNS")]
    yield Phrase("errors # times (NS 1e-3), # times (CFDBench) and # times (CNS)", three)
    most = [max(shown[name, corpus] for corpus in CORPORA.values()) for name in ("MoE-FNO", "FNO")]
    assert most == [shown["MoE-FNO", "pdebench_dr"], shown["FNO", "pdebench_dr"]]
    yield Phrase("at most # times and in FNO's # (diffusion-reaction)", most)


def _trials() -> dict[tuple[str, str], dict[str, float]]:
    """L2RE by corpus, by what was tried and its rate."""
    found = record("sparse/trials.json")["trials"]
    return {
        (name.rpartition(", ")[0], name.rpartition(", ")[2]): found[name]["l2re"] for name in found
    }


@on(README)
def rates() -> Iterator[Row | Phrase]:
    found = _trials()
    means = {key: geometric_mean(one.values()) for key, one in found.items()}
    for label, name in _TRIALS.items():
        values = (means.get((name, rate)) for rate in ("6e-3", "1.2e-2", "2.4e-2"))
        yield Row("", label, [value for value in values if value is not None])
    gains = [
        100 * (1 - means["all modes routed", rate] / means["FNO", rate])
        for rate in ("6e-3", "1.2e-2")
    ]
    yield Phrase("the mixture is # % ahead, at 1.2e-2, the best rate of both, # %", gains)
    gases = [found[name, "2.4e-2"]["pdebench_cns_m0.1"] for name in ("FNO", "all modes routed")]
    assert max(gases) - min(gases) < 0.002
    yield Phrase("(L2RE #)", gases[:1])
