"""What the tests of ``predict`` share: one small model, compiled as RTL and as firmware."""

import pytest

from predict_projects import compiled_project


@pytest.fixture(scope="module")
def rtl(tmp_path_factory):
    return compiled_project(tmp_path_factory.mktemp("rtl"), "rtl")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The model of ``rtl`` as firmware."""
    return compiled_project(tmp_path_factory.mktemp("small"), "hls")
