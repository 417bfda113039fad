"""A published file is looked at before it is opened; one that means harm runs nothing."""

import os
import pickle
import random
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch
from reference_files import rewrite, write_pth

from data_shards.errors import UserError
from foundation.published.published_file import open_published

MUTANTS = 200
WEIGHTS = {"a": torch.arange(600.0).reshape(20, 30), "b": torch.zeros(4)}


class Calls:
    """Pickled, it asks to call a function when it is loaded."""

    def __init__(self, function, *arguments):
        self.asked = function, arguments

    def __reduce__(self):
        return self.asked


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_pth(tmp_path / "model.pth", WEIGHTS)


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as raised:
        open_published(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_tensors_come_as_they_were_saved_and_the_optimiser_stays_behind(file):
    found = open_published(file)
    assert found.args is None
    assert found.weights.keys() == WEIGHTS.keys()
    assert all(torch.equal(found.weights[name], WEIGHTS[name]) for name in WEIGHTS)


@pytest.mark.parametrize("prefix", ["module.", "module.module."])
def test_prefixes_of_wrappers_in_training_are_taken_off(tmp_path, prefix):
    path = write_pth(tmp_path / "model.pth", WEIGHTS, prefix=prefix)
    assert open_published(path).weights.keys() == WEIGHTS.keys()


def test_a_state_dict_alone_is_read_too(tmp_path):
    torch.save(WEIGHTS, tmp_path / "model.pth")
    found = open_published(tmp_path / "model.pth")
    assert found.weights.keys() == WEIGHTS.keys()
    assert found.args is None


def test_views_of_one_buffer_are_read_as_they_are(tmp_path):
    flat = torch.arange(12.0)
    path = write_pth(tmp_path / "model.pth", {"a": flat[:4].view(2, 2), "b": flat[4:]})
    found = open_published(path).weights
    assert torch.equal(found["a"], flat[:4].view(2, 2))
    assert torch.equal(found["b"], flat[4:])


@pytest.mark.parametrize("where", ["model", "args", "optimizer", "alone"])
def test_a_call_of_the_shell_is_named_and_not_made(tmp_path, where):
    marker, path = tmp_path / "was_here", tmp_path / "model.pth"
    harm = Calls(os.system, f"touch {marker}")
    contents = {"model": dict(WEIGHTS), "args": None, "optimizer": None}
    if where == "model":
        contents["model"]["c"] = harm
    torch.save(harm if where == "alone" else {**contents, where: harm}, path)
    assert f"{os.name}.system" in refusal(path)
    assert not marker.exists()


def test_a_bare_pickle_is_not_opened(tmp_path):
    marker, path = tmp_path / "was_here", tmp_path / "model.pth"
    path.write_bytes(pickle.dumps(Calls(os.system, f"touch {marker}")))
    assert "bare pickle" in refusal(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("function", "argument", "name"),
    [(bytearray, 1 << 50, "bytearray"), (torch.Tensor, 1 << 50, "torch._tensor.Tensor")],
)
def test_calls_that_torch_allows_but_weights_do_not_need_are_refused(
    tmp_path, function, argument, name
):
    torch.save({"model": WEIGHTS, "args": Calls(function, argument)}, tmp_path / "model.pth")
    said = refusal(tmp_path / "model.pth")
    assert "asks for" in said
    assert name.split(".")[-1] in said


def test_a_compressed_record_is_refused_before_it_swells(file):
    rewrite(file, lambda name, old: bytes(1 << 20), ZIP_DEFLATED)
    assert file.stat().st_size < 1 << 16
    assert "1048576" in refusal(file)


def test_a_huge_structure_is_refused(file):
    rewrite(file, lambda name, old: bytes(17 << 20) if name.endswith("data.pkl") else old)
    assert "its structure alone takes" in refusal(file)


@pytest.mark.parametrize("kept", [0.01, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_called_so(file, kept):
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept * len(whole))])
    assert "truncated" in refusal(file)


