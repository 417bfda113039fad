"""The configuration of fine-tuning: a recipe, a network's configuration and a corpus in, a run out.

A recipe is a run without a network and without corpora; its length is told in
`epochs`, passes over the trajectories that are learnt from, unless in `steps`.
Source: MoE-POT, fine-tuning (routers frozen, temperature at its floor, epochs).
Departures: a frozen router has no balance loss, which would only bend the
layers before it; a network from scratch keeps the schedule of its temperature;
what the loss measures is what the checkpoint was learnt by.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from math import ceil
from pathlib import Path
from typing import Any, Literal

import yaml

from data_shards.config import read_yaml
from data_shards.errors import UserError, unknown_name
from data_shards.shards.manifest import CorpusEntry
from foundation.checkpoint.folder import load_folder
from foundation.models.network import FieldNetwork
from foundation.models.registry import ModelConfig, build_model
from foundation.train.config import RunConfig, ValidationConfig, apply_override, laid_over
from foundation.train.freeze import at_temperature_floor, freeze_routers
from foundation.train.presets import recipe_names

RouterMode = Literal["frozen", "free"]

_VALIDATIONS = 20  # of a run, where the recipe does not say how often
# Of a checkpoint's loss; what balances its routers is no concern of frozen ones.
_INHERITED = ("objective", "mask", "relative_to", "slopes", "spectrum", "terms", "noise")
_OWN = {"model": "that of the checkpoint", "data.corpora": "set by --corpus"}


@dataclass(frozen=True)
class FineTuning:
    """A resolved run and what becomes of the routers."""

    run: RunConfig
    router: RouterMode


def read_recipe(recipe: str) -> dict[str, Any]:
    """Plain values of a shipped recipe, or of a user's file `*.yaml`.

    Raises:
        UserError: an unknown name, or a file that is no mapping.
    """
    if recipe.endswith((".yaml", ".yml")):
        values = read_yaml(Path(recipe))
    elif recipe in recipe_names():
        values = yaml.safe_load((_folder() / f"{recipe}.yaml").read_text())
    else:
        raise unknown_name("recipe", recipe, recipe_names())
    if not isinstance(values, dict):
        raise UserError(f"recipe {recipe}: not a mapping of keys to values")
    like = values.pop("like", None)
    return laid_over(read_recipe(like), values) if like else values


def load_finetuning(
    recipe: str,
    model: ModelConfig,
    entry: CorpusEntry,
    overrides: list[str],
    *,
    trajectories: int | None = None,
    router: RouterMode | None = None,
    from_scratch: bool = False,
    learnt_by: Mapping[str, Any] | None = None,
) -> FineTuning:
    """Resolve a recipe for a network and a corpus.

    Args:
        recipe: a shipped one or a file.
        model: configuration of the checkpoint.
        entry: of the manifest, the training split of the corpus.
        overrides: "key.path=value", the value in YAML.
        trajectories: how many to learn from; all by default.
        router: frozen by default where there is one to freeze.
        from_scratch: learn from initial weights; routers are then free.
        learnt_by: the loss of the checkpoint's own run, as its folder tells; what the recipe does
            not say of its own is taken from it, of both sources.

    Raises:
        UserError: an unknown recipe or key, a bad value, routers that cannot be frozen, or a
            network whose experts are those of the corpora of its own training.
    """
    if model.routes_by_corpus:
        raise UserError(
            "the checkpoint has an expert for each corpus of its own training (router.by=corpus), "
            "a control to compare with; fine-tune one whose gate chooses"
        )
    router = _router(router, model, from_scratch)
    values = read_recipe(recipe)
    if learnt_by:
        inherited = {key: learnt_by[key] for key in _INHERITED if key in learnt_by}
        values["loss"] = {**inherited, **(values.get("loss") or {})}
    for override in overrides:
        _refuse_own(override, recipe)
        apply_override(values, override)
    if any(override.startswith("steps=") for override in overrides):
        values.pop("epochs", None)  # the recipe's, or a contradiction that is told below
    where = f"recipe {recipe}" + (" with overrides" if overrides else "")
    where += " and the checkpoint's loss" if learnt_by else ""
    _check_keys(values, where)
    _check_lengths(values, overrides, where)
    epochs = values.pop("epochs", None)
    values["model"] = (model if from_scratch else at_temperature_floor(model)).model_dump()
    _put(values, "data", corpora=[entry.corpus], split=entry.split)
    if trajectories is not None:
        _put(values, "data", limit=trajectories)
    if router == "frozen":
        _put(values, "loss", balance_weight=0.0)
    if from_scratch and model.scales is not None:  # there is nothing to keep: it measures its own
        values = {"scales": "measured", **values, "model": {**values["model"], "scales": None}}
    run = RunConfig.read({"steps": 1, **values}, where)
    count = min(run.data.limit or entry.count, entry.count)
    if epochs is not None:
        run = run.model_copy(update={"steps": ceil(epochs * count / run.global_batch)})
    given = values.get("validation") or {}
    return FineTuning(_with_validation(run, given, entry.frames), router)


def network_of(tuning: FineTuning, weights: Path | None) -> Callable[[ModelConfig], FieldNetwork]:
    """Builds what is trained: from a checkpoint folder, or from the run's seed without one."""
    return partial(_network, tuning, weights)


