"""Figures of ground states by PG-MoE."""

from collections.abc import Iterator
from statistics import fmean
from typing import Any

from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup, standings_of

README = f"{STUDIES}/pg_moe/README.md"
_SPINS = (4, 8, 10, 12)
_NETS = {
    "all up": "all_up", "interpolated labels": "interpolated",
    "variational, 2 exponents": "variational_2", "variational, 3 exponents": "variational_3",
    **{name: name for name in ("PG-MoE, labels alone", "PG-MoE", "one small net",
                               "dense 4 x 100", "dense, small", "dense, classes")},
}  # fmt: skip
_SEEDS = ("", "_seed1", "_seed2")
_WITHIN = "within"  # the labels
_CHOSEN = setup(
    README,
    "128 labelled fields in (0.01, 0.5)",
    "across the critical value of 1 up to 2.",
    "three quarters of them unlabelled fields in (0.01, 2)",
    "4 layers of 100 to all",
    "of widths 4, 8, 16 and 32, that was as accurate as PG-MoE at 8 and",
    "(32, by trials",
    "2 layers of 16 to",
    "labelled: below 0.5",
    "(at a field of 1;",
    "1,200 steps of 32 of 1,024 labelled potentials",
)

Scores = dict[str, float]


def _scores(spins: int) -> dict[str, dict[str, list[Scores]]]:
    """Of the seeds, by net and by the strength of the field, or within the labels."""
    found: dict[str, dict[str, list[Scores]]] = {}
    for seed in _SEEDS:
        for one in record(f"pg_moe/runs_{spins}{seed}.json")["records"]:
            name = one["model"]["name"].partition(", seed")[0]
            _, field, strength = one["task"]["name"].rpartition("_field_")
            rung = strength if field else _WITHIN
            scores = {key: score["value"] for key, score in one["scores"].items()}
            found.setdefault(name, {}).setdefault(rung, []).append(scores)
    return found


def _mean(seeds: list[Scores], key: str = "overlap") -> float:
    return fmean(one[key] for one in seeds)


def _overlaps(spins: int) -> dict[str, list[float]]:
    """Overlap beyond the labels by net: at every rung, the mean over seeds."""
    return {
        net: [_mean(seeds) for rung, seeds in rungs.items() if rung != _WITHIN]
        for net, rungs in _scores(spins).items()
    }


def _worst(rungs: dict[str, list[Scores]]) -> float:
    """Overlap at the worst rung beyond the labels of the worst seed."""
    beyond = (seeds for rung, seeds in rungs.items() if rung != _WITHIN)
    return min(one["overlap"] for seeds in beyond for one in seeds)


def _of_nets(spins: int, key: str) -> dict[str, Any]:
    return {net: one[key] for (net, _), one in standings_of(f"pg_moe/study_{spins}.json").items()}


def _parameters(spins: int) -> dict[str, int]:
    return _of_nets(spins, "parameters_total")


@on(README)
def eight_spins() -> Iterator[Row]:
    """Overlap within the labels, at every rung beyond, and in the mean of those."""
    parameters, scores, beyond = _parameters(8), _scores(8), _overlaps(8)
    for label, net in _NETS.items():
        within, rungs = _mean(scores[net][_WITHIN]), beyond[net]
        values = [parameters.get(net, 0), within, *rungs, fmean(rungs)]
        yield Row("", label, values, among="labelled")


@on(README)
def ground_states() -> Iterator[Row]:
    """Parameters, and overlap in the mean and at the worst rung, by number of spins."""
    values: dict[str, list[float]] = {label: [] for label in _NETS}
    for spins in _SPINS:
        parameters, overlaps = _parameters(spins), _overlaps(spins)
        for label, net in _NETS.items():
            values[label] += [parameters.get(net, 0), fmean(overlaps[net]), min(overlaps[net])]
    for label in _NETS:
        yield Row("", label, values[label])


@on(README)
def sizes() -> Iterator[Phrase]:
    counts = {spins: _parameters(spins) for spins in _SPINS}

    def times(net: str) -> list[float]:
        return [one[net] / one["PG-MoE"] for one in counts.values()]

    *fewer, most = times("dense 4 x 100")
    largest = [counts[12]["PG-MoE"], counts[12]["dense 4 x 100"]]
    yield Phrase("# times fewer parameters", [most])
    yield Phrase("at 12 spins, # for #.", largest)
    yield Phrase("the factor is #, # and #:", fewer)
    yield Phrase("it is #, #, # and # times", times("dense, small"))
    yield Phrase("symmetry classes # at 12 spins", times("dense, classes")[3:])
    yield Phrase("# times the parameters of PG-MoE", fewer[1:2])
    yield Phrase("with # parameters; it grows", [counts[8]["dense, classes"]])


@on(README)
def what_the_energy_does() -> Iterator[Phrase]:
    for spins, at in ((12, "at 12 spins "), (8, "")):
        means = [fmean(_overlaps(spins)[net]) for net in ("PG-MoE", "PG-MoE, labels alone")]
        yield Phrase(f"{at}# beyond the labels with it, # without", means)


