"""Recipes become runs: lengths in passes, routers by architecture, what no recipe can say."""

from pathlib import Path

import pytest
import torch
from architectures import DENSE, config_of, network_of

from data_shards.errors import UserError
from data_shards.shards.manifest import CorpusEntry, read_manifest
from foundation.checkpoint.folder import save_folder
from foundation.train.config import load_run_config
from foundation.train.finetuning import load_finetuning
from foundation.train.finetuning import network_of as builder_of
from foundation.train.objectives import LossConfig
from foundation.train.presets import recipe_names
from foundation.train.run_folder import about_of, loss_of

MIXTURE = config_of("moe_pot")


@pytest.fixture
def entry(waves: Path) -> CorpusEntry:
    return read_manifest(waves).entry("toy_wave", "train")  # 12 trajectories of 16 frames


@pytest.mark.parametrize(
    ("recipe", "overrides", "trajectories", "steps"),
    [
        ("finetune", [], None, 150),  # 200 passes over 12 in batches of 16
        ("downstream", [], None, 375),
        ("downstream", [], 4, 125),
        ("downstream", ["data.limit=4"], None, 125),
        ("finetune", ["epochs=1"], None, 1),
        ("finetune", ["epochs=3", "global_batch=5"], 7, 5),  # 21 samples in batches of 5
        ("finetune", ["steps=9"], 4, 9),
    ],
)
def test_passes_over_the_trajectories_become_steps(entry, recipe, overrides, trajectories, steps):
    run = load_finetuning(recipe, MIXTURE, entry, overrides, trajectories=trajectories).run
    assert run.steps == steps
    assert run.data.corpora == ("toy_wave",)


def test_every_shipped_recipe_is_whole(entry):
    assert recipe_names() == ["downstream", "finetune", "published"]
    for name in recipe_names():
        run = load_finetuning(name, MIXTURE, entry, []).run
        assert run.schedule.warmup_fraction == 0.2
        assert run.optimiser.lr == 1e-3


def test_the_published_recipe_has_no_noise_and_the_rest_of_the_published_run(entry):
    learnt_by = {"noise": 5e-4, "mask": "valid"}
    run = load_finetuning("published", MIXTURE, entry, [], learnt_by=learnt_by).run
    paper = load_run_config("tiny", [])
    assert run.loss.noise == 0
    assert run.clip == 0  # theirs, 1e4, never acts
    assert run.global_batch == 20
    assert (run.optimiser, run.schedule) == (paper.optimiser, paper.schedule)
    assert (run.loss.mask, run.loss.scale) == (paper.loss.mask, paper.loss.scale)


def test_a_loss_is_that_of_the_checkpoint_where_the_recipe_says_none_of_its_own(entry, tmp_path):
    learnt_by = {"relative_to": "change", "noise": 1e-5, "balance_weight": 0.5, "balance": "switch"}
    own = ["loss.noise=0.25"]
    for scratch in (False, True):
        run = load_finetuning(
            "finetune", MIXTURE, entry, own, from_scratch=scratch, learnt_by=learnt_by
        ).run
        assert (run.loss.relative_to, run.loss.noise) == ("change", 0.25)
        # What balances routers is the recipe's.
        assert run.loss.balance == "cv2"
        assert run.loss.balance_weight == (0.1 if scratch else 0.0)
    recipe = tmp_path / "own.yaml"
    recipe.write_text("{like: finetune, loss: {relative_to: field}}")
    run = load_finetuning(str(recipe), MIXTURE, entry, [], learnt_by=learnt_by).run
    assert (run.loss.relative_to, run.loss.noise) == ("field", 1e-5)
    assert load_finetuning("finetune", MIXTURE, entry, []).run.loss.noise == 5e-4


def test_what_a_checkpoint_tells_of_its_loss_comes_back(entry):
    run = load_run_config("nano", [])
    assert LossConfig.model_validate(loss_of(about_of({}, run, 1, 1))) == run.loss
    assert loss_of({}) == loss_of({"loss": "what?"}) == {}


