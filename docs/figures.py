"""Figures in words: recorded results in, the sentences and tables that follow from them out.

    python docs/figures.py          # fails where a page does not say what its records do
    python docs/figures.py --list   # besides, which numbers of which page nobody computes yet

A fact is a piece of a page, made here from the records with as many digits as the page has. It must
stand on the page word for word, line breaks aside. Or it is the row of a table, whose numbers must
be those of the records, rounded to the digits that the page gives. A new figure gets its function
here first.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STUDIES = "evaluation/studies"
SIX = {
    "CFDBench": "cfdbench", "NS 1e-3": "fno_ns_1e-3", "NS 1e-5": "fno_ns_1e-5",
    "CNS": "pdebench_cns_m0.1", "DR": "pdebench_dr", "SWE": "pdebench_swe",
}  # fmt: skip
_NUMBER = re.compile(r"(?<![\w.])\d*\.?\d+(?:e-?\d+)?(?![\w.]*\w)")


@dataclass(frozen=True)
class Row:
    """A row of a table: by the table's first header cell, and its own first cell.

    Attributes:
        table, label: as they stand on the page, without bold type.
        values: of the numbers of the row, one after the other.
        columns: that hold them; all after the first by default.
        among: another header cell, where several tables begin alike.
    """

    table: str
    label: str
    values: Sequence[float]
    columns: Sequence[int] = ()
    among: str | None = None

    def fault(self, page: str) -> str | None:
        """What the page says otherwise; None if nothing."""
        cells = self._cells(page.replace("**", ""))
        if cells is None:
            return f"no row {self.label!r} in the table {self.table!r}"
        told = [cells[column] for column in self.columns] or cells[1:]
        text = re.sub(r"(?<=\d),(?=\d{3})", "", " ".join(told))
        numbers = re.findall(r"-?\d*\.?\d+(?:e[+-]?\d+)?", text)
        agree = len(numbers) == len(self.values) and all(map(_rounds_to, self.values, numbers))
        if agree:
            return None
        return f"{self.table}, {self.label}: {[short(v, 5) for v in self.values]}, not {numbers}"

    def _cells(self, page: str) -> list[str] | None:
        inside = False
        for line in page.splitlines():
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not line.startswith("|"):
                inside = False
            elif cells[0] == self.table and self.among in (None, *cells):
                inside = True
            elif inside and cells[0] == self.label:
                return cells
        return None


def _rounds_to(value: float, text: str) -> bool:
    digits, _, exponent = text.partition("e")
    places = len(digits.partition(".")[2]) - int(exponent or 0)
    return abs(value - float(text)) <= 0.5000001 * 10.0**-places


Fact = str | Row
Facts = Callable[[], Iterator[Fact]]
FACTS: dict[str, list[Facts]] = {}


def on(page: str) -> Callable[[Facts], Facts]:
    """Register facts of a page, named from the repository's root."""

    def register(facts: Facts) -> Facts:
        FACTS.setdefault(page, []).append(facts)
        return facts

    return register


def record(name: str) -> Any:
    """A recorded file of the studies, as plain values."""
    return json.loads((ROOT / STUDIES / name).read_text())


def short(value: float, digits: int = 3) -> str:
    """A number as pages write it: `digits` significant ones, no zero before the point."""
    rounded = float(f"{value:.{digits}g}")
    places = max(0, digits - 1 - _exponent(rounded))
    text = f"{rounded:.{places}f}"
    return text.removeprefix("0") if abs(rounded) < 1 else text


def fixed(value: float, places: int = 3) -> str:
    """A number with so many places, no zero before the point."""
    text = f"{value:.{places}f}"
    return text.removeprefix("0") if text.startswith("0.") else text


def _exponent(value: float) -> int:
    return int(f"{value:e}".partition("e")[2]) if value else 0


def row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


# --- the quickstart


def _quickstart() -> tuple[dict[str, float], dict[str, float]]:
    """L2RE of the model and of the better floor, by corpus."""
    errors: dict[str, dict[str, float]] = {}
    for one in record("quickstart/nano.json")["records"]:
        value = one["scores"]["l2re"]["value"]
        errors.setdefault(one["model"]["name"], {})[one["task"]["corpus"]] = value
    ours = errors.pop("moe-pot-nano")
    return ours, {corpus: min(floor[corpus] for floor in errors.values()) for corpus in ours}


