"""Law: under a final name lies the old or the new, whole, whatever stops the writer; and what a
killed one leaves is cleared by the next."""

import errno
import multiprocessing
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from data_shards.atomic import new_file, new_folder, publish, replace_file, replace_link


def write_file(path: Path, content: bytes) -> None:
    """Bit by bit."""
    with new_file(path) as partial, partial.open("wb") as file:
        for byte in content:
            file.write(bytes([byte]))


def write_folder(path: Path, content: bytes) -> None:
    with new_folder(path) as partial:
        (partial / "below").mkdir()
        (partial / "below" / "file").write_bytes(content)


Writer = Callable[[Path, bytes], None]
WRITERS: dict[str, Writer] = {"at once": replace_file, "bit by bit": write_file}


def held(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def killed(write: Writer, path: Path, function: str, calls: int) -> None:
    """Write in a process that ends at the n-th call of a function of `os`."""

    def run() -> None:
        real, left = getattr(os, function), [calls]

        def ending(*arguments: object, **named: object) -> object:
            left[0] -= 1
            if not left[0]:
                os._exit(9)
            return real(*arguments, **named)

        setattr(os, function, ending)
        write(path, b"new")

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    assert process.exitcode == 9


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path, write: Writer) -> None:
    for content in (b"", b"first", b"2"):
        write(tmp_path / "a.json", content)
        assert held(tmp_path) == {"a.json": content}
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    ("function", "calls", "there"),
    [("fsync", 1, b"old"), ("replace", 1, b"old"), ("fsync", 2, b"new"), ("rmdir", 1, b"new")],
)
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_kill_leaves_old_or_new_and_the_next_writer_clears_up(
    tmp_path: Path, write: Writer, function: str, calls: int, there: bytes
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    (tmp_path / "other.json").write_bytes(b"other")
    killed(write, path, function, calls)
    assert path.read_bytes() == there
    assert sorted(found.name for found in tmp_path.rglob("*.json")) == ["a.json", "other.json"]
    write(path, b"next")
    assert held(tmp_path) == {"a.json": b"next", "other.json": b"other"}
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.json", "other.json"}


def test_a_killed_first_write_leaves_nothing_of_that_name(tmp_path: Path) -> None:
    killed(replace_file, tmp_path / "a.json", "fsync", 1)
    assert not (tmp_path / "a.json").exists()
    killed(write_folder, tmp_path / "folder", "replace", 1)
    assert not (tmp_path / "folder").exists()
    write_folder(tmp_path / "folder", b"whole")
    replace_file(tmp_path / "a.json", b"whole")
    assert held(tmp_path) == {"folder/below/file": b"whole", "a.json": b"whole"}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("existed", [True, False])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, write: Writer, existed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if existed:
        (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "a", b"new")
    assert held(tmp_path) == ({"a": b"old"} if existed else {})
    assert len(list(tmp_path.iterdir())) == existed


@pytest.mark.parametrize("context", [new_file, new_folder])
def test_what_fails_on_the_way_leaves_nothing(
    tmp_path: Path, context: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def write() -> None:
        with context(tmp_path / "a") as partial:
            target = partial / "file" if partial.is_dir() else partial
            target.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert held(tmp_path) == {"a": b"old"}


def test_a_folder_takes_the_place_of_an_empty_one_only(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "empty", b"new")
    assert held(tmp_path) == {"empty/below/file": b"new"}
    for taken in ("empty", "file"):
        (tmp_path / "file").write_bytes(b"old")
        before = held(tmp_path)
        with pytest.raises(OSError, match=taken):
            write_folder(tmp_path / taken, b"other")
        assert held(tmp_path) == before


def test_two_writers_of_one_name_do_not_mix(tmp_path: Path) -> None:
    """The second neither takes the first one's half for a leftover nor writes into it."""
    path = tmp_path / "a"
    with new_file(path) as partial:
        partial.write_bytes(b"first, ")
        replace_file(path, b"second")
        assert path.read_bytes() == b"second"
        with partial.open("ab") as file:
            file.write(b"whole")
    assert held(tmp_path) == {"a": b"first, whole"}


def test_everything_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def flushed(handle: int) -> None:
        order.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        fsync(handle)

    def named(source: Path, target: Path) -> None:
        order.append(f"named {target.name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", named)
    write_folder(tmp_path / "folder", b"content")
    assert order == ["content", "below", "file", "named folder", tmp_path.name]


def test_a_file_system_that_flushes_no_folders_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def files_only(handle: int) -> None:
        if Path(os.readlink(f"/proc/self/fd/{handle}")).is_dir():
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", files_only)
    write_folder(tmp_path / "folder", b"content")
    assert held(tmp_path) == {"folder/below/file": b"content"}


def test_what_was_written_elsewhere_is_published_in_place_of_the_old(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "download").write_bytes(b"new")
    publish({tmp_path / "download": tmp_path / "a"})
    assert held(tmp_path) == {"a": b"new"}


def test_a_link_is_replaced_in_one_step(tmp_path: Path) -> None:
    for target in ("one", "two"):
        (tmp_path / target).write_bytes(target.encode())
        replace_link(tmp_path / "link", target)
        assert (tmp_path / "link").read_bytes() == target.encode()
    assert {entry.name for entry in tmp_path.iterdir()} == {"one", "two", "link"}
