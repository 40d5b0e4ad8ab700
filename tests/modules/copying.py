"""The module `copy`, and the controller's half of it."""

import hashlib
import os

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")


def sha1(data):
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