def test_a_flipped_bit_of_a_weight_is_found(file):
    whole = bytearray(file.read_bytes())
    place = whole.index(torch.arange(600.0).numpy().tobytes()) + 1000
    whole[place] ^= 1
    file.write_bytes(whole)
    assert "checksum" in refusal(file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        # shape (20, 30) -> (255, 255)
        ((b"K\x14K\x1e\x86", b"K\xffK\xff\x86"), "not readable as weights"),
        # 600 elements in the record -> 700
        ((b"M\x58\x02", b"M\xbc\x02"), "record of its own size"),
        # strides (30, 1) -> (0, 0), shape -> (2^31 - 1, 2^31 - 1)
        ((b"K\x1eK\x01\x86", b"K\x00K\x00\x86"), "claims tensors"),
    ],
)
def test_a_tensor_that_claims_more_than_the_file_has_is_refused(file, change, said):
    def forged(name: str, old: bytes) -> bytes:
        if not name.endswith("data.pkl"):
            return old
        assert change[0] in old
        new = old.replace(*change)
        if said == "claims tensors":
            new = new.replace(b"K\x14K\x1e\x86", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86")
        return new

    rewrite(file, forged)
    assert said in refusal(file)


def test_a_tensor_of_one_number_repeated_is_refused(tmp_path):
    path = write_pth(tmp_path / "model.pth", {"a": torch.zeros(1).expand(1 << 20, 1 << 20)})
    assert "claims tensors of 4398046511104 bytes" in refusal(path)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_other_pickle_protocols_are_refused(tmp_path, protocol):
    torch.save({"model": WEIGHTS}, tmp_path / "model.pth", pickle_protocol=protocol)
    assert "protocol" in refusal(tmp_path / "model.pth")


def test_a_pickle_cut_short_inside_a_sound_zip_is_refused(file):
    rewrite(file, lambda name, old: old[:-40] if name.endswith("data.pkl") else old)
    assert "damaged" in refusal(file)


@pytest.mark.attack
def test_whatever_bytes_of_the_structure_are_wrong_it_is_one_refusal_or_tensors(
    file, record_property
):
    whole, draw = file.read_bytes(), random.Random(0)

    def noisy(name: str, old: bytes) -> bytes:
        new = bytearray(old)
        for _ in range(draw.choice((1, 1, 4)) if name.endswith("data.pkl") else 0):
            new[draw.randrange(len(new))] = draw.randrange(256)
        return bytes(new)

    refusals = 0
    for _ in range(MUTANTS):
        file.write_bytes(whole)
        rewrite(file, noisy)
        try:
            open_published(file)
        except UserError:
            refusals += 1
    record_property("attack", "bytes of a published `.pth`'s structure changed")
    record_property("trials", MUTANTS)
    record_property("outcome", f"{refusals} refused, {MUTANTS - refusals} read as tensors")
    assert MUTANTS / 2 < refusals < MUTANTS  # some bytes are free, as those of a learning rate


def test_records_that_readers_could_tell_apart_differently_are_refused(file):
    with ZipFile(file, "a") as archive:
        archive.writestr("MODEL/data.pkl", b"\x80\x02}.")
    assert "not one that torch.save wrote" in refusal(file)


def test_programs_are_refused(file):
    with ZipFile(file, "a") as archive:
        archive.writestr("model/constants.pkl", b"\x80\x02).")
    assert "TorchScript" in refusal(file)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<!DOCTYPE html>", "not a checkpoint"),
        (b"", "not a checkpoint"),
    ],
)
def test_what_stands_in_place_of_a_download_is_told_apart(tmp_path, content, said):
    (tmp_path / "model.pth").write_bytes(content)
    assert said in refusal(tmp_path / "model.pth")


def test_no_file_and_a_folder_are_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "model.pth")
    assert "not readable" in refusal(tmp_path)


def test_a_pipe_and_a_device_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "model.pth")
    for path in (tmp_path / "model.pth", Path("/dev/zero")):
        assert "is no plain file" in refusal(path)


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ([1, 2], "a list"),
        ({"model": {}}, "state dict"),
        ({"model": [torch.zeros(2)]}, "a list"),
        ({"model": {"a": 3}}, "a int"),
        ({"model": {3: torch.zeros(2)}}, "a int"),
        ({"model": WEIGHTS, "args": [3]}, "a list"),
    ],
)
def test_structures_of_another_kind_are_named(tmp_path, contents, said):
    torch.save(contents, tmp_path / "model.pth")
    assert said in refusal(tmp_path / "model.pth")
