"""Figures of ground states by PG-MoE."""

from collections.abc import Iterator
from statistics import fmean

from evaluation.studies.facts import STUDIES, Row, on, record, standings_of

_NETS = {
    "all up": "all_up", "interpolated labels": "interpolated",
    "variational, 2 exponents": "variational_2", "variational, 3 exponents": "variational_3",
    **{name: name for name in ("PG-MoE, labels alone", "PG-MoE", "one small net",
                               "dense 4 x 100", "dense, small", "dense, classes")},
}  # fmt: skip


def _overlaps(spins: int) -> dict[str, list[float]]:
    """Overlap beyond the labels by net: at every rung, the mean over seeds."""
    found: dict[str, dict[str, list[float]]] = {}
    for file in (f"runs_{spins}", f"runs_{spins}_seed1", f"runs_{spins}_seed2"):
        for one in record(f"pg_moe/{file}.json")["records"]:
            name = one["model"]["name"].partition(", seed")[0]
            if "_field_" in one["task"]["name"]:
                rungs = found.setdefault(name, {}).setdefault(one["task"]["name"], [])
                rungs.append(one["scores"]["overlap"]["value"])
    return {net: [fmean(seeds) for seeds in rungs.values()] for net, rungs in found.items()}


@on(f"{STUDIES}/pg_moe/README.md")
def eight_spins() -> Iterator[Row]:
    """Overlap within the labels, at every rung beyond, and in the mean of those."""
    standings = standings_of("pg_moe/study_8.json")
    parameters = {model: one["parameters_total"] for (model, _), one in standings.items()}
    beyond = _overlaps(8)
    within: dict[str, list[float]] = {}
    for file in ("runs_8", "runs_8_seed1", "runs_8_seed2"):
        for one in record(f"pg_moe/{file}.json")["records"]:
            if one["task"]["name"] == "ground_state_ising_8":
                name = one["model"]["name"].partition(", seed")[0]
                within.setdefault(name, []).append(one["scores"]["overlap"]["value"])
    for label, net in _NETS.items():
        rungs = beyond[net]
        values = [parameters.get(net, 0), fmean(within[net]), *rungs, fmean(rungs)]
        yield Row("", label, values, among="labelled")


@on(f"{STUDIES}/pg_moe/README.md")
def ground_states() -> Iterator[Row]:
    """Parameters, and overlap in the mean and at the worst rung, by number of spins."""
    values: dict[str, list[float]] = {label: [] for label in _NETS}
    for spins in (4, 8, 10, 12):
        standings = standings_of(f"pg_moe/study_{spins}.json")
        parameters = {model: one["parameters_total"] for (model, _), one in standings.items()}
        overlaps = _overlaps(spins)
        for label, net in _NETS.items():
            values[label] += [parameters.get(net, 0), fmean(overlaps[net]), min(overlaps[net])]
    for label in _NETS:
        yield Row("", label, values[label])


_OF_PARTICLES = {
    "interval, potentials up to": ("particle", "PG-MoE, 4 regions", 1),
    "square, up to 100": ("square", "PG-MoE, 16 regions", 2),
}


@on(f"{STUDIES}/pg_moe/README.md")
def particles() -> Iterator[Row]:
    """Parameters, and overlap within the labels and at the rungs beyond, the mean over seeds."""
    for table, (study, regions, dimensions) in _OF_PARTICLES.items():
        standings = standings_of(f"pg_moe/study_{study}.json")
        parameters = {model: one["parameters_total"] for (model, _), one in standings.items()}
        beyond = "ground_state_shift_particle_1d_strength_"
        tasks = [f"ground_state_particle_{dimensions}d"]
        tasks += [f"{beyond}{value}" for value in (125, 175, 250)] if dimensions == 1 else []
        overlaps: dict[tuple[str, str], list[float]] = {}
        for one in record(f"pg_moe/runs_{study}.json")["records"]:
            key = one["model"]["name"].partition(", seed")[0], one["task"]["name"]
            overlaps.setdefault(key, []).append(one["scores"]["overlap"]["value"])
        for label, net in (
            ("empty box", "box"), (regions, "PG-MoE by regions"),
            ("one small net", "one small net"), ("dense 4 x 100", "dense 4 x 100"),
        ):  # fmt: skip
            means = [fmean(overlaps[net, task]) for task in tasks]
            yield Row(table, label, [parameters.get(net, 0), *means])


@on(f"{STUDIES}/pg_moe/README.md")
def cost_of_a_prediction() -> Iterator[Row]:
    keys = (
        "PG-MoE parameters", "PG-MoE one state", "PG-MoE one of 64",
        "dense parameters", "dense one state", "dense one of 64", "eigensolver",
    )  # fmt: skip
    for one in record("pg_moe/cost.json")["milliseconds"]:
        yield Row("spins", str(one["spins"]), [one[key] for key in keys])
