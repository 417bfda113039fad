"""Laws of the CFDBench reader: segments of whole cases, solids where they are, nothing trusted."""

import itertools
import random

import numpy as np
import pytest
import torch
from cfdbench_files import (
    GRID,
    PARAMETERS,
    frames_of,
    pack,
    pack_as_published,
    tree_of,
    unpack,
)
from small_cfdbench import ALL, COUNTS, FRAMES, SHAPE, SPLITS, read_all, small_cfdbench

from data_shards.catalogue import load_card
from data_shards.read import cfdbench, open_raw
from data_shards.read.cfdbench_case import Case


def case_and_start(trajectory):
    """Which case and first frame the values of a trajectory say they are of."""
    case, rest = divmod(float(trajectory.fields[0, 0, 0, 0]), 100_000)
    return round(case), round(rest / 2_000)


@pytest.fixture
def tree():
    return tree_of(COUNTS)


def test_zips_and_folders_give_the_same_segments(tmp_path, tree):
    card = small_cfdbench(**ALL)
    zipped = pack_as_published(tree, tmp_path / "zips")
    assert sorted(p.name for p in zipped.rglob("*.zip")) == [
        "bc.zip", "cavity.zip", "dam.zip", "geo.zip", "prop.zip", "tube.zip"
    ]  # fmt: skip
    folders = unpack(tree, tmp_path / "folders")
    single = pack({f"CFDBench/{name}": content for name, content in tree.items()},
                  tmp_path / "all.zip")  # fmt: skip
    for split in SPLITS:
        one, two, three = (read_all(card, split, path) for path in (zipped, folders, single))
        assert len(one) == len(two) == len(three) > 0
        for a, b, c in zip(one, two, three, strict=True):
            np.testing.assert_array_equal(a.fields, b.fields)
            np.testing.assert_array_equal(a.fields, c.fields)
            assert (a.index, a.parameters, a.extent) == (b.index, b.parameters, b.extent)


def test_every_segment_is_in_one_split_and_holds_its_own_frames(tmp_path, tree):
    path = unpack(tree, tmp_path)
    seen = []
    for split in SPLITS:
        for trajectory in read_all(small_cfdbench(**ALL), split, path):
            case, start = case_and_start(trajectory)
            wanted = frames_of(case, 12)[start : start + FRAMES]
            np.testing.assert_array_equal(trajectory.fields, wanted.astype("f4"))
            assert trajectory.fields.shape == SHAPE
            assert trajectory.parameters["density"] == 1.0 + case  # of the same case's file
            seen.append((trajectory.parameters["problem"], case, start, split, trajectory.index))
    lengths = list(itertools.chain(*COUNTS["tube"].values()))
    wanted = {
        (problem, case, start)
        for problem in COUNTS
        for case, length in enumerate(lengths)
        for start in range(0, length - FRAMES + 1, FRAMES)
    }
    assert {(problem, case, start) for problem, case, start, _, _ in seen} == wanted
    assert len(seen) == len(wanted)
    splits_of_case = {(p, case): {s for q, c, _, s, _ in seen if (p, case) == (q, c)}
                      for p, case, *_ in seen}  # fmt: skip
    assert all(len(splits) == 1 for splits in splits_of_case.values())
    # The index is the number in file order: problems, then prop, bc, geo, then time.
    order = sorted(seen, key=lambda s: (list(COUNTS).index(s[0]), s[1], s[2]))
    assert [entry[-1] for entry in order] == list(range(len(order)))


def test_the_split_is_that_of_the_published_loader(tmp_path):
    twelve = {subset: [FRAMES] * 4 for subset in ("prop", "bc", "geo")}
    path = unpack(tree_of({"cavity": twelve, "tube": twelve}), tmp_path)
    for problem, whole in (("cavity", round), ("tube", int)):
        cases = [(s, n) for s in ("prop", "bc", "geo") for n in range(4)]
        random.seed(0)
        random.shuffle(cases)
        train, dev = whole(len(cases) * 0.8), whole(len(cases) * 0.1)
        parts = {"train": cases[:train], "validation": cases[train:][:dev],
                 "test": cases[train + dev :]}  # fmt: skip
        for split, part in parts.items():
            corpus = open_raw(small_cfdbench(**{**ALL, "problems": [problem]}), split, path)
            names = [segment.case.name for segment in corpus._segments]
            wanted = [f"{problem}/{subset}/case{number:04d}" for subset, number in part]
            assert names == wanted
            corpus.close()