def test_validation_fits_the_run_and_the_corpus(entry):
    run = load_finetuning("downstream", MIXTURE, entry, []).run
    assert (run.validation.every, run.validation.horizon) == (18, 5)
    short = entry.model_copy(update={"frames": 13})
    assert load_finetuning("finetune", MIXTURE, short, []).run.validation.horizon == 3
    own = load_finetuning("finetune", MIXTURE, entry, ["validation.every=7"]).run
    assert own.validation.every == 7
    assert load_finetuning("finetune", MIXTURE, entry, ["steps=3"]).run.validation.every == 1


def test_routers_are_frozen_where_there_is_one_to_keep(entry):
    kept = load_finetuning("finetune", MIXTURE, entry, [])
    assert kept.router == "frozen"
    assert kept.run.loss.balance_weight == 0
    assert kept.run.model.router.temperature.at(0) == 0.5
    free = load_finetuning("finetune", MIXTURE, entry, [], router="free")
    assert free.run.loss.balance_weight == 0.1
    assert free.run.model.router.temperature.at(0) == 0.5, "fine-tuning is at the floor"
    scratch = load_finetuning("finetune", MIXTURE, entry, [], from_scratch=True)
    assert scratch.router == "free"
    assert scratch.run.model == MIXTURE, "with the schedule of its temperature"
    for name in DENSE:
        assert load_finetuning("finetune", config_of(name), entry, []).router == "free"


def test_the_network_starts_from_the_checkpoint_or_from_the_seed(entry, tmp_path):
    theirs = network_of("moe_pot", 5)
    save_folder(tmp_path / "model", theirs.config, theirs.state_dict(), {})
    tuning = load_finetuning("finetune", MIXTURE, entry, [])
    tuned = builder_of(tuning, tmp_path / "model")(tuning.run.model)
    for name, tensor in tuned.state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name]), name
    assert tuned.training
    assert not tuned.blocks[0].moe.router.gate.score.weight.requires_grad
    scratch = load_finetuning("finetune", MIXTURE, entry, ["seed=5"], from_scratch=True)
    for name, tensor in builder_of(scratch, None)(scratch.run.model).state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name]), name


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.width=64"], "model is that of the checkpoint"),
        (["data.corpora=[toy_duct]"], "set by --corpus"),
        (["epochs=0"], "epochs=0, wanted a positive number"),
        (["epochs=many"], "wanted a positive number"),
        (["steps=4", "epochs=2"], "contradict each other"),
        (["epocs=2"], "did you mean 'epochs'"),
        (["stepps=2"], "did you mean 'steps'"),
        (["data=3"], "data"),
        (["loss=3"], "loss"),
        (["early_stopping.patience=0"], "early_stopping.patience"),
    ],
)
def test_what_a_recipe_cannot_say_is_refused(entry, overrides, message):
    with pytest.raises(UserError, match=message):
        load_finetuning("finetune", MIXTURE, entry, overrides)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "not a mapping"),
        ("{clip: 3}", "neither epochs nor steps"),
        ("{steps: 2, epochs: 2}", "remove one"),
        ("{steps: 2, model: {width: 3}}", "model is that of the checkpoint"),
        ("{like: finetuned}", "did you mean 'finetune'"),
        ("{steps: 2", "not readable as YAML"),
    ],
)
def test_a_recipe_of_ones_own_is_read_as_strictly(entry, tmp_path, text, message):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_finetuning(str(path), MIXTURE, entry, [])


def test_a_recipe_of_ones_own_can_be_like_a_shipped_one(entry, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("{like: downstream, epochs: 4}")
    run = load_finetuning(str(path), MIXTURE, entry, []).run
    assert (run.steps, run.optimiser.lr) == (3, 1e-3)


@pytest.mark.parametrize(("name", "scratch"), [("fno", False), ("moe_pot", True)])
def test_routers_that_are_not_there_are_not_frozen(entry, name, scratch):
    with pytest.raises(UserError, match="take router=free"):
        load_finetuning(
            "finetune", config_of(name), entry, [], router="frozen", from_scratch=scratch
        )


def test_a_network_of_experts_of_its_own_corpora_is_refused(entry):
    oracle = MIXTURE.model_copy(
        update={"router": MIXTURE.router.model_copy(update={"by": "corpus", "top_k": 1})}
    )
    with pytest.raises(UserError, match="fine-tune one whose gate chooses"):
        load_finetuning("finetune", oracle, entry, [])