@on("docs/pages/first-results.md")
def quickstart_table() -> Iterator[str]:
    ours, floor = _quickstart()
    gains = {corpus: floor[corpus] / ours[corpus] for corpus in ours}
    yield row("", *SIX).replace("|  |", "| |")
    yield row("moe-pot-nano", *(f"**{short(ours[corpus])}**" for corpus in SIX.values()))
    floors = (short(floor[corpus]) for corpus in SIX.values())
    yield row("better of the two floors (persistence)", *floors)
    yield row("times better", *(f"{gains[corpus]:.1f}" for corpus in SIX.values()))


@on("README.md")
def quickstart_gains() -> Iterator[str]:
    ours, floor = _quickstart()
    gains = sorted(floor[corpus] / ours[corpus] for corpus in ours)
    yield f"{gains[0]:.1f} to {gains[-1]:.1f} times smaller than those of the best floor"


# --- MoE-POT beside its dense twin, FNO and a U-Net


def _standings(study: str) -> dict[tuple[str, str], Any]:
    found = record(study)["standings"]
    return {(one["model"], one["mixture"]): one for one in found}


def _wins(study: str, model: str, other: str, mixture: str = "mixture_6") -> Any:
    return next(
        one
        for one in record(study)["wins"]
        if (one["model"], one["other"], one["mixture"]) == (model, other, mixture)
    )


@on(f"{STUDIES}/baselines/README.md")
def baselines() -> Iterator[str]:
    study = "baselines/study.json"
    by_model = {model: one for (model, _), one in _standings(study).items()}
    ours, twin = by_model["MoE-POT"], by_model["DPOT"]
    beside_twin = _wins(study, "MoE-POT", "DPOT")
    yield (
        f"better on {beside_twin['better']} of the 6 corpora, clearly (beyond twice the standard "
        f"error of the difference) on {beside_twin['clearly_better']}"
    )
    yield f"mean rank {ours['mean_rank']['mean']:.2f} against {twin['mean_rank']['mean']:.2f}"
    yield "geometric mean of the errors " + " against ".join(
        f"{fixed(one['geometric_mean']['mean'])} +- "
        f"{fixed(one['geometric_mean']['standard_error'])}"
        for one in (ours, twin)
    )
    flops = [f"{one['flops_per_frame'] / 1e6:.1f} M" for one in (ours, twin)]
    yield f"({flops[0]} a frame against {flops[1]})"
    yield f"FNO beats it on {6 - _wins(study, 'MoE-POT', 'FNO')['better']} of 6"
    yield f"the U-Net on {6 - _wins(study, 'MoE-POT', 'U-Net')['better']} of 6"


@on(f"{STUDIES}/baselines/README.md")
def dataset_inference() -> Iterator[str]:
    trained, fresh = _inference("baselines/routing.json")
    values = [fixed(one["value"]) for one in trained]
    yield f"all blocks together: {values[0]}, {values[1]} and {values[2]} +- "
    yield f"mean {fixed(fmean(one['value'] for one in trained))}"
    yield f"fresh weights {fixed(fresh['value'])}"
    steps = [
        (one["training_step"], one["findings"]["inference"]["combined"]["accuracy"]["value"])
        for one in record("baselines/emergence.json")["records"]
        if one["training_step"]
    ]
    yield f"(seed 0: {', '.join(fixed(value) for _, value in sorted(steps))} at steps 250 to 1250)"
    longer, _ = _inference("baselines/routing-longer.json")
    values = [fixed(one["value"]) for one in longer]
    yield f"it is {values[0]}, {values[1]} and {values[2]} +- "


def _inference(name: str) -> tuple[list[Any], Any]:
    """Accuracies of all blocks together, of trained networks and of fresh weights."""
    trained, fresh = [], None
    for one in record(name)["records"]:
        accuracy = one["findings"]["inference"]["combined"]["accuracy"]
        if one["model"]["name"].endswith("untrained"):
            fresh = accuracy
        else:
            trained.append(accuracy)
    return trained, fresh


