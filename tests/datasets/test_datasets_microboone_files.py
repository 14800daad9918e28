"""Files of the MicroBooNE open samples that are missing, damaged or not as documented: each is named with its fault."""

import h5py
import numpy as np
import pytest

import sparsepix as sp
from data_files import Event, neutrino_event, write_microboone
from sparsepix.datasets import microboone


def test_files_that_are_missing_are_all_named_with_where_to_get_them(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(sp.SparsePixError) as caught:
        microboone([tmp_path / "nue.h5", tmp_path / "empty"], tmp_path / "bnb.h5", tmp_path / "cache")
    problems = caught.value.problems
    assert [problem.split(":")[0] for problem in problems[:2]] == ["signal", "signal"]
    assert f"{tmp_path / 'empty'}: expected files *.h5 in this folder, found none" in problems[1]
    assert sum("10.5281/zenodo.7262009" in problem for problem in problems) == 1
    assert f"background: {tmp_path / 'bnb.h5'}: there is no such file" in problems
    assert not (tmp_path / "cache").exists()


def test_tables_that_are_not_right_are_all_named(tmp_path):
    events = [neutrino_event(1, (1, 0, 0), wires=2)]
    no_columns = write_microboone(
        tmp_path / "a.h5", events, without=("hit_table/rms", "wire_table/local_wire", "edep_table/g4_id")
    )
    shapes = write_microboone(
        tmp_path / "b.h5", events, without=("wire_table/adc", "hit_table/hit_id", "hit_table/rms")
    )
    with h5py.File(shapes, "a") as file:
        file["wire_table/adc"] = np.zeros((9, 3200), dtype=np.float32)
        file["hit_table/hit_id"] = np.zeros((3, 1), dtype=np.int32)
        file["hit_table/rms"] = np.full((len(events[0].hits), 1), b"1.0")
    (tmp_path / "c.h5").write_bytes(b"<html>not found</html>")
    whole = write_microboone(tmp_path / "whole.h5", events).read_bytes()
    (tmp_path / "d.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(sp.SparsePixError) as caught:
        microboone([no_columns, shapes, tmp_path / "c.h5"], tmp_path / "d.h5", tmp_path / "cache")
    text = str(caught.value)
    for expected in (
        f"{no_columns}: hit_table/rms: expected numbers of shape (rows, 1), found no such column",
        f"{no_columns}: wire_table/local_wire: expected",
        f"{no_columns}: edep_table/g4_id: expected",
        f"{shapes}: wire_table/adc: expected shape (rows, 6400), found (9, 3200)",
        f"{shapes}: hit_table/rms: expected numbers, found the type |S3",
        f"{shapes}: expected as many rows in each of these columns, found hit_table/event_id ",
        f"{tmp_path / 'c.h5'}: expected a whole HDF5 file",
        f"{tmp_path / 'd.h5'}: expected a whole HDF5 file",
    ):
        assert expected in text
    assert not list((tmp_path / "cache").glob("*"))


def test_events_without_a_neutrino_give_no_windows(tmp_path):
    events = [neutrino_event(seed, (1, 0, seed)) for seed in range(2)]
    path = write_microboone(tmp_path / "data.h5", events, without=("edep_table",))
    good = write_microboone(tmp_path / "good.h5", events)
    with pytest.raises(sp.SparsePixError, match=r"expected signal windows, found none: .*500 pixels.*edep_table"):
        microboone(path, good, tmp_path / "cache")


def test_a_damaged_block_is_found(tmp_path):
    events = [neutrino_event(1, (1, 0, 0), wires=8)]
    path = write_microboone(tmp_path / "a.h5", events, chunks=4)
    with h5py.File(path) as file:
        chunk = file["wire_table/adc"].id.get_chunk_info(2)
    content = bytearray(path.read_bytes())
    for place in range(20, 60):
        content[chunk.byte_offset + place] ^= 0x5A
    path.write_bytes(content)
    with pytest.raises(sp.SparsePixError, match="expected a whole HDF5 file, found one that cannot be read") as caught:
        microboone(path, path, tmp_path / "cache")
    assert str(path) in str(caught.value)


def test_too_few_events_to_share_out(tmp_path):
    path = write_microboone(tmp_path / "a.h5", [neutrino_event(seed, (1, 0, seed), planes=(2,)) for seed in range(2)])
    with pytest.raises(sp.SparsePixError, match="expected at least 3 events to share out, found 2"):
        microboone(path, path, tmp_path / "cache")


def broken_event(kind):
    event = neutrino_event(1, (1, 0, 0), wires=3)
    (plane, wire), waveform = next(iter(event.wires.items()))
    if kind == "wire":
        event.wires[plane, 2400] = waveform
    elif kind == "plane":
        event.wires[3, wire] = waveform
    elif kind == "adc":
        event.wires[plane, wire] = np.full(6400, np.nan, dtype=np.float32)
    elif kind == "hit wire":
        event.hits.append((99, 2, 3456, 10.0, 1.0))
    elif kind == "rms":
        event.hits.append((99, 2, 0, 10.0, float("inf")))
    return event


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("wire", r"wire_table/local_wire: expected 0 \.\.\. 2399 in plane 0, found 2400"),
        ("plane", "wire_table/local_plane: expected 0, 1 or 2, found 3"),
        ("adc", r"wire_table/adc: expected finite values, found others in event \(1, 0, 0\)"),
        ("hit wire", r"hit_table/local_wire: expected 0 \.\.\. 3455 in plane 2, found 3456"),
        ("rms", "expected finite local_time and rms"),
    ],
)
def test_values_that_cannot_be(tmp_path, kind, message):
    path = write_microboone(tmp_path / "a.h5", [broken_event(kind)])
    with pytest.raises(sp.SparsePixError, match=message) as caught:
        microboone(path, path, tmp_path / "cache")
    assert str(path) in str(caught.value)
    assert not list((tmp_path / "cache").glob("*"))


@pytest.mark.parametrize("table", ["wire_table", "hit_table"])
def test_an_event_in_several_pieces_is_refused(tmp_path, table):
    first, second = neutrino_event(1, (1, 0, 0), wires=2), neutrino_event(2, (1, 0, 1), wires=2)
    again = Event((1, 0, 0))
    if table == "wire_table":
        again.wires = first.wires
    else:
        again.hits = first.hits
    path = write_microboone(tmp_path / "a.h5", [first, second, again])
    with pytest.raises(sp.SparsePixError, match=rf"{table}: expected the rows of event \(1, 0, 0\) one after another"):
        microboone(path, path, tmp_path / "cache")
