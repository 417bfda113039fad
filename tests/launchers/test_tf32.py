"""What products of float32 are rounded to: by default nothing, by `--tf32` on a GPU, and never
behind a verb. What is asked for is seen without a GPU; what one makes of it is in tests/gpu."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import interrupts
import pytest
import torch
from own_files import write_waves
from runs import write_checkpoint
from torch.nn.modules.module import register_module_forward_pre_hook

from foundation.models.network import FieldNetwork
from foundation.nn.device import float32_products
from launchers.cli import main

WHOLE, ROUNDED = ("highest", False), ("high", True)
SHOWN = """
import sys
sys.path.insert(0, "tests/launchers")
from test_tf32 import main, precisions_of_calls
with precisions_of_calls() as seen:
    try:
        main(sys.argv[1:])
    finally:
        print("seen:", sorted(seen), file=sys.stderr)
"""


def precision() -> tuple[str, bool]:
    """Of products, and whether convolutions are rounded."""
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


@contextmanager
def precisions_of_calls() -> Iterator[set[tuple[str, bool]]]:
    """Under which precisions networks are called until the end of the block."""
    seen = set()

    def look(module: torch.nn.Module, inputs: Any) -> None:
        if isinstance(module, FieldNetwork):
            seen.add(precision())

    hook = register_module_forward_pre_hook(look)
    try:
        yield seen
    finally:
        hook.remove()


@pytest.fixture(params=[("highest", True), ROUNDED, WHOLE])
def before(request: pytest.FixtureRequest) -> Iterator[tuple[str, bool]]:
    """What a process may have set before: torch's default, all rounded, nothing rounded."""
    default = precision()
    torch.set_float32_matmul_precision(request.param[0])
    torch.backends.cudnn.allow_tf32 = request.param[1]
    yield request.param
    torch.set_float32_matmul_precision(default[0])
    torch.backends.cudnn.allow_tf32 = default[1]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_checkpoint(tmp_path_factory.mktemp("rounded") / "model", resolution=32))


def test_a_block_rounds_or_not_and_leaves_what_was(before: tuple[str, bool]) -> None:
    with float32_products(rounded=True):
        assert precision() == ROUNDED
        with float32_products():
            assert precision() == WHOLE
        assert precision() == ROUNDED
    assert precision() == before
    with pytest.raises(ZeroDivisionError), float32_products(rounded=True):
        raise ZeroDivisionError
    assert precision() == before


@pytest.mark.parametrize(
    ("options", "wanted", "told"),
    [
        ((), WHOLE, "float32"),
        (("--tf32",), ROUNDED, "float32"),  # a CPU has no other
        (("--bf16",), WHOLE, "bfloat16"),
    ],
)
def test_predict_and_fingerprint_round_as_asked_and_say_so(
    options: tuple[str, ...],
    wanted: tuple[str, bool],
    told: str,
    before: tuple[str, bool],
    checkpoint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = str(write_waves(tmp_path / "flow.npz"))
    output = tmp_path / "forecast.npz"
    words = ["predict", checkpoint, path, "--steps", "2", "--output", str(output), *options]
    with precisions_of_calls() as seen:
        assert main(words) == 0
    assert seen == {wanted}
    assert json.loads(output.with_suffix(".report.json").read_text())["computed_in"] == told
    capsys.readouterr()
    with precisions_of_calls() as seen:
        assert main(["fingerprint", checkpoint, path, "--json", *options]) == 0
    assert seen == {wanted}
    assert json.loads(capsys.readouterr().out)["computed_in"] == told
    assert precision() == before


def test_two_ways_of_rounding_at_once_are_refused(
    checkpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["predict", checkpoint, "flow.npz", "--steps", "1", "--bf16", "--tf32"])
    assert stopped.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_scores_are_of_whole_products_whatever_the_process_rounds(
    before: tuple[str, bool],
    checkpoint: str,
    waves: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["evaluate", checkpoint, "--shards", str(waves), "--tasks", "zero_shot_toy_wave"]
    words += ["--output", str(tmp_path / "records.json")]
    with precisions_of_calls() as seen:
        assert main(words) == 0
    assert seen == {WHOLE}
    assert precision() == before
    with pytest.raises(SystemExit):
        main([*words, "--tf32"])
    assert "--tf32" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "wanted"), [((), WHOLE), (("--tf32",), ROUNDED)])
def test_a_served_page_rounds_as_asked(
    options: tuple[str, ...], wanted: tuple[str, bool], checkpoint: str, waves: Path
) -> None:
    words = ["serve", checkpoint, "--shards", str(waves), "--port", "0", *options]
    path = os.pathsep.join(["tests/support", *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", SHOWN, *words],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=interrupts.heard,
    )
    assert process.stderr is not None
    try:
        lines = (re.search("http://[^ ]+", line) for line in process.stderr)
        address = next(found[0] for found in lines if found)
        form = b"shelf=toy_wave/test&index=0&start=0&steps=1"
        with urllib.request.urlopen(f"{address}sample", form, timeout=60) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        assert f"seen: {[wanted]}" in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