@on(f"{STUDIES}/baselines/README.md")
def few_shot() -> Iterator[str]:
    for name, corpus in (("NS 1e-4 with 16, 32, 64 trajectories", "fno_ns_1e-4"),
                         ("Wave-Layer", "wave_layer")):  # fmt: skip
        curves = record(f"baselines/transfer-{corpus}/transfer.json")["curves"]
        kinds = (", ".join(fixed(p["error"]) for p in curves[k]) for k in ("pretrained", "scratch"))
        yield f"{name} " + " against ".join(kinds)


@on("docs/pages/first-results.md")
def first_results() -> Iterator[str]:
    study = "baselines/study.json"
    mean = {
        model: fixed(one["geometric_mean"]["mean"]) for (model, _), one in _standings(study).items()
    }
    better = _wins(study, "MoE-POT", "DPOT")["better"]
    yield (
        f"better than its dense twin DPOT on {better} of the 6 corpora (geometric mean of the "
        f"errors {mean['MoE-POT']} against {mean['DPOT']})"
    )
    yield f"FNO ({mean['FNO']}) and a U-Net ({mean['U-Net']}) are ahead"
    trained, fresh = _inference("baselines/routing.json")
    yield f"with an accuracy of {fixed(fmean(one['value'] for one in trained))}"
    yield f"fresh weights with {fixed(fresh['value'])}"
    gains = _few_shot_gains()
    yield f"to a {min(gains):.1f} to {max(gains):.1f} times smaller error"


def _few_shot_gains() -> list[float]:
    """Error from scratch over error from the checkpoint, by corpus and trajectories."""
    return [
        scratch["error"] / pretrained["error"]
        for corpus in ("fno_ns_1e-4", "wave_layer")
        for curves in [record(f"baselines/transfer-{corpus}/transfer.json")["curves"]]
        for pretrained, scratch in zip(curves["pretrained"], curves["scratch"], strict=True)
    ]


# --- mixtures


@on(f"{STUDIES}/mixtures/README.md")
def mixtures() -> Iterator[str]:
    standings = _standings("mixtures/study.json")
    mean = {key: one["geometric_mean"]["mean"] for key, one in standings.items()}
    pairs = [
        " against ".join(fixed(mean[model, f"mixture_{n}"]) for model in ("MoE-POT", "DPOT"))
        for n in (6, 10, 12)
    ]
    six, ten, twelve = pairs
    yield f"geometric mean of the six errors {six} (6 corpora), {ten} (10), {twelve} (12)"
    better = [
        _wins("mixtures/study.json", "MoE-POT", "DPOT", f"mixture_{n}")["better"]
        for n in (6, 10, 12)
    ]
    yield f"better on {better[0]}, {better[1]} and {better[2]} of the six"
    lost = [mean[m, "mixture_12"] / mean[m, "mixture_10"] for m in ("MoE-POT", "DPOT")]
    yield f"({lost[0]:.2f} and {lost[1]:.2f} times the error at ten)"


# --- transfer scaling

_SIZES = ("FNO 67 K", "FNO 1.05 M", "FNO 4.2 M", "MoE-POT 1.01 M")


def _zero_shot(model: str, mixture: str, tasks: list[str]) -> list[str]:
    errors = next(
        one["errors"]
        for one in record("transfer_scaling/study.json")["points"]
        if (one["model"], one["mixture"]) == (model, mixture)
    )
    return [_as_error(errors[task]) for task in tasks]


def _as_error(value: float) -> str:
    """Three places below one, three digits above."""
    return fixed(value) if value < 1 else short(value)


@on(f"{STUDIES}/transfer_scaling/README.md")
def zero_shot_tables() -> Iterator[str]:
    rungs = [f"steady_shift_poisson_anisotropy_{value}" for value in ("7.5", "15", "35")]
    poisson = ["steady_shift_poisson_anisotropy_3", *rungs]
    for mixture, words in (("poisson", ""), ("poisson-relative-l2", ", relative L2")):
        for model in _SIZES:
            yield row(f"{model}{words}", *_zero_shot(model, mixture, poisson))
    ratios = [f"steady_shift_advection_ratio_{value}" for value in ("0.6", "1.5", "3.5", "10")]
    omegas = [f"steady_shift_helmholtz_omega_{value}" for value in ("5", "13", "18", "25", "40")]
    three = [*ratios, *omegas]
    for model in _SIZES:
        yield row(model, *_zero_shot(model, "three", three))


