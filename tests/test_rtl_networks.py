"""Whole random networks as simulated RTL; ``rtl_networks.py`` runs more of them, and the published events."""

import pytest

from all_combinations import random_model
from rtl_networks import DESIGNS, differences, in_raster_order
from rtl_tools import needs_verilator
from sparsepix_hls.report import read_report

CHOSEN = (0, 3, 5)  # designs that cover both scans, rounds, and both ports


@needs_verilator
@pytest.mark.parametrize("design", CHOSEN)
def test_network(design, tmp_path):
    number = 10 * design
    path, images, expected = random_model(number, tmp_path)
    while not in_raster_order(path):
        number += 1
        path, images, expected = random_model(number, tmp_path)
    found, measured, project = differences(path, images, expected, DESIGNS[design], tmp_path / "rtl")
    assert set(found) == {"predict", "back to back", "stalls", "resets", "stalls and resets"}
    assert not any(found.values()), found
    assert measured.latency_cycles >= measured.tail_cycles > 0
    # The estimate of the clocks is none: it follows from the structure. Images with few pixels may be quicker.
    estimated = read_report(project.directory)["estimate"]["total"]
    assert measured.latency_cycles == estimated["latency_cycles"]
    assert measured.interval_cycles == estimated["interval_cycles"]
