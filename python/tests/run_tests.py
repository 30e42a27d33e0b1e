#!/usr/bin/env python3
"""Runs the tests of this folder with pytest; exit code 77 (skipped) where a module for them is missing."""

import importlib.util
import sys
from pathlib import Path

missing = [name for name in ("numpy", "pytest") if importlib.util.find_spec(name) is None]
if missing:
    print(f"skipped: {sys.executable} has no {' and no '.join(missing)} (Debian: python3-numpy, python3-pytest)")
    sys.exit(77)

import pytest

sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", str(Path(__file__).parent), *sys.argv[1:]]))
