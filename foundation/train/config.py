"""The configuration of a run: a preset and overrides in, one resolved value out."""

from importlib.resources import files
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from data_shards.card import Group, Split
from data_shards.catalogue import expand, ladder_names
from data_shards.config import Config, later
from data_shards.errors import UserError, unknown_name
from data_shards.shards.manifest import CorpusEntry, Manifest
from foundation.models.config import SOURCE
from foundation.models.registry import ModelConfig, read_model_config
from foundation.parallel.layout import OptimiserConfig, StepConfig, check_layout
from foundation.train.health import HealthConfig
from foundation.train.objectives import LossConfig
from foundation.train.presets import preset_names
from foundation.train.schedule import OneCycle, Schedule

SIX_CORPORA = (
    "fno_ns_1e-5",
    "fno_ns_1e-3",
    "pdebench_cns_m0.1",
    "pdebench_swe",
    "pdebench_dr",
    "cfdbench",
)


def _members(names: Any) -> Any:
    """Groups and ladders of corpora by their members; other names are the shards' business."""
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, (list, tuple)):
        return names
    known = {*get_args(Group), *ladder_names()}
    found = (expand([name]) if name in known else [name] for name in names)
    return tuple(dict.fromkeys(corpus for each in found for corpus in each))


# Names of corpora, each once; groups and ladders stand for their members.
Corpora = Annotated[tuple[str, ...], BeforeValidator(_members)]


class DataConfig(Config):
    """What is read, and how often each corpus is drawn."""

    corpora: Corpora = SIX_CORPORA
    split: Split = "train"
    limit: PositiveInt | None = None  # trajectories per corpus, chosen by the seed; None: all
    weights: Literal["balanced", "proportional"] | dict[str, PositiveFloat] = "balanced"
    # Processes per rank that decode ahead; None: some on a GPU, none on a CPU.
    workers: NonNegativeInt | None = None
    # Of the corpora: those of which a network sees what is given alone. They have no objective, but
    # what the network gives besides fields (an energy) is minimised on them too (`loss.terms`).
    unlabelled: Corpora = later(())

    @model_validator(mode="after")
    def _some_are_labelled(self) -> Self:
        if unknown := sorted(set(self.unlabelled) - set(self.corpora)):
            raise ValueError(f"unlabelled {unknown} are not among corpora; add them there")
        if set(self.unlabelled) == set(self.corpora):
            raise ValueError("unlabelled are all corpora: nothing is left to be learnt from labels")
        return self


class ValidationConfig(Config):
    """In-loop validation by short rollouts."""

    every: PositiveInt = 500  # optimiser steps
    split: Split = "validation"
    horizon: PositiveInt = 5  # frames rolled out
    limit: PositiveInt = 16  # trajectories per corpus
    keep_best: bool = later(False)  # the run gives the weights of the smallest error


class CheckpointConfig(Config):
    """When the whole state is saved, and how many are kept."""

    every: PositiveInt = 500  # optimiser steps
    keep: PositiveInt = 2


class EarlyStopping(Config):
    """Stop when frames that training never predicts get no better; keep the best weights."""

    held_out: PositiveInt = 2  # last frames of every training trajectory
    patience: PositiveInt = 5  # validations without a smaller error


# Parts of a run that change no weight.
_HOW = ("recompute", "keep_freed_memory", "deterministic")
_INDIFFERENT = ("log_every", "health", "checkpoint", *_HOW)
_KINDS = ("model_type", "kind")  # keys by which parts are told apart