@on(README)
def twelve_spins() -> Iterator[Phrase]:
    scores = _scores(12)
    ours, variational = scores["PG-MoE"], scores["variational_3"]
    near = [_mean(ours["0.95"]), _mean(ours["1.05"]), _worst(ours)]
    yield Phrase("fields of .95 and 1.05 PG-MoE has # and # (worst seed of any rung #)", near)
    theirs = [_mean(variational["0.95"]), _mean(variational["1.05"])]
    assert theirs[1] == _worst(variational)
    yield Phrase("the three-exponent state # and #, its worst", theirs)
    yield Phrase("at .85 it is # for #,", [_mean(ours["0.85"]), _mean(variational["0.85"])])
    signs = [_mean(ours["1.85"], key) for key in ("magnetisation", "magnetisation_exact")]
    yield Phrase("at 1.85 its magnetisation is # for #", signs)


@on(README)
def eight_spins_in_words() -> Iterator[Phrase]:
    scores, overlaps = _scores(8), _overlaps(8)
    ours, variational = scores["PG-MoE"], scores["variational_3"]
    yield Phrase("PG-MoE (#; the worst seed #)", [min(overlaps["PG-MoE"]), _worst(ours)])
    yield Phrase("three-exponent state (#)", [min(overlaps["variational_3"])])
    apart = [
        abs(_mean(ours[rung]) - _mean(variational[rung])) for rung in ours
        if rung != _WITHIN and float(rung) > 1.2
    ]  # fmt: skip
    yield Phrase("beyond 1.2 the two are within #", [max(apart)])
    yield Phrase("an infidelity of #", [_mean(scores["interpolated"][_WITHIN], "infidelity")])
    infidelity = {net: one["mean"] for net, one in _of_nets(8, "geometric_mean").items()}
    yield Phrase(
        "(# for #, geometric mean", [infidelity[net] for net in ("one small net", "PG-MoE")]
    )
    yield Phrase("by far, #:", [infidelity["dense 4 x 100"]])
    flops = _of_nets(8, "flops_per_frame")
    work = [flops[net] / 1000 for net in ("one small net", "PG-MoE")]
    yield Phrase("(# k FLOPs a state for # k)", work)
    exact = _mean(ours["0.95"], "magnetisation_exact")
    magnetisation = [_mean(one["0.95"], "magnetisation") for one in (ours, variational)]
    assert round(exact, 3) == round(magnetisation[0], 3)
    yield Phrase("Magnetisation at .95: # exactly and by PG-MoE, # by the three", magnetisation)


_OF_PARTICLES = {
    "interval, potentials up to": ("particle", "PG-MoE, 4 regions", 1),
    "square, up to 100": ("square", "PG-MoE, 16 regions", 2),
}


def _of_particles(study: str) -> dict[tuple[str, str], list[float]]:
    """Overlaps of the seeds, by net and task."""
    overlaps: dict[tuple[str, str], list[float]] = {}
    for one in record(f"pg_moe/runs_{study}.json")["records"]:
        key = one["model"]["name"].partition(", seed")[0], one["task"]["name"]
        overlaps.setdefault(key, []).append(one["scores"]["overlap"]["value"])
    return overlaps


@on(README)
def seeds_of_particles() -> Iterator[Phrase]:
    apart: dict[bool, list[float]] = {True: [], False: []}
    for study in ("particle", "square"):
        for (net, _), seeds in _of_particles(study).items():
            apart[net == "dense 4 x 100"].append(max(seeds) - min(seeds))
    differ = [max(apart[False]), max(apart[True])]
    yield Phrase("which differ by # at most (# the dense net)", differ)


@on(README)
def particles() -> Iterator[Row]:
    """Parameters, and overlap within the labels and at the rungs beyond, the mean over seeds."""
    for table, (study, regions, dimensions) in _OF_PARTICLES.items():
        standings = standings_of(f"pg_moe/study_{study}.json")
        parameters = {model: one["parameters_total"] for (model, _), one in standings.items()}
        beyond = "ground_state_shift_particle_1d_strength_"
        tasks = [f"ground_state_particle_{dimensions}d"]
        tasks += [f"{beyond}{value}" for value in (125, 175, 250)] if dimensions == 1 else []
        overlaps = _of_particles(study)
        for label, net in (
            ("empty box", "box"), (regions, "PG-MoE by regions"),
            ("one small net", "one small net"), ("dense 4 x 100", "dense 4 x 100"),
        ):  # fmt: skip
            means = [fmean(overlaps[net, task]) for task in tasks]
            yield Row(table, label, [parameters.get(net, 0), *means])


@on(README)
def cost_of_a_prediction() -> Iterator[Row | Phrase]:
    keys = (
        "PG-MoE parameters", "PG-MoE one state", "PG-MoE one of 64",
        "dense parameters", "dense one state", "dense one of 64", "eigensolver",
    )  # fmt: skip
    costs = record("pg_moe/cost.json")["milliseconds"]
    for one in costs:
        yield Row("spins", str(one["spins"]), [one[key] for key in keys])
    larger = [one for one in costs if one["eigensolver"] > one["PG-MoE one state"]]
    assert larger == costs[-len(larger) :]
    alone, batched = (
        [one["eigensolver"] / one[f"PG-MoE one {which}"] for one in larger]
        for which in ("state", "of 64")
    )
    yield Phrase(
        "From # spins on PG-MoE saves a factor of # to # for one state, of # to # in batches",
        [min(one["spins"] for one in larger), min(alone), max(alone), min(batched), max(batched)],
    )
