"""What a study compares: a YAML file in, every run of it resolved out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from data_shards.config import Config, read_yaml
from data_shards.errors import unknown_name
from data_shards.hashing import digest
from foundation.train.config import Corpora, RunConfig, load_run_config
from foundation.train.finetuning import RouterMode

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SWEPT = {"seed": "seeds", "data.limit": "sizes", "optimiser.lr": "learning_rates"}


class TransferConfig(Config):
    """What is learnt from few trajectories once the models are trained: a sweep of each of them.

    Every finished run is fine-tuned on corpora times sizes times learning rates times seeds; of
    the learning rates the one with the smallest validation error counts.
    """

    corpora: Corpora = Field(min_length=1)
    sizes: tuple[PositiveInt, ...] = Field(min_length=1)  # numbers of trajectories
    learning_rates: tuple[PositiveFloat, ...] = Field(min_length=1)
    seeds: PositiveInt = 3  # of fine-tuning: 0 to this less one
    scratch: bool = True  # learn from initial weights, too
    models: tuple[str, ...] | None = None  # names in tables; all by default
    mixtures: tuple[str, ...] | None = None  # after which they are fine-tuned; all by default
    recipe: str = "finetune"
    overrides: tuple[str, ...] = ()  # of every fine-tuning
    router: RouterMode | None = None  # frozen by default, where there is one
    limit: PositiveInt | None = None  # test trajectories judged; all by default

    @model_validator(mode="after")
    def _sweeps_what_it_names(self) -> Self:
        for override in self.overrides:
            if (key := override.partition("=")[0]) in _SWEPT:
                raise ValueError(f"an override sets {key}; the study does, see {_SWEPT[key]}")
        for name in ("sizes", "learning_rates", "models", "mixtures"):
            listed = getattr(self, name) or ()
            if len(set(listed)) < len(listed):
                raise ValueError(f"{name} {list(listed)} names one twice; name each once")
        return self


class StudiedModel(Config):
    """A preset, and what is said over it for this model alone."""

    preset: str
    overrides: tuple[str, ...] = ()


class StudyConfig(Config):
    """Models times mixtures times seeds, and what they are judged on."""

    title: str
    # Name in tables -> preset, or a preset with overrides of its own, as its rate or its steps.
    models: dict[str, str | StudiedModel] = Field(min_length=1)
    # Name -> overrides "key.path=value" that make it, as in data.corpora=[mixture_10].
    mixtures: dict[str, tuple[str, ...]] = Field(min_length=1)
    seeds: PositiveInt = 3  # 0 to this less one
    overrides: tuple[str, ...] = ()  # of every run
    tasks: tuple[str, ...] = ("zero_shot",)  # tasks and groups
    transfer: TransferConfig | None = None  # what follows when all are trained and judged

    @model_validator(mode="after")
    def _names_make_folders(self) -> Self:
        for name in self.mixtures:
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"mixture {name!r}: becomes part of a folder's name; take letters, digits, "
                    "dots, dashes and underscores"
                )
        models = [studied(model) for model in self.models.values()]
        if len(set(models)) < len(models):
            raise ValueError(
                "two models have the same preset and overrides; each run of a preset is made once"
            )
        labels = [_label(name, studied(model)) for name, model in self.models.items()]
        if len(set(labels)) < len(labels):
            raise ValueError(f"names of models make the same folder: {sorted(labels)}")
        return self

    @model_validator(mode="after")
    def _transfers_its_own_models(self) -> Self:
        if self.transfer is None:
            return self
        for what, known in (("model", self.models), ("mixture", self.mixtures)):
            for name in getattr(self.transfer, f"{what}s") or ():
                if name not in known:
                    raise ValueError(f"transfer.{what}s: {unknown_name(what, name, known)}")
        return self

    @model_validator(mode="after")
    def _seeds_are_the_studys(self) -> Self:
        given = [*self.overrides, *(each for own in self.mixtures.values() for each in own)]
        given += [each for model in self.models.values() for each in studied(model).overrides]
        if any(override.startswith("seed=") for override in given):
            raise ValueError("an override sets seed; the study does, see seeds")
        return self


@dataclass(frozen=True)
class StudyRun:
    """One training of a study.

    Attributes:
        model: its name in tables.
        preset: that it starts from.
        label: of the model in names of folders and records.
        mixture: its name.
        seed: of initial weights, order of samples and noise.
        overrides: everything that is said over the preset.
        config: resolved.
    """

    model: str
    preset: str
    label: str
    mixture: str
    seed: int
    overrides: tuple[str, ...]
    config: RunConfig

    @property
    def name(self) -> str:
        """Of its training folder and of its records."""
        return f"{self.label}-{self.mixture}-seed{self.seed}"

    @property
    def identity(self) -> str:
        """sha256 of all that decides its weights, but for the shards that it learns from."""
        return digest(self.config.deciding_values(hashed=True))


def read_study(path: Path) -> StudyConfig:
    """A study's file.

    Raises:
        UserError: no such file, or not a study.
    """
    return StudyConfig.read(read_yaml(path), f"study {path}")


def runs_of(study: StudyConfig) -> list[StudyRun]:
    """All runs, seed by seed, so that a study that is stopped has whole rounds.

    Raises:
        UserError: an unknown preset, corpus or override.
    """
    return list(_runs(study))


def _runs(study: StudyConfig) -> Iterator[StudyRun]:
    for seed in range(study.seeds):
        for mixture, own in study.mixtures.items():
            for name, model in study.models.items():
                of_model = studied(model)
                overrides = (*study.overrides, *own, *of_model.overrides, f"seed={seed}")
                config = load_run_config(of_model.preset, list(overrides))
                label = _label(name, of_model)
                yield StudyRun(name, of_model.preset, label, mixture, seed, overrides, config)


def studied(model: str | StudiedModel) -> StudiedModel:
    """A model of a study in its long form."""
    return StudiedModel(preset=model) if isinstance(model, str) else model


def _label(name: str, model: StudiedModel) -> str:
    """The preset; of a preset with overrides the model's own name."""
    if not model.overrides:
        return model.preset
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-")
