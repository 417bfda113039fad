"""Figures of what bands of 90 % hold."""

from collections.abc import Iterator
from math import prod, sqrt
from typing import Any

from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup

README = f"{STUDIES}/bands/README.md"
CORPORA = {
    "CFDBench": "cfdbench", "NS 1e-3": "fno_ns_1e-3", "NS 1e-5": "fno_ns_1e-5",
    "CNS": "pdebench_cns_m0.1", "DR, 91 frames": "pdebench_dr", "SWE, 91 frames": "pdebench_swe",
}  # fmt: skip
LEVEL, TRAJECTORIES = 0.9, 64
MODELS = ("moe-fno-nano", "persistence")

_CHOSEN = setup(
    README,
    "bands of 90 %",
    "guarantee is .9 to",
    "1,000 times",
    "the same 1024 of 4096 cells",
    "on 16 trajectories",
    "With four times as many, 256 that calibrate and 256 that",
    "single divisions of 64",
    "a depth of 2 and a diffusion of .005",
)


@on(README)
def coverage() -> Iterator[Row | Phrase]:
    found = _scores("moe-fno-nano")
    for label, corpus in CORPORA.items():
        both = [found[model, corpus] for model in MODELS]
        percents = [value for one in both for value in _percents(one["coverage"])]
        yield Row("corpus", label, [*percents, *(one["interval_score"]["value"] for one in both)])
    # At most by one trajectory's weight more; of trajectories that are all alike as many points
    # must lie below as N of N + 1 scores leave.
    yield Phrase("is .9 to # for 64 trajectories", [LEVEL + 1 / (TRAJECTORIES + 1)])
    most = LEVEL * (TRAJECTORIES + 1) / TRAJECTORIES
    yield Phrase("# is what comes", [most])
    ours = [found[MODELS[0], corpus]["coverage"]["value"] for corpus in CORPORA.values()]
    low, high = record("bands/exchanged.json")["bar"]
    within = sum(low <= one <= high for one in ours)
    yield Phrase("# of the 6 lie between # and # %", [within, 100 * low, 100 * high])


@on(README)
def of_more() -> Iterator[Row | Phrase]:
    """Of the corpora whose divisions of 64 are far apart."""
    found = _scores("of-256")
    labels = {label: corpus for label, corpus in CORPORA.items() if (MODELS[0], corpus) in found}
    covered = {}
    for label, corpus in labels.items():
        both = [found[model, corpus]["coverage"] for model in MODELS]
        yield Row("256 trajectories", label, [value for one in both for value in _percents(one)])
        covered[label] = [one["value"] for one in both]
    low, high = record("bands/exchanged.json")["bar"]
    few = _scores("moe-fno-nano")
    rest = [corpus for label, corpus in CORPORA.items() if label not in labels]
    for which, model in enumerate(MODELS):
        ours = [both[which] for both in covered.values()]
        ours += [few[model, corpus]["coverage"]["value"] for corpus in rest]
        within = sum(low <= one <= high for one in ours)
        words = (
            "the checkpoint's bands hold what was asked for on # of the 6",
            "persistence's on #",
        )
        yield Phrase(words[which], [within])
    of_each = record("bands/of-256.json")["records"]
    assert {one["num_samples"] for one in of_each} == {256}


@on(README)
def divisions() -> Iterator[Row | Phrase]:
    rows = record("bands/exchanged.json")["rows"]
    labels = {corpus: label for label, corpus in CORPORA.items()}
    for one in rows:
        shares = ("mean", "deviation", "as_it_is", "roles_exchanged", "share_above_as_it_is")
        values = [100 * one[key] for key in (*shares, "share_within_bar")]
        yield Row("divided anew", f"{labels[one['corpus']]}, {one['model']}", values)
    means = [one["mean"] for one in rows]
    yield Phrase("means of # to # %", [100 * min(means), 100 * max(means)])
    of = {model: [one for one in rows if one["model"] == model] for model in MODELS}
    assert all(len(found) == len(CORPORA) for found in of.values())
    chances = [100 * prod(one["share_within_bar"] for one in found) for found in of.values()]
    words = "all # at once in # % of cases for the checkpoint and in # % for persistence"
    yield Phrase(words, [len(CORPORA), *chances])
    far = [
        _mean([(one["as_it_is"] - one["mean"]) / one["deviation"] for one in found])
        for found in of.values()
    ]
    yield Phrase("lies # and # standard deviations above its mean over the corpora", far)
    exchanged = [100 * one["roles_exchanged"] for one in of[MODELS[0]]]
    yield Phrase("the checkpoint covers # to # %", [min(exchanged), max(exchanged)])


@on(README)
def shared_points() -> Iterator[Phrase]:
    """Of persistence, which is the same in both."""
    floor = MODELS[1]
    before, now = (
        {c: 100 * found[floor, c]["coverage"]["value"] for c in CORPORA.values()}
        for found in (_scores("version-1"), _scores("moe-fno-nano"))
    )
    water, ducts = "pdebench_swe", "cfdbench"
    yield Phrase("of SWE were covered # %, and # % now", [before[water], now[water]])
    yield Phrase("of CFDBench # %, and # % now", [before[ducts], now[ducts]])
    moved = max(abs(now[c] - before[c]) for c in now if c not in (water, ducts))
    yield Phrase("others moved by # % at most", [moved])


@on(README)
def along_ladders() -> Iterator[Row | Phrase]:
    covered: dict[str, dict[str, float]] = {model: {} for model in MODELS}
    errors = {}
    for one in record("bands/shift.json")["records"]:
        rung = one["task"]["name"].removeprefix("bands_shift_")
        covered[one["model"]["name"]][rung] = 100 * one["scores"]["coverage"]["value"]
        if one["model"]["name"] == MODELS[0]:
            errors[rung] = one["scores"]["l2re"]["value"]
    ours, floor = covered.values()
    for rung, error in errors.items():
        yield Row("rung", rung, [ours[rung], error, floor[rung]])
    ends = [ours["dr_diffusion_0.05"], ours["dr_diffusion_0.001"]]
    assert min(ours.values()) == ours["swe_depth_6"]
    words = "of the checkpoint # % at the deepest dam and # to # % at both ends"
    yield Phrase(words, [min(ours.values()), *ends])
    yield Phrase("keeps # % and more", [min(floor.values())])


@on(README)
def members() -> Iterator[Row]:
    labels = {corpus: label for label, corpus in CORPORA.items()}
    scores = {}
    for one in record("bands/members.json")["records"]:
        name, corpus, found = one["model"]["name"], one["task"]["corpus"], one["scores"]
        keys = ("interval_score", "crps", "spread_skill", "l2re")
        values = {key: found[key]["value"] for key in keys if key in found}
        covered = 100 * found["coverage"]["value"]
        yield Row("members", f"{labels[corpus]}, {name}", [covered, *values.values()])
        scores[corpus, name] = values
    for corpus in {corpus for corpus, _ in scores}:  # said in words
        one, three = scores[corpus, "one forecast"], scores[corpus, "three seeds"]
        assert all(three[key] < one[key] for key in one)


def _scores(name: str) -> dict[tuple[str, str], Any]:
    """By model and corpus."""
    return {
        (one["model"]["name"], one["task"]["corpus"]): one["scores"]
        for one in record(f"bands/{name}.json")["records"]
    }


def _mean(errors: list[float]) -> float:
    """Of independent errors, in its own deviation; theirs is one."""
    return sum(errors) / sqrt(len(errors))


def _percents(score: Any) -> list[float]:
    return [100 * score["value"], 100 * score["standard_error"]]
