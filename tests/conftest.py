"""Tests that need a tool or a file are skipped where it is missing; what they need is said by markers."""

import pytest

from needs import NEEDS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skips = {marker: pytest.mark.skip(reason=need.how) for marker, need in NEEDS.items() if not need.here()}
    for item in items:
        for marker, skip in skips.items():
            if item.get_closest_marker(marker):
                item.add_marker(skip)
