"""Packages of others, imported without their warnings; what is not installed skips a test file."""

import importlib
import warnings
from types import ModuleType

import pytest


def outside(name: str, extra: str) -> ModuleType:
    """A module of a package that only an extra brings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError as error:
            pytest.skip(f"{name}: {error}; it comes with moe-pot[{extra}]", allow_module_level=True)
