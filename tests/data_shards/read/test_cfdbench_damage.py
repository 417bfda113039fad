"""Trees of CFDBench that are not as published: what was done to one, and what the error says."""

import io
import json
import stat
import zipfile

import numpy as np
import pytest
from cfdbench_files import (
    PARAMETERS,
    case_files,
    npy,
    pack,
    pack_as_published,
    tree_of,
    unpack,
)
from small_cfdbench import COUNTS, read_all, small_cfdbench

from data_shards.errors import UserError
from data_shards.read import cfdbench


@pytest.fixture
def tree():
    return tree_of(COUNTS)


def refusal(path, split="train", **options):
    card = small_cfdbench(**{"problems": ["tube"], **options})
    with pytest.raises(UserError) as caught:
        read_all(card, split, path)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["case.json", "u.npy", "v.npy"])
def test_a_missing_file_is_named_with_its_case(tmp_path, tree, name):
    del tree[f"tube/prop/case0001/{name}"]
    message = refusal(unpack(tree, tmp_path))
    assert f"tube/prop/case0001 has no {name}" in message


def pickled():
    return npy(np.array([{"a": 1}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (pickled(), "holds entries of type object"),
        (b"not an array", "not a readable NPY array"),
        (case_files("tube", 0, 4)["u.npy"][:-8], "the file has"),
        (case_files("tube", 0, 4)["u.npy"] + b"\0", "the file has"),
        (npy(np.zeros((4, 6))), "is (4, 6), wanted frames, 6 rows, 8 columns"),
        (npy(np.zeros((8, 8, 6))), "is (8, 8, 6), wanted frames, 6 rows, 8 columns"),
        (npy(np.zeros((9, 6, 8))), "v.npy: is (8, 6, 8), u.npy beside it (9, 6, 8)"),
        (npy(np.zeros((4, 6, 8), complex)), "entries of type complex128"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_an_array_that_is_none_is_refused_by_name(tmp_path, tree, content, says, zipped):
    tree["tube/prop/case0002/u.npy"] = content
    path = pack_as_published(tree, tmp_path) if zipped else unpack(tree, tmp_path)
    message = refusal(path)
    assert says in message
    assert "tube/prop/case0002" in message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "not readable as JSON"),
        (b"[1, 2]", "holds list"),
        (b"[" * 100_000, "wanted 65536 at most"),
        (b"[" * 50_000, "not readable as JSON"),
        (json.dumps({**PARAMETERS["tube"], "height": "tall"}).encode(), "'height', got 'tall'"),
        (json.dumps({**PARAMETERS["tube"], "width": float("nan")}).encode(), "'width', got nan"),
        (json.dumps({**PARAMETERS["tube"], "width": -1.0}).encode(), "its domain is empty"),
        (b'{"density": 1.0}', "needs the number 'vel_in', got nothing"),
    ],
)
def test_a_case_json_that_does_not_say_what_is_needed_is_refused(tmp_path, tree, content, says):
    for case in range(4):
        tree[f"tube/prop/case000{case}/case.json"] = content
    message = refusal(unpack(tree, tmp_path))
    assert says in message
    assert "case.json" in message


def rewritten(path, change):
    """A zip whose last entry is changed before it is written again."""
    with zipfile.ZipFile(path) as archive:
        entries = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for position, (info, content) in enumerate(entries):
            if position == len(entries) - 1:
                change(info)
            archive.writestr(info, content)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda i: setattr(i, "filename", "../tube/prop/case0009/u.npy"), "points outside"),
        (lambda i: setattr(i, "filename", "/tube/prop/case0009/u.npy"), "points outside"),
        (lambda i: setattr(i, "filename", "tube\\prop\\case0009\\u.npy"), "points outside"),
        (lambda i: setattr(i, "filename", "C:/tube/prop/u.npy"), "points outside"),
        (lambda i: setattr(i, "external_attr", (stat.S_IFLNK | 0o777) << 16), "is a link"),
    ],
)
def test_a_zip_with_hostile_members_is_refused_whole(tmp_path, tree, change, says):
    path = pack_as_published(tree, tmp_path)
    rewritten(path / "tube.zip", change)
    message = refusal(path)
    assert says in message
    assert "tube.zip" in message


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(tmp_path, tree):
    path = pack_as_published(tree, tmp_path)
    rewritten(path / "tube.zip", lambda i: setattr(i, "filename", "tube/prop/case0000/u.npy"))
    assert "twice" in refusal(path)