@on(f"{STUDIES}/transfer_scaling/README.md")
def fine_tuned_tables() -> Iterator[str]:
    cells = {
        (one["model"], one["mixture"], one["corpus"], one["trajectories"]): one
        for one in record("transfer_scaling/study-transfer.json")["cells"]
    }
    rungs = [f"poisson_anisotropy_{value}" for value in ("3", "7.5", "15")]
    for mixture in ("poisson", "three"):
        for model in _SIZES:
            for count in (8, 32, 128):
                found = [cells[model, mixture, rung, count] for rung in rungs]
                texts = [
                    f"{fixed(one['pretrained']['error']['mean'])} "
                    f"({fixed(one['error_factor'], 1)}x)"
                    for one in found
                ]
                yield row(f"{model}, {count}", *texts)


# --- hard constraints

_ARMS = {
    "soft": "soft", "soft, 1,250 steps": "soft-longer", "one": "one", "2 boxes": "boxes-2",
    "4 boxes": "boxes-4", "8 boxes": "boxes-8", "4 boxes, anchored faces": "boxes-4-anchored",
    "2 boxes, overlap 3": "boxes-2-overlap", "4 boxes, overlap 3": "boxes-4-overlap",
    "8 boxes, overlap 2": "boxes-8-overlap", "4 boxes, loss sees faces": "boxes-4-faces-seen",
    "4 boxes, scattered points": "boxes-4-scattered",
    "4 boxes, every row alike": "boxes-4-rows-alike", "4 boxes, own rows": "boxes-4-own-rows",
    "one, in units of the forecast": "one-forecast-unit",
}  # fmt: skip
_EQUATIONS = {
    "diffusion-sorption, starts that vary in space": ("sorption", "1_24", "25_31"),
    "Burgers": ("burgers", "1_24", "25_31"),
    "decaying vorticity": ("vorticity", "1_6", "7_8"),
}


@on(f"{STUDIES}/hard_constraints/README.md")
def hard_constraints() -> Iterator[Row]:
    """Medians over seeds: all frames, the seeds, learnt and later frames, what is left."""
    for table, (name, learnt, beyond) in _EQUATIONS.items():
        scores: dict[str, list[dict[str, float]]] = {}
        for one in record(f"hard_constraints/{name}-runs.json")["records"]:
            arm = one["model"]["name"].removeprefix("FNO, ").partition(", seed")[0]
            values = {key: score["value"] for key, score in one["scores"].items()}
            scores.setdefault(arm, []).append(values)
        frames = f"l2re_frames_{learnt}", f"l2re_frames_{beyond}"
        kept = scores["persistence"][0]
        yield Row(table, "the first frame kept", [kept[key] for key in ("l2re", *frames)])
        for label, arm in _ARMS.items():
            if arm in scores:
                runs = scores[arm]
                middle = {
                    key: median(run[key] for run in runs)
                    for key in ("l2re", *frames, "evolution_residual")
                }
                seeds = [run["l2re"] for run in runs]
                later = [middle[key] for key in (*frames, "evolution_residual")]
                yield Row(table, label, [middle["l2re"], *seeds, *later])


# --- ground states

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
    standings = _standings("pg_moe/study_8.json")
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
        standings = _standings(f"pg_moe/study_{spins}.json")
        parameters = {model: one["parameters_total"] for (model, _), one in standings.items()}
        overlaps = _overlaps(spins)
        for label, net in _NETS.items():
            values[label] += [parameters.get(net, 0), fmean(overlaps[net]), min(overlaps[net])]
    for label in _NETS:
        yield Row("", label, values[label])


# --- flow in boxes

_ROUTES = {"top-1": "top-1", "dense": "dense", "by chance": "random", "oracle": "oracle"}


