"""Figures of forecasts of strangers."""

from collections.abc import Iterator
from statistics import median
from typing import Any

from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup

README = f"{STUDIES}/strangers/README.md"
SEEDS = ("seed0", "seed1")
BUNDLED = "moe-fno-nano"

_CHOSEN = setup(
    README,
    "half of the rest; the other half is held back",
    '"A quarter as far as another corpus"',
    "16 simulations of equations",
    "forecasts of 5, 10 and 20 frames",
    "from 2 and 16 runs",
    "on 8 runs that",
    "With 16 runs",
    "with 2 runs",
    "at most .2 in every frame",
    "Mean error over 10 frames",
)


def verdicts_of(*names: str) -> dict[str, float]:
    """Verdicts of records together: their number, forecasts of use, shares right, a plain no."""
    found = [record(f"strangers/{name}.json")["shares"] for name in names]
    asked = sum(one["verdicts"] for one in found)
    of_use = sum(one["were_of_use"] for one in found)
    right = sum(one["verdicts"] * one["right"] for one in found) / asked
    return {"asked": asked, "of_use": of_use, "right": right, "no": 1 - of_use / asked}


def gains() -> list[dict[str, float]]:
    """By simulation: error over the floor's, and gains over scratch, of few runs."""
    return [
        {
            "of_floor": one["fine_tuned"]["16"] / one["repeating"],
            "from_2": one["from_scratch"]["2"] / one["fine_tuned"]["2"],
            "from_16": one["from_scratch"]["16"] / one["fine_tuned"]["16"],
        }
        for one in record("strangers/gains.json")["simulations"]
    ]


def spread_of(gain: str) -> list[float]:
    """Least, most and median of one of `gains` over the simulations."""
    values = [one[gain] for one in gains()]
    return [min(values), max(values), median(values)]


def _of_seeds(part: str, *keys: str) -> list[float]:
    found = [record(f"strangers/{name}.json")[part] for name in SEEDS]
    return [one[key] for one in found for key in keys]


@on(README)
def verdicts() -> Iterator[Row | Phrase]:
    strangers, known = "shares", "shares_of_known_physics"
    now, before = "right", "right_old"
    for label, values in {
        "right, by the rule of now": _of_seeds(strangers, now),
        "right, by the rule before (one step, and routers)": _of_seeds(strangers, before),
        "right, if the answer were always no": _of_seeds(strangers, "always_no"),
        "called of use and were not, now (before)": _of_seeds(
            strangers, "said_yes_wrongly", "old_said_yes_wrongly"
        ),
        "frames of use told within a fifth of those asked for": _of_seeds(
            strangers, "frames_within_a_fifth_of_asked"
        ),
        "right at a limit of .1 instead of .2, now (before)": _of_seeds(
            strangers, "right_at_limit_of_a_tenth", "right_old_at_limit_of_a_tenth"
        ),
        "known physics: right, now (before)": _of_seeds(known, now, before),
        "known physics: called of use and were not, now (before)": _of_seeds(
            known, "said_yes_wrongly", "old_said_yes_wrongly"
        ),
    }.items():
        yield Row("", label, values)
    yield Phrase("# forecasts of strangers a seed", _of_seeds(strangers, "verdicts")[:1])
    yield Phrase("# and # of the forecasts were", _of_seeds(strangers, "were_of_use"))
    yield Phrase("to # and # of known physics", _of_seeds(known, "old_said_yes_wrongly"))


@on(README)
def routers() -> Iterator[Phrase]:
    found = [record(f"strangers/{name}.json")["routers"] for name in SEEDS]

    def of(weights: str, key: str) -> list[float]:
        return [one[weights][key] for one in found]

    area, strange, known = "area_under_roc", "strangers_beyond_a_quarter", "known_beyond_a_quarter"
    yield Phrase("theirs: # and # with trained weights", of("trained", area))
    yield Phrase("# and # with fresh ones", of("fresh", area))
    yield Phrase(
        "reached by # and # of # strangers (# and # of # trajectories of the corpora), with fresh "
        "weights by # and # (# and #)",
        [
            *of("trained", strange), found[0]["trained"]["strangers"],
            *of("trained", known), found[0]["trained"]["known"],
            *of("fresh", strange), *of("fresh", known),
        ],
    )  # fmt: skip


@on(README)
def units() -> Iterator[Row | Phrase]:
    yield Phrase("the last frame: #)", _of_seeds("units", "persistence")[:1])
    for label, keys in {
        "in its own units": ["own_units"],
        "the same times 10": ["times_10"],
        "the same, 50 deviations from zero": ["far_from_0"],
        "any of these with `--scale auto`": ["own_units_auto", "times_10_auto", "far_from_0_auto"],
    }.items():
        for key in keys:
            yield Row("", label, _of_seeds("units", key))


@on(README)
def few_runs() -> Iterator[Row | Phrase]:
    for one in record("strangers/gains.json")["simulations"]:
        tuned, scratch = one["fine_tuned"], one["from_scratch"]
        values = [one["repeating"], one["as_it_is"]]
        values += [kind[count] for kind in (tuned, scratch) for count in ("2", "16")]
        yield Row("", one["simulation"], values)
    yield Phrase("the error is # to # of the floor's, # in the median", spread_of("of_floor"))
    yield Phrase("# to # times less error than from scratch with 2 runs, #", spread_of("from_2"))
    yield Phrase("and # to # times with 16, #", spread_of("from_16"))
    better = [sum(one[size] > 1 for one in gains()) for size in ("from_2", "from_16")]
    yield Phrase("It helps on # and # of the 16", better)
    behind = sum(one["from_16"] < 0.995 for one in gains())
    yield Phrase("With 16 runs scratch is ahead on #,", [behind])


@on(README)
def bundled() -> Iterator[Phrase]:
    found = record(f"strangers/{BUNDLED}.json")
    of, known, median_error = found["shares"], found["shares_of_known_physics"], found["units"]
    seeds = [verdicts_of(name) for name in SEEDS]
    yield Phrase("# of # forecasts were of use", [of["were_of_use"], of["verdicts"]])
    above = [*(one["of_use"] for one in seeds), seeds[0]["asked"]]
    yield Phrase("(of the two models above # and # of #)", above)
    yield Phrase("# % of the verdicts right, of a plain no # %", _percent(of))
    yield Phrase("Of known physics # of # were", [known["were_of_use"], known["verdicts"]])
    yield Phrase("and # % right, of a plain no # %", _percent(known))
    waves, mass, plane = (
        {row for case in found["cases"] if case["simulation"] == name for row in _frames(case)}
        for name in ("korteweg de vries", "klein gordon walls", "kolmogorov flow")
    )
    assert plane == {0}
    yield Phrase("long waves are good for # frames and told so", list(waves))
    yield Phrase("waves with a mass for # and told so", list(mass))
    keys = ("own_units", "times_10", "far_from_0", "own_units_auto")
    yield Phrase(
        "median error # in a file's own, # times 10, # fifty deviations from zero, # in any",
        [median_error[key] for key in keys],
    )
    trained, fresh = (found["routers"][w]["area_under_roc"] for w in ("trained", "fresh"))
    yield Phrase("strangers with #, fresh ones with #", [trained, fresh])


def _percent(shares: dict[str, Any]) -> list[float]:
    return [100 * shares["right"], 100 * shares["always_no"]]


def _frames(case: dict[str, Any]) -> set[int]:
    """Frames of use, as they were and as they were told."""
    return {case["was"], case["usable"]}