class RunConfig(Config):
    """Everything that decides a pre-training run but the layout of ranks."""

    model: ModelConfig
    data: DataConfig = DataConfig()
    steps: PositiveInt  # optimiser steps of the whole run
    global_batch: PositiveInt = 20  # samples per optimiser step over all ranks
    accumulation: PositiveInt = 1  # forwards per optimiser step
    clip: float = Field(default=0.0, ge=0.0)  # of the global gradient norm; 0 is off
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: Schedule = OneCycle()
    loss: LossConfig = LossConfig()
    recompute: bool = False  # activation checkpointing, block by block
    keep_freed_memory: bool = True  # by ranks on CPUs, for up to a quarter more of it: faster
    # Of samples whose data are not finite: end the run, or leave them out, so many after a start.
    on_non_finite: Literal["stop", "skip"] = later("stop")
    max_skipped: PositiveInt = later(100)  # samples, and optimiser steps without an update
    # By torch, in the first steps; repays long runs in bfloat16. reduce-overhead: on a GPU, forward
    # and backward are replayed as CUDA graphs, which no GPU has run yet.
    compile: Literal[False, True, "reduce-overhead"] = later(False)
    deterministic: bool = later(False)  # on a GPU too the same bits in every run; slower there
    # Scales of a network with named channels: those of its configuration, or measured over the
    # samples that are learnt from. A fine-tuned network keeps its own unless it is told to measure.
    scales: Literal["kept", "measured"] = later("kept")
    # Checkpoint folder of the flow tokenizer that a latent transformer stands on.
    tokenizer: str | None = later(None)
    # Routers stay as they start: a control, in which like samples go to like experts untaught.
    frozen_routers: bool = later(False)
    seed: NonNegativeInt = 0
    log_every: PositiveInt = 10
    validation: ValidationConfig = ValidationConfig()
    health: HealthConfig = later(HealthConfig())
    checkpoint: CheckpointConfig = CheckpointConfig()
    early_stopping: EarlyStopping | None = None  # then validation is of held-out frames

    @classmethod
    def read(cls, values: Any, where: str) -> Self:
        """As every configuration; faults of the model are told by its own architecture."""
        if isinstance(values, dict) and isinstance(values.get("model"), dict):
            model = read_model_config(values["model"], f"{where}: model")
            values = {**values, "model": model}
        return super().read(values, where)

    @model_validator(mode="after")
    def _classes_have_a_head(self) -> Self:
        if self.loss.class_weight and not self.model.has_classes:
            raise ValueError(
                f"loss.class_weight={self.loss.class_weight}: {self.model.model_type} has no "
                "auxiliary head; set it to 0"
            )
        return self

    @model_validator(mode="after")
    def _frozen_routers_are_there_and_not_balanced(self) -> Self:
        if self.frozen_routers and not self.model.num_routed:
            raise ValueError(f"frozen_routers=true: {self.model.model_type} has none; leave it out")
        if self.frozen_routers and self.loss.balance_weight:
            raise ValueError(
                "frozen_routers=true: a loss that balances routers would bend the layers before "
                "them; set loss.balance_weight=0"
            )
        return self

    @model_validator(mode="after")
    def _unlabelled_samples_have_something_to_minimise(self) -> Self:
        if not self.data.unlabelled:
            return self
        if not self.loss.terms:
            raise ValueError(
                "data.unlabelled: without labels only what a network gives besides fields can be "
                "minimised; set loss.terms, as in loss.terms.energy.end=1"
            )
        if self.loss.mask != "valid":
            raise ValueError("data.unlabelled: loss.mask=reference scores them; set it to valid")
        return self

    @model_validator(mode="after")
    def _either_compiles_or_recomputes(self) -> Self:
        if self.compile and self.recompute:
            raise ValueError(
                f"compile={str(self.compile).lower()} and recompute=true: torch does not compile "
                "what is recomputed here; choose one"
            )
        return self

    @model_validator(mode="after")
    def _graphs_hold_the_gradients_of_one_forward(self) -> Self:
        if self.compile == "reduce-overhead" and self.accumulation > 1:
            raise ValueError(
                f"compile=reduce-overhead and accumulation={self.accumulation}: a CUDA graph "
                "writes gradients where those of the forward before lie; set accumulation=1, or "
                "compile=true"
            )
        return self

    @model_validator(mode="after")
    def _scales_need_a_source(self) -> Self:
        if self.scales == "measured" and SOURCE not in self.model.slots:
            raise ValueError(
                f"scales=measured: are those of a model with a slot {SOURCE!r}, this one has "
                f"{', '.join(self.model.slots) or 'none'}; leave scales out, or set model.slots"
            )
        if self.scales == "measured" and (self.model.instance_norm or self.model.target != "frame"):
            raise ValueError(
                "scales=measured normalises by the source; set model.instance_norm=false and "
                "model.target=frame"
            )
        return self

    @model_validator(mode="after")
    def _tokenizer_has_a_use(self) -> Self:
        if self.tokenizer is not None and self.model.model_type != "shodh_moe":
            raise ValueError(
                f"tokenizer={self.tokenizer}: {self.model.model_type} stands on none; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _changes_need_a_past(self) -> Self:
        if self.loss.relative_to == "change" and not self.model.feeds_back:
            raise ValueError(
                "loss.relative_to=change is of frames that continue the given ones; set it to field"
            )
        return self

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        if self.global_batch % self.accumulation:
            raise ValueError(
                f"global_batch={self.global_batch} does not divide by "
                f"accumulation={self.accumulation}; change one of them"
            )
        return self

    def deciding_values(self, *, hashed: bool = False) -> dict[str, Any]:
        """Plain values of all that decides the weights: two runs that share them are one.

        Args:
            hashed: in the canonical form, which a hash of them stands on.
        """
        dumped = self.canonical() if hashed else self.model_dump(mode="json")
        values = {key: value for key, value in dumped.items() if key not in _INDIFFERENT}
        values["data"]["workers"] = None
        if self.scales == "measured":  # they follow from what is learnt from
            values["model"].pop("scales", None)
        if self.tokenizer is not None:  # likewise, from the tokenizer
            values["model"].pop("autoencoder", None)
        if not self.validation_decides:
            values["validation"] = None
        return values

    @property
    def validation_decides(self) -> bool:
        """Whether the weights that a run gives depend on its validation."""
        return self.early_stopping is not None or self.validation.keep_best

    @property
    def transductive(self) -> tuple[str, ...]:
        """Corpora whose parameters are learnt from without their labels; tests on them know it."""
        weighed = any(ramp.start or ramp.end for ramp in self.loss.terms.values())
        return self.data.unlabelled if weighed else ()

    def validated(self, manifest: Manifest) -> list[CorpusEntry]:
        """Entries of the corpora that have the split for validation.

        Raises:
            UserError: validation is to choose the weights, and a corpus has no such split.
        """
        split = self.validation.split
        found = {name: manifest.find(name, split) for name in self.data.corpora}
        missing = sorted(name for name, entry in found.items() if entry is None)
        if self.validation.keep_best and missing:
            raise UserError(
                f"validation.keep_best: no {split} split of {', '.join(missing)}; generate it, "
                "or leave validation.keep_best out"
            )
        return [entry for entry in found.values() if entry is not None]

    def check_ranks(self, world: int, ep_size: int) -> None:
        """Refuse an expert-parallel size that fits neither the ranks nor the model.

        Raises:
            UserError: it does not divide ranks and experts, or there are no experts to spread.
        """
        spread = {"routed experts": self.model.num_routed, "boxes": self.model.num_boxes}
        if ep_size != 1 and not any(spread.values()):
            raise UserError(
                f"ep_size={ep_size}: {self.model.model_type} is dense, it has no experts to "
                "spread; leave ep_size at 1"
            )
        for name, number in spread.items():
            if number:
                check_layout(number, world, ep_size, name)

    def step_on(self, world: int) -> StepConfig:
        """What one optimiser step consists of on one of `world` ranks.

        Raises:
            UserError: the global batch does not divide by ranks times accumulation.
        """
        forwards = world * self.accumulation
        if self.global_batch % forwards:
            nearest = max(self.global_batch // forwards, 1) * forwards
            raise UserError(
                f"global_batch={self.global_batch} does not divide by {world} ranks x "
                f"{self.accumulation} forwards; take {nearest} or {nearest + forwards}"
            )
        return StepConfig(
            micro_batch=self.global_batch // forwards,
            accumulation=self.accumulation,
            clip=self.clip,
            optimiser=self.optimiser,
        )


def load_run_config(preset: str, overrides: list[str]) -> RunConfig:
    """A preset with dotted overrides applied.

    Args:
        preset: one of `preset_names`.
        overrides: "key.path=value", the value in YAML.

    Raises:
        UserError: an unknown preset or key (with the nearest known one), or a bad value.
    """
    if preset not in preset_names():
        raise unknown_name("preset", preset, preset_names())
    values = _preset(preset)
    for override in overrides:
        apply_override(values, override)
    where = f"preset {preset}" + (" with overrides" if overrides else "")
    return RunConfig.read(values, where)


def _preset(name: str) -> dict[str, Any]:
    """Values of a preset's file, laid over those of the preset that it is `like`."""
    text = (files("foundation") / "presets" / f"{name}.yaml").read_text()
    values: dict[str, Any] = yaml.safe_load(text)
    like = values.pop("like", None)
    return laid_over(_preset(like), values) if like else values


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """All plain values of `above`, and those of `below` where it says nothing, however deep.

    A part that names another kind (`model_type`, `kind`) takes none of the keys below it: they
    would not fit.
    """
    if any(above[key] != below.get(key) for key in _KINDS if key in above):
        return above
    both = {
        key: laid_over(below[key], value)
        for key, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return {**below, **above, **both}


def apply_override(values: dict[str, Any], override: str) -> None:
    """Set one value of a tree of plain values, in place.

    Args:
        values: of a configuration.
        override: "key.path=value", the value in YAML.

    Raises:
        UserError: not of that form.
    """
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise UserError(f"override {override!r}: wanted key.path=value, as in steps=100")
    group, _, corpus = path.partition("weights.")
    # Names of corpora hold dots: what follows "weights." is one key.
    *parents, last = [*group.split(".")[:-1], "weights", corpus] if corpus else path.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise UserError(f"override {override!r}: {parent} is a value, not a group of keys")
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "syntax error"
        raise UserError(f"override {override!r}: value not readable as YAML: {problem}") from None


def first_difference(before: Any, now: Any, path: str = "") -> str | None:
    """Where two trees of plain values differ first, as "key.path: old, now new"."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *(k for k in now if k not in before)]:
            inner = f"{path}.{key}" if path else str(key)
            found = first_difference(before.get(key), now.get(key), inner)
            if found:
                return found
        return None
    return None if before == now else f"{path} was {before!r}, now {now!r}"
