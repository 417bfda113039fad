"""Which of their authors' programs made a file is told by its fields."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file

from data_shards.catalogue import load_card
from data_shards.generate.vorticity import gaussian_random_spectrum, to_grid
from data_shards.read import open_raw
from data_shards.read.made_by import told_by_fields

GOLDEN = Path(__file__).parents[2] / "golden" / "pdebench_gas.safetensors"
PROGRAMS = ("pdebench", "pdebench_early")


def card_of(name, frames, cells, **options):
    card = load_card(name)
    published = card.published.model_copy(update={"splits": {"train": (0, None)}})
    sizes = {"frames": frames, "context_frames": 1, "rollout_frames": 1}
    generator_options = {**card.generator_options, **options}
    return card.model_copy(
        update={
            "published": published,
            "native_grid": (cells, cells),
            "generator_options": generator_options,
            **sizes,
        }
    )


def told(card, path):
    corpus = open_raw(card, "train", path)
    try:
        return told_by_fields(card, corpus)
    finally:
        corpus.close()


def gas_file(path, frames, **attributes):
    """Frames (T, C, y, x) of one trajectory, as PDEBench stores them."""
    with h5py.File(path, "w") as file:
        for channel, name in enumerate(("Vx", "Vy", "density", "pressure")):
            file[name] = frames[None, :, channel].swapaxes(-1, -2)
        cells = frames.shape[-1]
        file["x-coordinate"] = file["y-coordinate"] = (np.arange(cells) + 0.5) / cells
        file["t-coordinate"] = 0.05 * np.arange(len(frames) + 1)
        file.attrs.update({"M": 0.1, "eta": 0.01, "zeta": 0.01, **attributes})
    return path


@pytest.mark.parametrize("program", PROGRAMS)
def test_files_of_both_programs_of_pdebench_are_told_apart(program, tmp_path):
    frames = load_file(GOLDEN)[program][:2]  # at t = 0 and 0.05
    path = gas_file(tmp_path / "2D_CFD_M0.1_Eta0.01_Zeta0.01.hdf5", frames)
    (line,) = told(card_of("pdebench_cns_m0.1", 2, 32), path)
    assert f"made with stress: {program}" in line
    assert ("as the card generates" in line) == (program == "pdebench")


def test_a_gas_that_nothing_rubs_fits_every_operator_alike(tmp_path):
    frames = load_file(GOLDEN)["pdebench"][:2]
    path = gas_file(tmp_path / "thin.hdf5", frames, eta=1e-8, zeta=1e-8)
    card = card_of("pdebench_cns_m0.1", 2, 32, eta=1e-8, zeta=1e-8)
    thin = {name: {"low": 1e-8, "high": 1e-8} for name in ("eta", "zeta")}
    values = card.model_dump() | {"parameters": card.model_dump()["parameters"] | thin}
    (line,) = told(type(card).model_validate(values), path)
    assert "no operator of viscosity fits better" in line


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_what_is_no_gas_is_left_to_the_writer_to_refuse(value, tmp_path):
    frames = load_file(GOLDEN)["pdebench"][:2].copy()
    frames[0, 2, 3, 3] = value
    path = gas_file(tmp_path / "bad.hdf5", frames)
    assert told(card_of("pdebench_cns_m0.1", 2, 32), path) == ()


def vorticity_file(path, count, factor):
    start = [
        factor * to_grid(gaussian_random_spectrum(np.random.default_rng(seed), 64), 64)
        for seed in range(count)
    ]
    with h5py.File(path, "w") as file:  # MATLAB's (N, X, Y, T) with its axes reversed
        file["a"] = np.moveaxis(np.stack(start), 0, -1)
        file["u"] = np.zeros((2, 64, 64, count), np.float32)
        file["t"] = np.arange(1.0, 3.0)[:, None]
    return path


@pytest.mark.parametrize(
    ("factor", "noise"), [(1.0, "one_in_all"), (2**0.5, "one_per_part"), (0.3, None)]
)
def test_initial_fields_of_both_codes_of_fno_are_told_apart(factor, noise, tmp_path):
    path = vorticity_file(tmp_path / "ns_V1e-3_N64_T2.mat", 64, factor)
    (line,) = told(card_of("fno_ns_1e-3", 2, 64), path)
    assert (f"drawn with noise: {noise}" if noise else "drawn in neither way") in line


def test_of_few_initial_fields_nothing_is_concluded(tmp_path):
    path = vorticity_file(tmp_path / "ns_V1e-3_N2_T2.mat", 2, 1.2)
    (line,) = told(card_of("fno_ns_1e-3", 2, 64), path)
    assert "too few fields to tell" in line