def _network(tuning: FineTuning, weights: Path | None, model: ModelConfig) -> FieldNetwork:
    network = build_model(model, tuning.run.seed if weights is None else None)
    if weights is not None:
        network.load_state_dict(load_folder(weights)[0].state_dict())
    if tuning.router == "frozen":
        freeze_routers(network)
    return network


def _router(asked: RouterMode | None, model: ModelConfig, from_scratch: bool) -> RouterMode:
    can_freeze = bool(model.num_routed) and not from_scratch
    if asked == "frozen" and not can_freeze:
        why = "initial weights route at random" if model.num_routed else "it is dense"
        raise UserError(
            f"router=frozen: {model.model_type} has no router to keep ({why}); take router=free"
        )
    return asked or ("frozen" if can_freeze else "free")


def _put(values: dict[str, Any], group: str, **settings: Any) -> None:
    inner = values.get(group) or {}
    if isinstance(inner, dict):  # anything else is refused where the run is read
        values[group] = {**inner, **settings}


def _refuse_own(override: str, recipe: str) -> None:
    key = override.partition("=")[0]
    for own, why in _OWN.items():
        if key == own or key.startswith(f"{own}."):
            raise UserError(
                f"override {override!r}: {own} is {why}; leave it out (recipe {recipe})"
            )


def _check_keys(values: dict[str, Any], where: str) -> None:
    if "model" in values:
        raise UserError(f"{where}: model is that of the checkpoint; remove it")
    known = {*RunConfig.model_fields, "epochs"}
    if unknown := [key for key in values if key not in known]:
        raise UserError(f"{where}: {unknown_name('key', str(unknown[0]), known)}")


def _check_lengths(values: dict[str, Any], overrides: list[str], where: str) -> None:
    lengths = [o for o in overrides if o.startswith(("steps=", "epochs="))]
    if {o.partition("=")[0] for o in lengths} == {"steps", "epochs"}:
        raise UserError(f"{where}: {' and '.join(lengths)} contradict each other; give one")
    epochs = values.get("epochs")
    if epochs is not None and "steps" in values:
        raise UserError(f"{where}: both epochs and steps say how long; remove one")
    if epochs is None and "steps" not in values:
        raise UserError(f"{where}: neither epochs nor steps says how long; add one")
    if epochs is not None and not (isinstance(epochs, int | float) and epochs > 0):
        raise UserError(f"{where}: epochs={epochs!r}, wanted a positive number")


def _with_validation(run: RunConfig, given: dict[str, Any], frames: int) -> RunConfig:
    """Validation as often, and as far, as fits the run and the corpus."""
    fitting = {
        "every": max(1, run.steps // _VALIDATIONS),
        "horizon": max(1, min(run.validation.horizon, frames - run.model.context_frames)),
    }
    values = {**run.validation.model_dump(), **fitting, **given}
    return run.model_copy(update={"validation": ValidationConfig.model_validate(values)})


def _folder() -> Any:
    return files("foundation") / "presets" / "recipes"
