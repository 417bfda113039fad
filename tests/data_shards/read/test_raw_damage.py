"""Law: whatever bytes of a raw file are wrong, it is read or refused by one line."""

import random

import h5py
import numpy as np
import pytest
from bare_card import bare_card
from cfdbench_files import GRID, pack, tree_of
from published_files import COLUMNS, FRAMES, ROWS, numbered, small_card
from well_files import CELLS, write_well
from well_files import FRAMES as WELL_FRAMES

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.read import open_raw

ROUNDS = 60


def tube(folder):
    card = load_card("cfdbench")
    options = {"problems": ["tube"], "subsets": ["prop"]}
    published = card.published.model_copy(update={"options": options})
    sizes = {"frames": 4, "context_frames": 2, "rollout_frames": 2}
    grid = (GRID["y"], GRID["x"])
    path = pack(tree_of({"tube": {"prop": [8] * 4}}), folder / "tube.zip")
    return card.model_copy(update={"published": published, "native_grid": grid, **sizes}), path


def well(folder):
    card = bare_card("toy", "the_well", ("density", "c", "velocity_x"), WELL_FRAMES,
                     (CELLS["y"], CELLS["x"]), extent=None, dt_s=None)  # fmt: skip
    return card, write_well(folder / "well.hdf5", 3)


def hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


def smoke(folder):
    card = load_card("pdearena_ns").model_copy(update={"native_grid": (ROWS, COLUMNS)})
    shape = (2, 14, COLUMNS, ROWS)
    fields = {f"train/{name}": np.ones(shape) for name in ("u", "vx", "vy")}
    sides = {f"train/{a}": np.tile(np.linspace(0, 32, n), (2, 1)) for a, n in
             (("x", COLUMNS), ("y", ROWS))}  # fmt: skip
    labels = {"train/dt": np.full(2, 6.0), "train/buo_y": np.full(2, 0.5)}
    return card, hdf5(folder / "smoke.h5", **fields, **sides, **labels)


def wave(folder):
    path = hdf5(folder / "wave.nc", solution=numbered("ntxy", n=4), c=numbered("nxy", n=4))
    return small_card("wave_layer", {"train": (0, None)}), path


def steady(folder):
    card = bare_card("steady", "elliptic", ("source", "u"), 1, (ROWS, COLUMNS))
    fields, tensor = numbered("ncyx", n=4, c=2), np.ones((4, 3), "f4")
    return card, hdf5(folder / "steady.h5", fields=fields, tensor=tensor)


def prepared(folder):
    card = bare_card("toy", "processed", ("a", "b"), FRAMES, (ROWS, COLUMNS))
    return card, hdf5(folder / "prepared.hdf5", data=numbered("nxytc", n=3, c=2))


@pytest.mark.filterwarnings(
    "ignore::RuntimeWarning"
)  # values beyond float32: the writer's to refuse
@pytest.mark.parametrize("make", [tube, well, smoke, wave, steady, prepared])
def test_a_damaged_file_is_read_or_refused_by_one_line(tmp_path, make):
    card, path = make(tmp_path)
    whole, chance = path.read_bytes(), random.Random(7)
    reads, messages = 0, []
    for damaged in [whole, *(damage(whole, chance) for _ in range(ROUNDS))]:
        path.write_bytes(damaged)
        try:
            corpus = open_raw(card, "train", path)
            try:
                for number in range(len(corpus)):
                    corpus.read(number)
            finally:
                corpus.close()
            reads += 1
        except UserError as error:
            messages.append(str(error))
    assert reads > 0
    assert len(messages) > 5
    assert [m for m in messages if str(path) not in m or "\n" in m] == []


def damage(whole, chance):
    """Cut short, or some bytes changed, mostly where the file describes itself."""
    damaged = bytearray(whole)
    if chance.random() < 0.2:
        return bytes(damaged[: chance.randrange(len(damaged))])
    reach = min(len(damaged), chance.choice([1000, 4000, len(damaged)]))
    for _ in range(chance.choice([1, 5, 30])):
        damaged[chance.randrange(reach)] = chance.randrange(256)
    return bytes(damaged)