@on(f"{STUDIES}/shodh/README.md")
def flow_in_boxes() -> Iterator[Row]:
    """Eight frames and the first alone, by corpus."""
    for label, arm in {**_ROUTES, "the last frame kept": "persistence"}.items():
        values = []
        for task in ("box_rollout_open_channel_3d", "box_rollout_porous_3d"):
            found = [
                one
                for one in record("shodh/study-runs.json")["records"]
                if one["task"]["name"] == task and f" {arm}," in f" {one['model']['name']},"
            ]
            errors = [one["scores"]["l2re"]["value"] for one in found]
            spread = [stdev(errors)] if len(errors) > 1 else []
            first = fmean(one["error_per_frame"][0] for one in found)
            values += [fmean(errors), *spread, first]
        yield Row("", label, values, columns=(1, 2, 4, 5))


@on(f"{STUDIES}/shodh/README.md")
def latents_of_flow() -> Iterator[Row]:
    for label, arm in _ROUTES.items():
        values = []
        for task in ("box_latents_open_channel_3d", "box_latents_porous_3d"):
            errors = [
                one["scores"]["latent"]["value"]
                for one in record("shodh/latents.json")["records"]
                if one["task"]["name"] == task and one["model"]["name"].startswith(f"{arm}, ")
            ]
            values += [fmean(errors), stdev(errors)]
        yield Row("", label, values, columns=(3, 6))


# --- strangers


@on(f"{STUDIES}/strangers/README.md")
def strangers() -> Iterator[Row]:
    found = [record(f"strangers/seed{seed}.json")["shares"] for seed in (0, 1)]
    yield Row("", "right, by the rule of now", [one["right"] for one in found])
    before = "right, by the rule before (one step, and routers)"
    yield Row("", before, [one["right_old"] for one in found])


@on("docs/pages/choose.md")
@on("README.md")
def verdicts() -> Iterator[str]:
    found = [record(f"strangers/seed{seed}.json")["shares"] for seed in (0, 1)]
    asked = sum(one["verdicts"] for one in found)
    right = sum(one["verdicts"] * one["right"] for one in found) / asked
    yield f"{asked} forecasts of"
    yield f"{right:.0%}".replace("%", " %")


@on("docs/pages/choose.md")
def which_model() -> Iterator[str]:
    study = "baselines/study.json"
    by_model = {model: one for (model, _), one in _standings(study).items()}
    mean = {model: fixed(one["geometric_mean"]["mean"]) for model, one in by_model.items()}
    yield (
        f"FNO {mean['FNO']}, U-Net {mean['U-Net']}, MoE-POT {mean['MoE-POT']}, its dense twin DPOT "
        f"{mean['DPOT']}"
    )
    beside_fno = _wins(study, "MoE-POT", "FNO")["better"]
    yield (
        f"better than its twin on {_wins(study, 'MoE-POT', 'DPOT')['better']} of 6 corpora, worse "
        f"than FNO on {6 - beside_fno}"
    )
    trained, fresh = _inference("baselines/routing.json")
    yield f"with an accuracy of {fixed(fmean(one['value'] for one in trained))}"
    yield f"with {fixed(fresh['value'])}"
    gains = _few_shot_gains()
    yield f"to an error {min(gains):.1f} to {max(gains):.1f} times smaller"
    least = min(error["mean"] for one in by_model.values() for error in one["errors"].values())
    yield f"on any corpus was below {100 * least - 0.05:.1f} %"


@on("README.md")
def readme() -> Iterator[str]:
    mean = {
        model: fixed(one["geometric_mean"]["mean"])
        for (model, _), one in _standings("baselines/study.json").items()
    }
    yield f"{mean['FNO']}, MoE-POT {mean['MoE-POT']}, its dense twin DPOT {mean['DPOT']}"


_OF_PARTICLES = {
    "interval, potentials up to": ("particle", "PG-MoE, 4 regions", 1),
    "square, up to 100": ("square", "PG-MoE, 16 regions", 2),
}


@on(f"{STUDIES}/pg_moe/README.md")
def particles() -> Iterator[Row]:
    """Parameters, and overlap within the labels and at the rungs beyond, the mean over seeds."""
    for table, (study, regions, dimensions) in _OF_PARTICLES.items():
        standings = _standings(f"pg_moe/study_{study}.json")
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


# --- costs and speed


@on(f"{STUDIES}/pg_moe/README.md")
def cost_of_a_prediction() -> Iterator[Row]:
    keys = (
        "PG-MoE parameters", "PG-MoE one state", "PG-MoE one of 64",
        "dense parameters", "dense one state", "dense one of 64", "eigensolver",
    )  # fmt: skip
    for one in record("pg_moe/cost.json")["milliseconds"]:
        yield Row("spins", str(one["spins"]), [one[key] for key in keys])