def test_zips_beside_their_unpacked_folders_are_refused(tmp_path, tree):
    unpack(tree, pack_as_published(tree, tmp_path))
    assert "keep the zips or the unpacked folders, not both" in refusal(tmp_path)


def test_an_array_larger_than_any_published_one_is_not_unpacked(tmp_path, tree):
    header = io.BytesIO()
    announced = {"descr": "<f8", "fortran_order": False, "shape": (9_999_999, 6, 8)}
    np.lib.format.write_array_header_1_0(header, announced)
    tree["tube/prop/case0002/u.npy"] = header.getvalue() + bytes(1000)
    message = refusal(pack_as_published(tree, tmp_path))
    assert "case0002/u.npy: (9999999, 6, 8) float64 are 3839999744 bytes" in message


def test_a_zip_bomb_is_seen_by_its_announced_size(tmp_path, tree, monkeypatch):
    monkeypatch.setattr(cfdbench, "MOST_BYTES", 10_000)
    tree["tube/prop/case0002/u.npy"] = npy(np.zeros((40, 6, 8)))
    message = refusal(pack_as_published(tree, tmp_path))
    assert "10000 at most" in message
    assert "case0002/u.npy" in message


def test_a_zip_that_is_cut_short_or_damaged_is_refused(tmp_path, tree):
    path = pack_as_published(tree, tmp_path)
    whole = (path / "tube.zip").read_bytes()
    (path / "tube.zip").write_bytes(whole[: len(whole) // 2])
    assert "not a readable zip" in refusal(path)
    with zipfile.ZipFile(pack({"x": b""}, tmp_path / "y.zip")):
        pass
    damaged = bytearray(whole)
    with zipfile.ZipFile(pack_as_published(tree, path) / "tube.zip") as archive:
        place = archive.getinfo("tube/prop/case0001/u.npy").header_offset
    damaged[place + 400 : place + 500] = bytes(100)
    (path / "tube.zip").write_bytes(damaged)
    (tmp_path / "y.zip").unlink()
    message = refusal(path)
    assert "tube/prop/case0001/u.npy" in message


@pytest.mark.parametrize(
    ("lost", "says"),
    [("tube/", "holds no case of tube/prop"), ("tube/geo", "holds no case of tube/geo")],
)
def test_a_problem_that_is_not_there_whole_is_refused(tmp_path, tree, lost, says):
    kept = {name: content for name, content in tree.items() if not name.startswith(lost)}
    message = refusal(unpack(kept, tmp_path), subsets=["prop", "bc", "geo"])
    assert says in message
    assert "options" in message


def test_with_one_zip_of_many_its_problem_is_advised(tmp_path, tree):
    path = pack_as_published(tree, tmp_path)
    for place in (path / "cavity.zip", path):
        if place == path:
            (path / "tube.zip").unlink()
            for file in (path / "cylinder").iterdir():
                file.unlink()
        message = refusal(place, problems=["cavity", "tube", "cylinder"])
        assert "holds no case of tube/prop" in message
        assert "--option 'problems=[cavity]'" in message


def test_a_problem_that_is_not_asked_for_may_be_damaged(tmp_path, tree):
    tree["dam/prop/case0000/u.npy"] = pickled()
    del tree["dam/prop/case0001/case.json"]
    assert read_all(small_cfdbench(problems=["tube"]), "train", unpack(tree, tmp_path))


@pytest.mark.parametrize(
    ("name", "says"),
    [("nowhere", "no such folder or zip"), ("file.txt", "is neither a folder nor a zip")],
)
def test_a_path_that_is_no_tree_is_refused(tmp_path, name, says):
    (tmp_path / "file.txt").write_text("x")
    assert says in refusal(tmp_path / name)


def test_a_split_without_a_long_enough_case_is_refused(tmp_path):
    path = unpack(tree_of({"tube": {"prop": [4, 4]}}), tmp_path)
    assert "has no case of 4 frames or more" in refusal(path, split="validation")


def test_an_unknown_option_is_refused_by_name(tmp_path):
    assert "paddings" in refusal(tmp_path, paddings="none")
