"""A network that gives terms besides its fields, through the trainer."""

from dataclasses import replace
from pathlib import Path

import pytest
from architectures import SIZES
from group import on_ranks
from runs import pretrain, rows
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

pytestmark = pytest.mark.dist

SETTINGS = ", ".join(f"{key}: {value}" for key, value in SIZES["fno"].items())
FNO = f"model={{model_type: fno, resolution: 16, {SETTINGS}}}"


def with_sizes(shards: Path, output: Path, extra: tuple[str, ...]) -> int:
    """A run of an FNO that also gives the mean square of its fields."""
    from foundation.models.fno import FNO

    plain = FNO.forward

    def forward(self, batch):
        prediction = plain(self, batch)
        size = prediction.fields.flatten(1).square().mean(1)
        return replace(prediction, terms={"size": size})

    FNO.forward = forward
    return pretrain(shards, output, extra=extra)


@pytest.fixture(scope="module")
def unweighed(waves: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "unweighed"
    assert on_ranks(1, with_sizes, waves, output, (FNO,)) == [0]
    return output


def test_terms_are_logged_for_programs_and_people(unweighed):
    sizes = [row["terms"]["size"] for row in rows(unweighed)]
    assert len(set(sizes)) == len(sizes) == 8
    board = EventAccumulator(str(unweighed / "tensorboard"))
    board.Reload()
    assert [e.value for e in board.Scalars("train_terms/size")] == pytest.approx(sizes)


def test_a_ramp_weighs_its_term_from_its_first_step_on_as_on_one_rank(waves, unweighed, tmp_path):
    ramp = "loss.terms={size: {end: 3, first: 2, last: 5}}"
    assert on_ranks(2, with_sizes, waves, tmp_path / "two", (FNO, ramp)) == [0, 0]
    ours, theirs = rows(tmp_path / "two"), rows(unweighed)
    added = [0, 0, 0, 1, 2, 3, 3, 3]  # in steps 0 to 7
    for number in range(3):  # weights of nothing but zero: the same run, in another order of sums
        assert ours[number]["loss"] == pytest.approx(theirs[number]["loss"], rel=2e-5)
    for weight, row in zip(added, ours, strict=True):
        errors = sum(row["corpus_loss"].values()) / len(row["corpus_loss"])
        assert row["loss"] >= weight * row["terms"]["size"]
        # of corpora that are drawn alike on average only
        assert row["loss"] == pytest.approx(errors + weight * row["terms"]["size"], rel=0.05)
    assert ours[-1]["terms"]["size"] < theirs[-1]["terms"]["size"], "what is weighed shrinks"


def test_a_term_that_the_network_does_not_give_ends_the_run_in_its_first_step(waves, tmp_path):
    words = (FNO, "loss.terms.residual.end=1")
    assert on_ranks(2, pretrain, waves, tmp_path / "run", 1, None, words) == [2, 2]
    assert rows(tmp_path / "run") == []
