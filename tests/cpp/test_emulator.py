"""make lib: the model for other software, by a plain C interface."""

import re
import subprocess

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

import sparsepix as sp
import sparsepix_hls

pytestmark = pytest.mark.gxx
STRICT = ("-Wall", "-Wextra", "-pedantic", "-Werror")
# Several threads at once, each in calls of several threads; every call of all events.
CALLER = """
#include "NAME_emulator.h"
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

int main(int, char **arguments) {
  const long long events = std::atoll(arguments[1]);
  std::vector<float> images(events * INPUTS);
  std::vector<double> wide(images.size());
  FILE *file = std::fopen("images", "rb");
  if (std::fread(images.data(), sizeof(float), images.size(), file) != images.size()) {
    return 1;
  }
  std::vector<std::vector<double>> results(4, std::vector<double>(events * OUTPUTS));
  for (std::size_t i = 0; i < images.size(); i++) {
    wide[i] = images[i];
  }
  std::vector<std::thread> threads;
  std::vector<int> status(4, -1);
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      status[t] = t % 2 ? NAME_emulate_double(wide.data(), results[t].data(), events, t)
                        : NAME_emulate(images.data(), results[t].data(), events, t);
    });
  }
  for (auto &thread : threads) {
    thread.join();
  }
  for (const auto &result : results) {
    std::fwrite(result.data(), sizeof(double), result.size(), stdout);
  }
  return status[0] | status[1] | status[2] | status[3];
}
"""


class Heads(nn.Module):
    """Two results, of other formats."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            sp.QuantIdentity(sp.FixedPoint(8, 1)), sp.SparseInputReduce(6),
            sp.SparseConv2d(2, 2, 3, weight_format=sp.FixedPoint(6, 1)),
            sp.SparseReLU(sp.FixedPoint(6, 2, signed=False)),
            sp.SparseFlatten(),
        )  # fmt: skip
        self.first = sp.QuantLinear(2 * 5 * 7, 3, weight_format=sp.FixedPoint(5, 1))
        self.second = nn.Sequential(
            sp.QuantLinear(2 * 5 * 7, 1, weight_format=sp.FixedPoint(6, 0)), sp.QuantIdentity(sp.FixedPoint(12, 9))
        )

    def forward(self, x):
        found = self.body(x)
        return {"inputs": self.first(found), "energy": self.second(found)}


@pytest.fixture(scope="module", params=["one result", "two results"])
def project(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    torch.manual_seed(0)
    model, shape = (sp.models.muon(8), None) if request.param == "one result" else (Heads(), (2, 5, 7))
    sp.export_onnx(model, folder / "trigger.onnx", shape)
    project = sparsepix_hls.translate(folder / "trigger.onnx", folder / "firmware")
    subprocess.run(["make", "-s", "-C", project.directory, "lib"], check=True)
    return project


def header(project):
    return (project.directory / "build/trigger_emulator.h").read_text()


def build(project, folder, source, compiler="g++", suffix="cpp", options=()):
    (folder / f"main.{suffix}").write_text(source)
    library = project.directory / "build"
    links = [f"-L{library}", "-ltrigger_emulator", f"-Wl,-rpath,{library}"]
    command = [compiler, *STRICT, *options, f"main.{suffix}", f"-I{library}", *links, "-pthread", "-o", "main"]
    subprocess.run(command, cwd=folder, check=True)
    return [folder / "main"]


def of(project, name):
    return int(re.search(rf"#define TRIGGER_{name} (-?\d+)", header(project))[1])


@pytest.mark.parametrize(("compiler", "suffix", "options"), [("g++", "cpp", ()), ("gcc", "c", ("-std=c99",))])
def test_the_example_in_the_header(project, tmp_path, compiler, suffix, options):
    example = header(project).split("*/")[0].split(" *\n")[1]
    lines = [line.removeprefix(" *     ") for line in example.splitlines()]
    assert lines[0].startswith("#include")
    assert len(lines) <= 10
    done = subprocess.run(
        build(project, tmp_path, "\n".join(lines) + "\n", compiler, suffix, options), check=True, capture_output=True
    )
    project.compile()
    empty = project.predict(np.zeros((1, *project.graph.input.shape), np.float32))
    first = np.ravel(next(iter(empty.values())) if isinstance(empty, dict) else empty)[0]
    assert float(done.stdout) == pytest.approx(first, rel=1e-5)


def test_the_same_bits_from_many_threads(project, tmp_path):
    rng = np.random.default_rng(1)
    shape = project.graph.input.shape
    images = (rng.normal(size=(300, *shape)) * (rng.random((300, *shape)) < 0.1)).astype(np.float32)
    images[0], images[1] = 0, 3.0
    images.tofile(tmp_path / "images")
    source = CALLER.replace("NAME", "trigger").replace("INPUTS", "TRIGGER_INPUTS").replace("OUTPUTS", "TRIGGER_OUTPUTS")
    done = subprocess.run([*build(project, tmp_path, source), "300"], cwd=tmp_path, check=True, capture_output=True)
    project.compile()
    expected = project.predict(images)
    if isinstance(expected, dict):
        expected = np.concatenate(list(expected.values()), axis=1)
    found = np.frombuffer(done.stdout).reshape(4, 300, -1)
    assert found.shape[2] == of(project, "OUTPUTS")
    for result in found:
        assert_array_equal(result, expected)
    images[7, 0, 0, 0] = np.nan
    images.tofile(tmp_path / "images")
    assert subprocess.run([tmp_path / "main", "300"], cwd=tmp_path, capture_output=True).returncode == 1


def test_what_the_header_says(project):
    assert (of(project, "CHANNELS"), of(project, "HEIGHT"), of(project, "WIDTH")) == project.graph.input.shape
    assert of(project, "INPUTS") == np.prod(project.graph.input.shape)
    places = re.findall(r"#define TRIGGER_FIRST_(\w+) (\d+) /\* first of (\d+)", header(project))
    assert places == ([("INPUTS", "0", "3"), ("ENERGY", "3", "1")] if len(project.graph.outputs) > 1 else [])
    assert not re.search(r"@\w+@|ap_int|#include <(?!stdint)", header(project).replace("<stdio.h>", "<stdint.h>"))


def test_nothing_else_is_seen_from_outside(project):
    library = project.directory / "build/libtrigger_emulator.so"
    listed = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True)
    names = {line.split()[-1] for line in listed.stdout.splitlines() if line.split()[-2] == "T"}
    emulate = {f"trigger_emulate{kind}" for kind in ("", "_double", "_raw")}
    assert names == {"trigger_interface", *emulate, *(f"trigger_run{kind}" for kind in ("", "_float", "_double"))}
