"""Figures of flow in boxes."""

from collections.abc import Iterator
from statistics import fmean, stdev

from evaluation.studies.facts import STUDIES, Row, on, record

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


@on(f"{STUDIES}/shodh/README.md")
def tokenizer() -> Iterator[Row]:
    labels = (
        "channel with a floor and a free surface", "its free twin",
        "eight solid spheres", "their free twin",
    )  # fmt: skip
    keys = ("max_divergence", "max_divergence_stored", "seconds", "tensor_gib")
    for label, one in zip(labels, record("shodh/tokenizer_128.json")["fields"], strict=True):
        yield Row("", label, [one[key] for key in keys], among="float64")
