"""A factory by name: `module:factory` in, its model with the checksums that tell it apart out.

The module is looked for in the working directory first, as Python does for a script. It is code,
and it is run: only its user decides that.
"""

import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from data_shards.errors import UserError, unknown_name
from data_shards.hashing import digest, sha256_of
from evaluation.foreign.model import ForeignModel

MOST_SAID = 300  # characters of somebody's error


@dataclass(frozen=True)
class MadeModel:
    """A foreign model as its factory made it, in evaluation mode.

    Attributes:
        target: `module:factory`.
        model: what the factory returned.
        networks: that it computes with.
        source_sha256: of the module (of a package: of all its files) and of the files that its
            networks' classes lie in, torch's own left out.
        fingerprint: sha256 of source, factory, weights and named files.
    """

    target: str
    model: ForeignModel
    networks: tuple[nn.Module, ...]
    source_sha256: str
    fingerprint: str

    @property
    def parameters(self) -> int:
        """Of all networks; shared ones count once, complex ones twice, as two numbers."""
        every = {id(p): p for network in self.networks for p in network.parameters()}
        return sum(p.numel() * (1 + p.is_complex()) for p in every.values())


def is_factory(target: str) -> bool:
    """Whether a target is written as `module:factory`."""
    module, colon, factory = target.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), factory))


def make_model(target: str, device: torch.device) -> MadeModel:
    """Import a module, call its factory, move its networks to a device.

    Raises:
        UserError: no such module or factory, it fails, or it returns something else.
    """
    name, _, factory = target.partition(":")
    module = _imported(name, target)
    called = getattr(module, factory, None)
    if not callable(called):
        raise unknown_name(f"factory in {name}", factory, _functions(module))
    with in_one_line(target):
        model = called()
    if not isinstance(model, ForeignModel):
        raise UserError(
            f"{target}: returns {type(model).__name__}; wanted a ForeignModel of evaluation.foreign"
        )
    with in_one_line(target):
        networks = tuple(network.eval() for network in model.networks())
    source = digest(sorted({sha256_of(path) for path in _sources(module, networks)}))
    files = [_file_sha256(Path(path), target) for path in model.files]
    identity = [source, factory, [weights_sha256(network) for network in networks], files]
    for network in networks:
        network.to(device)
    return MadeModel(target, model, networks, source, digest(identity))


@contextmanager
def in_one_line(target: str) -> Iterator[None]:
    """Faults of somebody's code in one line, with the place that they come from.

    Raises:
        UserError: whatever went wrong.
    """
    try:
        yield
    except UserError as error:
        raise UserError(f"{target}: {error}") from None
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(str(error).split())[:MOST_SAID]
        raise UserError(
            f"{target}: {type(error).__name__}: {said} (line {last.lineno} of {last.filename})"
        ) from error


def _imported(name: str, target: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        with in_one_line(target):
            return import_module(name)
    except UserError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and cause.name in _roots(name):
            written = target.replace(".py:", ":")
            raise UserError(
                f"{target}: no module {cause.name} in {here} nor among what is installed; "
                + ("run it where the file lies" if written == target else f"write {written}")
            ) from None
        raise


def _roots(name: str) -> set[str]:
    """A module's name and those of the packages that it lies in."""
    parts = name.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts) + 1)}


def _functions(module: ModuleType) -> list[str]:
    """Functions that a module defines itself."""
    own = inspect.getmembers(module, inspect.isfunction)
    return [name for name, function in own if function.__module__ == module.__name__]


def _sources(module: ModuleType, networks: tuple[nn.Module, ...]) -> Iterator[Path]:
    root = sys.modules[module.__name__.partition(".")[0]]
    for folder in getattr(root, "__path__", []):
        yield from Path(folder).rglob("*.py")
    if not hasattr(root, "__path__") and root.__file__:
        yield Path(root.__file__)
    classes = {type(part) for network in networks for part in network.modules()}
    for one in classes:
        if one.__module__.partition(".")[0] != "torch":
            yield from _file_of(one)


def _file_of(one: type) -> list[Path]:
    try:
        return [Path(inspect.getfile(one))]
    except (TypeError, OSError):  # made in C, or typed in
        return []


def _file_sha256(path: Path, target: str) -> str:
    if not path.is_file():
        raise UserError(f"{target}: no file {path}, which its model names among its files")
    return sha256_of(path)


def weights_sha256(network: nn.Module) -> str:
    """Of names, types, shapes and values of all tensors that a network keeps.

    What else it may keep, as neuraloperator's keep what they were made with, decides nothing that
    shapes and source do not, and has no form that is the same in every process.
    """
    found = sha256()
    for name, value in sorted(network.state_dict().items()):
        if isinstance(value, torch.Tensor):
            plain = value.detach().cpu().contiguous()
            found.update(f"{name} {plain.dtype} {tuple(plain.shape)}".encode())
            found.update(plain.flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
