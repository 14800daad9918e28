"""The HLS projects that the authors of SparsePixels published: kernels, and what Vitis HLS reported of each layer.

Reads https://github.com/hftsoi/sparse-pixels from a git repository on this machine, in which every project has its C++
and the reports of C synthesis; nothing of it is part of this repository.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from posixpath import basename

TOPS = ("hls_dummy", "myhls")
KINDS = ("sparse_input_reduce", "sparse_conv", "sparse_pooling_avg", "sparse_flatten")
_CALL = re.compile(r"^ +(sparse_\w+)<(.*?)>\((.*?)\);", re.MULTILINE)
_LOCAL = re.compile(r"^ +([\w<>]+(?:<\d+>)?) (\w+)\[([^\]]*)\];", re.MULTILINE)
_LOOP_ROW = re.compile(r"\|- (\w+)\s*\|" + r"\s*(\d+)\|" * 6)
_MACRO = re.compile(r"^#define (\w+) (\d+)", re.MULTILINE)
_PORT = re.compile(r"^ +(\w+) (\w+)\[([^\]]*)\],?$", re.MULTILINE)
_WEIGHTS = re.compile(r"(\w+) (\w+)\[(\d+)\] = \{(.*?)\};")
_DEFINES = re.compile(r"^#(include|ifndef|endif|define DEFINES_H_).*$", re.MULTILINE)
_PIPELINED = re.compile(r"(for \(int \w+ = 0; \w+ < )(\w+)(; \w+\+\+\) \{\s*#pragma HLS PIPELINE)")
_PARTLY = re.compile(r"for \(int (\w+) = 0; \1 < (\w+); (\1\+\+)\) \{\s*#pragma HLS UNROLL factor=(\d+)")
_LATENCY = re.compile(r"Latency \(cycles\).*\n.*\n.*\n\s*\|\s*(\d+)\|\s*(\d+)\|")
_TOTAL = re.compile(r"\|Total\s*\|\s*(\d+)\|\s*(\d+)\|\s*(\d+)\|\s*(\d+)\|")


@dataclass(frozen=True)
class Report:
    """What Vitis HLS says of a layer.

    Args:
        latency_cycles: of the function: its states less one.
        loop: depth and interval of its pipelined loop, None if it has none.
        trips: iterations of the loop.
        dsp, ff, lut: of C synthesis.
    """

    latency_cycles: int
    loop: tuple[int, int] | None
    trips: int
    dsp: int
    ff: int
    lut: int


@dataclass(frozen=True)
class Layer:
    """A layer of a published project.

    Args:
        project: its folder in the repository.
        kind: function of the layer.
        values: numbers of its template, as the names of reports have them.
        report: of Vitis HLS.
        source: C++ that has the layer as the function ``stage``.
    """

    project: str
    kind: str
    values: tuple[int, ...]
    report: Report
    source: str

    @property
    def name(self) -> str:
        """For a table."""
        return f"{self.project.removeprefix('hls_proj/')} {self.kind}{list(self.values)}"


class Projects:
    """The projects of a git repository.

    Args:
        repository: its folder; a bare one will do.
    """

    def __init__(self, repository: Path) -> None:
        self.repository = repository
        listed = self._git("ls-tree", "-r", "--name-only", "HEAD", "hls_proj").splitlines()
        self.files = [name for name in listed if "/templates/" not in name]
        self.folders: dict[str, list[str]] = {}
        for name in self.files:
            for part in ("/firmware/", "_prj/"):
                if part in name and "nnet_utils" not in name and "ap_types" not in name:
                    folder = (
                        name.split("/firmware/")[0]
                        if part == "/firmware/"
                        else name.split("_prj/")[0].rsplit("/", 1)[0]
                    )
                    self.folders.setdefault(folder, []).append(name)
                    break

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.repository), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, errors="replace").stdout

    def text(self, name: str) -> str:
        """A file; empty if the copy of the repository lacks it."""
        try:
            return self._git("show", f"HEAD:{name}")
        except subprocess.CalledProcessError:
            return ""

    def layers(self, folder: str) -> Iterator[Layer]:
        """The layers of a project that have a report, with the C++ of each as a function of its own."""
        texts = {basename(n): self.text(n) for n in self.folders[folder] if n.endswith((".cpp", ".h"))}
        code = next((texts[f"{top}.cpp"] for top in TOPS if texts.get(f"{top}.cpp")), "")
        macros = {m[1]: int(m[2]) for m in _MACRO.finditer(texts.get("defines.h", ""))}
        for call in _CALL.finditer(code):
            if call[1] not in KINDS:
                continue
            values = tuple(_value(text, macros) for text in _split(call[2]))
            numbers = tuple(v for v in values if v is not None)
            report = self._report(folder, call[1], numbers)
            if report is not None:
                yield Layer(folder, call[1], numbers, report, _stage(code, texts, call, macros))

    def _report(self, folder: str, kind: str, values: tuple[int, ...]) -> Report | None:
        """The report whose name ends with these values; a number of a clone may follow."""
        ends = re.compile(f"{kind}_[a-z].*_{'_'.join(map(str, values))}(_s|\\d+|_\\d+)?_csynth.rpt")
        name = next((n for n in self.folders[folder] if ends.fullmatch(basename(n))), None)
        text = self.text(name) if name else ""
        if not text:
            return None
        inner = basename(name).removesuffix("_csynth.rpt").removesuffix("_s")
        loops = (n for n in self.folders[folder] if basename(n).startswith(f"{inner}_Pipeline") and n.endswith(".rpt"))
        latency, total = _LATENCY.search(text), _TOTAL.search(text)
        loop = _LOOP_ROW.search("".join(self.text(n) for n in loops) or text)
        _, dsp, ff, lut = (int(n) for n in total.groups())
        return Report(
            int(latency[2]), (int(loop[4]), int(loop[5])) if loop else None, int(loop[7]) if loop else 1, dsp, ff, lut
        )


def _split(text: str) -> list[str]:
    """Arguments of a template or a call: split at the commas that are in no brackets."""
    return [part.strip() for part in re.split(r",(?![^<(]*[>)])", text)]


def _value(text: str, macros: dict[str, int]) -> int | None:
    """A template argument that is a number, else None."""
    names = set(re.findall(r"[A-Za-z_]\w*", text))
    if names - macros.keys():
        return None
    return int(eval(re.sub(r"[A-Za-z_]\w*", lambda m: str(macros[m[0]]), text), {"__builtins__": {}}))


def _stage(code: str, texts: dict[str, str], call: re.Match[str], macros: dict[str, int]) -> str:
    """The C++ of one call as a function ``stage``: its arrays are ports, which it copies in and out."""
    top = code.index("void hls_dummy(") if "void hls_dummy(" in code else code.index("void myhls(")
    kernels = re.sub(r"^#include .*$", "", code[:top], flags=re.MULTILINE)
    arrays = {m[2]: (m[1], m[3]) for m in _LOCAL.finditer(code[top:])}
    arrays |= {m[2]: (m[1], m[3]) for m in _PORT.finditer(code[top : code.index(")", top)])}
    weights = "".join(
        m.expand(r"const \1 \2[\3] = {\4};\n") for text in texts.values() for m in _WEIGHTS.finditer(text)
    )
    names = _split(call[3])
    mask = (1 << max(macros["N_INPUT_1_1"], macros["N_INPUT_2_1"]).bit_length()) - 1
    ports, before, after = [], [], []
    for name in names:
        if name in arrays and f" {name}[" not in weights:
            kind, size = arrays[name]
            ports.append(f"{kind} port_{name}[{size}]")
            # Vitis HLS knows that the coordinates come from an image and keeps the bits that they need.
            kept = f" & {mask}" if kind.startswith("ap_uint") else ""
            before.append(f"{kind} {name}[{size}]; for (int i = 0; i < {size}; i++) {name}[i] = port_{name}[i]{kept};")
            after.append(f"for (int i = 0; i < {size}; i++) port_{name}[i] = {name}[i];")
    scalar = next((m[0] for m in re.finditer(r"^ +\w+ active_threshold = .*;", code, re.MULTILINE)), "")
    # The kernels take weights as arrays that they might write: constants have to stay constants.
    kernels = re.sub(r"\b([wb]_T) (\w+)\[", r"const \1 \2[", kernels)
    return (
        f'#include "ap_fixed.h"\n#include "ap_int.h"\n{_DEFINES.sub("", texts["defines.h"])}\n{weights}\n'
        f"{_unrolled(kernels)}\nvoid stage({', '.join(ports)}) {{\n{scalar}\n{' '.join(before)}\n"
        f"{call[1]}<{call[2]}>({call[3]});\n{' '.join(after)}\n}}\n"
    )


def _unrolled(kernels: str) -> str:
    """The loops as the pragmas want them: pipelined ones of an unknown length, those unrolled in part as two."""
    kernels = _PIPELINED.sub(r"\1sparsepix_trips(\2)\3", kernels)
    return _PARTLY.sub(
        r"for (int part = 0; part < sparsepix_trips((\2 + \4 - 1) / \4); part++)\n"
        r"for (int within = 0; within < \4; within++) { const int \1 = part * \4 + within; if (\1 >= \2) continue;\n",
        kernels,
    )
