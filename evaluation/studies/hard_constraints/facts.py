"""Figures of hard constraints."""

from collections.abc import Iterator
from statistics import median

from evaluation.studies.facts import STUDIES, Row, on, record

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


@on(f"{STUDIES}/hard_constraints/README.md")
def growth() -> Iterator[Row]:
    """Seconds as multiples of the soft arm's."""
    found = {one["name"]: one["value"] for one in record("hard_constraints/growth.json")["figures"]}
    arms = ["one", "2 boxes", "4 boxes", "8 boxes", "one, 100 points", "4 boxes, 100 points"]
    for label, what in (("a step", "step"), ("a forecast", "forecast")):
        values = [found[f"constraint, {what}: {arm} / soft"] for arm in arms]
        yield Row("", label, values, among="8")
