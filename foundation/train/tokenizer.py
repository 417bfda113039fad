"""The tokenizer of a latent transformer: its folder in, a run of its sizes and its weights out.

The weights become part of the network, so that one checkpoint encodes, forecasts and decodes. What
it says of itself tells the tokenizer's fingerprint, and a run is resumed with the same one alone.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from data_shards.errors import UserError
from foundation.checkpoint.folder import find_folder, fingerprint_of, load_folder, read_config
from foundation.models.flow import FlowConfig, FlowNetwork
from foundation.models.network import FieldNetwork
from foundation.models.registry import ModelConfig
from foundation.train.config import RunConfig
from foundation.train.run_folder import Job

_TOKENIZER, _LATENT = "flow_tokenizer", "shodh_moe"


def check_tokenizer(run: RunConfig) -> None:
    """Refuse to pre-train a latent transformer on an autoencoder that nobody trained.

    Raises:
        UserError: there is none.
    """
    if run.model.model_type == _LATENT and run.tokenizer is None:
        raise UserError(
            f"{_LATENT} stands on a trained tokenizer: train one with --preset tokenizer_small, "
            "then add tokenizer=FOLDER/model"
        )


def with_tokenizer(job: Job) -> Job:
    """The job with the sizes of its tokenizer in its configuration, and the weights in its network.

    Args:
        job: of a latent transformer, whose run names a tokenizer.

    Raises:
        UserError: it is of another kind, grid or channels, or cannot be read.
    """
    model, name = job.run.model, job.run.tokenizer
    assert isinstance(model, FlowConfig)
    assert name is not None
    folder = find_folder(name)
    theirs = read_config(folder)[0]
    if not isinstance(theirs, FlowConfig) or theirs.model_type != _TOKENIZER:
        raise UserError(f"tokenizer {name}: is a {theirs.model_type}, wanted a {_TOKENIZER}")
    for what in ("resolution", "channels"):
        own, other = getattr(model, what), getattr(theirs, what)
        if own != other:
            raise UserError(
                f"tokenizer {name}: its {what} is {other}, the model's {own}; make them equal"
            )
    values = model.model_dump() | {"autoencoder": theirs.autoencoder.model_dump()}
    run = job.run.model_copy(update={"model": type(model).read(values, f"tokenizer {name}")})
    return replace(
        job,
        run=run,
        network=_loaded(job.network, folder),
        origin={**job.origin, "tokenizer_sha256": fingerprint_of(folder)},
        fixed=(*job.fixed, "tokenizer_sha256"),
    )


def _loaded(
    network: Callable[[ModelConfig], FieldNetwork], folder: Path
) -> Callable[[ModelConfig], FieldNetwork]:
    def build(config: ModelConfig) -> FieldNetwork:
        built, trained = network(config), load_folder(folder)[0]
        assert isinstance(built, FlowNetwork)
        assert isinstance(trained, FlowNetwork)
        with torch.no_grad():
            built.autoencoder.load_state_dict(trained.autoencoder.state_dict())
        return built

    return build
