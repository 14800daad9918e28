"""Tests that need a tool or a file are skipped where it is missing; what they need is said by markers."""

import os
import shutil

import pytest

from needs import NEEDS

# Simulations of tests are built more often than they are run: not optimised, and files that are the same in all (those
# of Verilator itself) compiled once.
os.environ.setdefault("OPT_FAST", "-O0")
if shutil.which("ccache"):
    os.environ.setdefault("OBJCACHE", "ccache")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skips = {marker: pytest.mark.skip(reason=need.how) for marker, need in NEEDS.items() if not need.here()}
    for item in items:
        for marker, skip in skips.items():
            if item.get_closest_marker(marker):
                item.add_marker(skip)


@pytest.fixture
def as_synthesis(monkeypatch: pytest.MonkeyPatch) -> None:
    """``compile("ap_fixed")`` builds the kernels as a synthesis tool reads them."""
    from sparsepix_hls.cpp import project
    from sparsepix_hls.project import toolchain

    monkeypatch.setitem(project._FLAGS, "ap_fixed", ("-O0", "-DSPARSEPIX_SYNTHESIS", *toolchain.FLAGS))
