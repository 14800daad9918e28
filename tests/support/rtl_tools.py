"""Marks of tests that run the open RTL tools."""

import shutil

import pytest

from sparsepix_hls.rtl.tools.synthesis import yosys_command

needs_verilator = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("verilator", "make", "g++")),
    reason="needs Verilator, make and g++: apt install verilator make g++",
)
needs_yosys = pytest.mark.skipif(yosys_command([]) is None, reason="needs Yosys: pip install pyosys")