def test_with_the_last_frame_repeated_no_frame_is_lost(tmp_path, tree):
    path = unpack(tree, tmp_path)
    card = small_cfdbench(**{**ALL, "problems": ["tube"]}, remainder="repeat")
    found = {case_and_start(t): t for split in SPLITS for t in read_all(card, split, path)}
    lengths = list(itertools.chain(*COUNTS["tube"].values()))
    assert len(found) == sum(-(-length // FRAMES) for length in lengths)
    rest = found[1, 8]  # case 1 has 9 frames
    np.testing.assert_array_equal(rest.fields, np.repeat(frames_of(1, 9)[8:], 4, 0).astype("f4"))


@pytest.mark.parametrize(
    ("problem", "dt_s", "extent", "left", "top"),
    [
        ("cavity", 0.1, (0.0, 0.02, 0.0, 0.03), "no_slip", "moving_lid"),
        ("tube", 0.1, (0.0, 0.4, 0.0, 0.06), "inflow", "no_slip"),
        ("cylinder", 0.001, (-0.06, 0.10, -0.06, 0.06), "inflow", "no_slip"),
        ("dam", 0.1, (0.0, 1.6, 0.0, 0.3), "inflow", "no_slip"),
    ],
)
def test_a_flow_knows_its_domain_sides_and_time(tmp_path, tree, problem, dt_s, extent, left, top):
    path = unpack(tree, tmp_path)
    trajectory = read_all(small_cfdbench(problems=[problem]), "train", path)[0]
    assert (trajectory.dt_s, trajectory.extent, trajectory.seed) == (dt_s, extent, -1)
    assert (trajectory.boundary["left"], trajectory.boundary["top"]) == (left, top)
    assert trajectory.boundary["bottom"] == "no_slip"
    values = PARAMETERS[problem]
    density = trajectory.parameters["density"]
    speed = values.get("vel_top", values.get("vel_in", values.get("velocity")))
    assert trajectory.parameters["velocity"] == speed
    assert set(trajectory.parameters) <= {"problem", *load_card("cfdbench").parameters}
    length = {"cavity": 0.02, "tube": 0.06, "cylinder": 0.042}.get(problem)
    if length:
        wanted = density * speed * length / values["viscosity"]
        assert trajectory.parameters["reynolds"] == pytest.approx(wanted)


def cell_centres(problem):
    x_min, x_max, y_min, y_max = Case(problem, PARAMETERS[problem], "").extent
    x = x_min + (np.arange(GRID["x"]) + 0.5) * (x_max - x_min) / GRID["x"]
    y = y_min + (np.arange(GRID["y"]) + 0.5) * (y_max - y_min) / GRID["y"]
    return np.meshgrid(x, y)


def test_the_cylinder_is_solid_around_the_origin(tmp_path, tree):
    path = unpack(tree, tmp_path)
    mask = read_all(small_cfdbench(problems=["cylinder"]), "train", path)[0].mask
    x, y = cell_centres("cylinder")
    np.testing.assert_array_equal(mask == 0, np.hypot(x, y) <= 0.021)
    assert 0 < (mask == 0).sum() < mask.size / 2
    np.testing.assert_array_equal(mask, mask[::-1])  # the channel is symmetric about the axis
    assert np.argwhere(mask == 0)[:, 1].mean() < (GRID["x"] - 1) / 2  # nearer to the inflow


def test_the_published_mask_of_the_cylinder_misses_it():
    case = Case("cylinder", PARAMETERS["cylinder"], "")
    assert case.mask((6, 8), "reference").all()
    # A domain around (0.5, 0.5) shows the published formula: lower left corners of the cells.
    moved = {**PARAMETERS["cylinder"], "x_min": 0.0, "x_max": 0.8, "y_min": 0.2, "y_max": 0.8}
    solid = Case("cylinder", {**moved, "radius": 0.05}, "").mask((6, 8), "reference") == 0
    assert np.argwhere(solid).tolist() == [[3, 5]]


def test_the_dams_barrier_stands_half_a_metre_behind_the_inflow(tmp_path, tree):
    path = unpack(tree, tmp_path)
    mask = read_all(small_cfdbench(problems=["dam"]), "train", path)[0].mask
    x, y = cell_centres("dam")
    np.testing.assert_array_equal(mask == 0, (x >= 0.5) & (x <= 0.8) & (y <= 0.1))
    assert (mask == 0).sum() == 2 * 2  # columns at 0.5 and 0.7, rows at 0.025 and 0.075
    assert (mask[0] == 0).any()  # at the bottom
    assert not (mask[-1] == 0).any()
    assert Case("dam", PARAMETERS["dam"], "").mask((6, 8), "reference").all()  # published: none


def test_flows_without_a_solid_have_no_mask(tmp_path, tree):
    path = unpack(tree, tmp_path)
    for problem in ("cavity", "tube"):
        assert read_all(small_cfdbench(problems=[problem]), "train", path)[0].mask is None


def test_reference_padding_puts_inflow_and_walls_on_the_outermost_cells(tmp_path, tree):
    path = unpack(tree, tmp_path)
    plain = read_all(small_cfdbench(problems=["tube"]), "train", path)[0]
    padded = read_all(small_cfdbench(problems=["tube"], padding="reference"), "train", path)[0]
    assert padded.fields.shape == plain.fields.shape
    np.testing.assert_array_equal(padded.fields[:, :, [0, -1]], 0)  # no slip
    np.testing.assert_allclose(padded.fields[:, 0, 1:-1, 0], 0.5, rtol=0.35)  # blends with a wall
    np.testing.assert_array_equal(padded.fields[:, 1, :, 0], 0)
    np.testing.assert_array_equal(padded.mask[[0, -1]], 0)
    np.testing.assert_array_equal(padded.mask[:, 0], 0)
    assert padded.mask[2:-2, 2:].all()
    # The published recipe, step by step.
    wide = np.zeros((FRAMES, 2, GRID["y"] + 2, GRID["x"] + 1))
    wide[:, :, 1:-1, 1:] = plain.fields
    wide[:, 0, 1:-1, 0] = 0.5
    back = torch.nn.functional.interpolate(
        torch.from_numpy(wide), (GRID["y"], GRID["x"]), mode="bilinear", align_corners=True
    )
    # float32 against float64: 1e-7 of values up to a million.
    np.testing.assert_allclose(padded.fields, back.numpy(), rtol=2e-6, atol=1e-3)
    cavity = [
        read_all(small_cfdbench(problems=["cavity"], padding=padding), "train", path)[0]
        for padding in ("none", "reference")
    ]
    np.testing.assert_array_equal(cavity[0].fields, cavity[1].fields)  # it has no inlet


def test_each_case_is_read_once_while_its_segments_follow(tmp_path, tree, monkeypatch):
    path = unpack(tree, tmp_path)
    read, original = [], cfdbench.read_array
    monkeypatch.setattr(
        cfdbench, "read_array", lambda f, h, where: read.append(where) or original(f, h, where)
    )
    trajectories = read_all(small_cfdbench(**ALL), "train", path)
    assert len(read) == len(set(read)) < 2 * len(trajectories)


def test_sources_are_zips_or_folders_of_subsets_never_single_files(tmp_path, tree):
    card = small_cfdbench(problems=["cavity", "cylinder"], subsets=["prop", "bc"])
    zips, folders = pack_as_published(tree, tmp_path / "a"), unpack(tree, tmp_path / "b")
    wanted = {
        zips: ["cavity.zip", "cylinder/bc.zip", "cylinder/prop.zip"],
        folders: ["cavity/bc", "cavity/prop", "cylinder/bc", "cylinder/prop"],
    }
    for path, names in wanted.items():
        corpus = open_raw(card, "train", path)
        assert [source.relative_to(path).as_posix() for source in corpus.sources] == names
        corpus.close()


def test_one_problem_or_subset_may_stand_alone(tmp_path, tree):
    path = unpack(tree, tmp_path)
    alone, listed = (
        [t.index for t in read_all(small_cfdbench(problems=p, subsets=s), "train", path)]
        for p, s in (("tube", "bc"), (["tube"], ["bc"]))
    )
    assert alone == listed != []


@pytest.mark.parametrize("name", ["papers.zip", "dam.zip", "dam/bc.zip", "tubes-of-mine/x.zip"])
def test_zips_of_anything_else_may_lie_beside(tmp_path, tree, name):
    path = pack_as_published(tree, tmp_path)
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_bytes(b"not a zip")
    assert read_all(small_cfdbench(problems="tube"), "train", path)


@pytest.mark.parametrize("name", ["tube.zip", "CFDBench.zip", "tube_v2.zip", "tube/all.zip"])
def test_zips_that_may_hold_a_problem_are_found(tmp_path, tree, name):
    part = {k: content for k, content in tree.items() if k.startswith("tube")}
    pack(part, tmp_path / name)
    assert read_all(small_cfdbench(problems="tube"), "train", tmp_path)


def test_the_whole_reference_preparation_is_its_parts_and_keeps_shares_in_the_mask(tmp_path, tree):
    path = unpack(tree, tmp_path)
    parts = {"padding": "reference", "mask": "reference", "remainder": "repeat"}
    whole = read_all(small_cfdbench(problems=["cylinder"], preparation="reference"), "train", path)
    apart = read_all(small_cfdbench(problems=["cylinder"], **parts), "train", path)
    assert len(whole) == len(apart) > 0
    for one, other in zip(whole, apart, strict=True):
        np.testing.assert_array_equal(one.fields, other.fields)
        np.testing.assert_array_equal(one.mask >= 0.5, other.mask == 1)


def test_the_published_mask_is_of_shares_and_ours_is_them_cut_at_one_half():
    case = Case("tube", PARAMETERS["tube"], "")
    fields, mask = np.zeros((1, 2, 6, 8), np.float32), np.ones((6, 8), np.float32)
    mask[2:4, 3:5] = 0
    share, cut = (case.padded(fields, mask, fractional)[1] for fractional in (True, False))
    assert ((share > 0) & (share < 1)).any()
    np.testing.assert_array_equal(cut, share >= 0.5)