@on(f"{STUDIES}/stream/README.md")
def reading() -> Iterator[Row]:
    for one in record("stream/stream.json")["results"]:
        values = [one["stream"], one["whole"], one["ratio"]]
        corpus = one["corpus"]
        label = corpus.replace("mixture of 6", "mixture of the six")
        yield Row("corpus", label, values, columns=(2, 3, 4))


@on(f"{STUDIES}/shodh/README.md")
def tokenizer() -> Iterator[Row]:
    labels = (
        "channel with a floor and a free surface", "its free twin",
        "eight solid spheres", "their free twin",
    )  # fmt: skip
    keys = ("max_divergence", "max_divergence_stored", "seconds", "tensor_gib")
    for label, one in zip(labels, record("shodh/tokenizer_128.json")["fields"], strict=True):
        yield Row("", label, [one[key] for key in keys], among="float64")


@on(f"{STUDIES}/hard_constraints/README.md")
def growth() -> Iterator[Row]:
    """Seconds as multiples of the soft arm's."""
    found = {one["name"]: one["value"] for one in record("hard_constraints/growth.json")["figures"]}
    arms = ["one", "2 boxes", "4 boxes", "8 boxes", "one, 100 points", "4 boxes, 100 points"]
    for label, what in (("a step", "step"), ("a forecast", "forecast")):
        values = [found[f"constraint, {what}: {arm} / soft"] for arm in arms]
        yield Row("", label, values, among="8")


@on("docs/pages/first-results.md")
def steps_on_two_cores() -> Iterator[str]:
    for one in record("steps_on_two_cores.json")["runs"]:
        first, *later = one["seconds_per_step"]
        places = 2 if max(later) < 1 else 1
        seconds = "-".join(f"{value:.{places}f}" for value in (min(later), max(later)))
        memory = short(one["peak_memory_gib_of_both_ranks"])
        yield f"{seconds}, the first {short(first, 2)} | {memory} GiB"


@on("docs/pages/first-results.md")
def quickstart_size() -> Iterator[str]:
    ours = record("quickstart/nano.json")["records"][0]["model"]
    total, activated = (ours[f"parameters_{which}"] / 1e6 for which in ("total", "activated"))
    yield f"({total:.2f} M parameters, {activated:.2f} M activated)"


# --- the command


def _plain(text: str) -> str:
    return " ".join(text.split())


def check() -> list[str]:
    """What pages do not say of what follows from their records, a line each."""
    faults = []
    for page, registered in FACTS.items():
        text = (ROOT / page).read_text()
        for fact in (fact for facts in registered for fact in facts()):
            if fault := _fault(fact, text):
                faults.append(f"{page}: its records say, and it does not: {fault}")
    return faults


def _fault(fact: Fact, page: str) -> str | None:
    if isinstance(fact, Row):
        return fact.fault(page)
    return None if _plain(fact) in _plain(page) else _plain(fact)


def coverage() -> list[str]:
    """Per page, how many of its numbers are computed here."""
    pages = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in _pages())]
    lines = []
    for page in pages:
        text = re.sub(r"```.*?```", " ", (ROOT / page).read_text(), flags=re.S)
        here = len(_NUMBER.findall(text))
        there = sum(
            len(fact.values) if isinstance(fact, Row) else len(_NUMBER.findall(fact))
            for facts in FACTS.get(page, ())
            for fact in facts()
        )
        lines.append(f"{page}: {there} of {here} numbers")
    return lines


def _pages() -> Iterator[Path]:
    yield from (ROOT / STUDIES).glob("*/README.md")
    yield from (ROOT / "docs" / "pages").glob("*.md")


def main(arguments: list[str]) -> int:
    """Exit status 1 where a page and its records differ."""
    faults = check()
    for line in [*faults, *(coverage() if "--list" in arguments else ())]:
        print(line)
    facts = sum(len(list(facts())) for registered in FACTS.values() for facts in registered)
    print(f"{facts} facts on {len(FACTS)} pages, {len(faults)} that do not follow")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
