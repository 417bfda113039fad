"""Figures of README and of pages that join several studies."""

from collections.abc import Iterator
from statistics import fmean

from evaluation.studies.baselines.facts import few_shot_gains, inference
from evaluation.studies.facts import fixed, on, record, row, short, standings_of, wins_of

SIX = {
    "CFDBench": "cfdbench", "NS 1e-3": "fno_ns_1e-3", "NS 1e-5": "fno_ns_1e-5",
    "CNS": "pdebench_cns_m0.1", "DR": "pdebench_dr", "SWE": "pdebench_swe",
}  # fmt: skip


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


@on("docs/pages/first-results.md")
def first_results() -> Iterator[str]:
    study = "baselines/study.json"
    mean = {
        model: fixed(one["geometric_mean"]["mean"])
        for (model, _), one in standings_of(study).items()
    }
    better = wins_of(study, "MoE-POT", "DPOT")["better"]
    yield (
        f"better than its dense twin DPOT on {better} of the 6 corpora (geometric mean of the "
        f"errors {mean['MoE-POT']} against {mean['DPOT']})"
    )
    yield f"FNO ({mean['FNO']}) and a U-Net ({mean['U-Net']}) are ahead"
    trained, fresh = inference("baselines/routing.json")
    yield f"with an accuracy of {fixed(fmean(one['value'] for one in trained))}"
    yield f"fresh weights with {fixed(fresh['value'])}"
    gains = few_shot_gains()
    yield f"to a {min(gains):.1f} to {max(gains):.1f} times smaller error"


@on("README.md", "docs/pages/choose.md")
def verdicts() -> Iterator[str]:
    found = [record(f"strangers/seed{seed}.json")["shares"] for seed in (0, 1)]
    asked = sum(one["verdicts"] for one in found)
    right = sum(one["verdicts"] * one["right"] for one in found) / asked
    yield f"{asked} forecasts of"
    yield f"{right:.0%}".replace("%", " %")


@on("docs/pages/choose.md")
def which_model() -> Iterator[str]:
    study = "baselines/study.json"
    by_model = {model: one for (model, _), one in standings_of(study).items()}
    mean = {model: fixed(one["geometric_mean"]["mean"]) for model, one in by_model.items()}
    yield (
        f"FNO {mean['FNO']}, U-Net {mean['U-Net']}, MoE-POT {mean['MoE-POT']}, its dense twin DPOT "
        f"{mean['DPOT']}"
    )
    twin, fno = (wins_of(study, "MoE-POT", other)["better"] for other in ("DPOT", "FNO"))
    yield (f"better than its twin on {twin} of 6 corpora, worse than FNO on {6 - fno}")
    trained, fresh = inference("baselines/routing.json")
    yield f"with an accuracy of {fixed(fmean(one['value'] for one in trained))}"
    yield f"with {fixed(fresh['value'])}"
    gains = few_shot_gains()
    yield f"to an error {min(gains):.1f} to {max(gains):.1f} times smaller"
    least = min(error["mean"] for one in by_model.values() for error in one["errors"].values())
    yield f"on any corpus was below {100 * least - 0.05:.1f} %"


@on("README.md")
def readme() -> Iterator[str]:
    mean = {
        model: fixed(one["geometric_mean"]["mean"])
        for (model, _), one in standings_of("baselines/study.json").items()
    }
    yield f"{mean['FNO']}, MoE-POT {mean['MoE-POT']}, its dense twin DPOT {mean['DPOT']}"


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
