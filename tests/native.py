"""A module of rfc6455 loaded once more, beside native functions that a test makes up."""

import importlib.util
import sys
from types import ModuleType

import pytest


def load_beside(module: ModuleType, native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load it as it is where that is what was built."""
    assert module.__file__ is not None
    monkeypatch.setitem(sys.modules, "rfc6455._native", native)
    spec = importlib.util.spec_from_file_location(module.__name__, module.__file__)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
