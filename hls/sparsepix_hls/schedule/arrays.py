"""Arrays that are read or written at a place that only data tell: of registers, so a multiplexer or enables."""

import math
import re
from dataclasses import dataclass, replace

from sparsepix_ops.errors import SparsePixError

CHOICE = "sparsepix_choice"  # reading an element: the index and then all elements
WRITTEN = "sparsepix_written"  # an element afterwards: the index, what is written, the element before
_STRUCT = re.compile(r"^(%\S+|%\".*?\") = type <?\{(.*)\}>?$", re.MULTILINE)
_ALLOCA = re.compile(r"^  (%\S+) = alloca (.+?)(?:, align \d+)?$")
_PLACE = re.compile(r"^  (%\S+) = getelementptr (?:inbounds |nuw |nusw )*(.+), ptr (%\S+), (i\d+ .+)$")
_LOAD = re.compile(r"^  (?P<value>%\S+) = load (?P<kind>i\d+), ptr (?P<place>%[\w.$-]+), align (?P<align>\d+)")
_STORE = re.compile(r"^  store (?P<kind>i\d+) (?P<value>\S+), ptr (?P<place>%[\w.$-]+), align (?P<align>\d+)")
_EITHER = re.compile(r"^  (%\S+) = select i1 \S+, i\d+ (%[\w.$-]+|-?\d+), i\d+ (%[\w.$-]+|-?\d+)$")
_MERGED = re.compile(r"^  (%\S+) = phi i(?:[2-9]|\d\d+) (.*)$")
_ARM = re.compile(r"\[ (%[\w.$-]+|-?\d+), ")
_MASKED = re.compile(r"^  (%\S+) = and i\d+ %\S+, (\d+)$")
_MOVED = re.compile(r"^  (%\S+) = (add|or|xor|shl|lshr) (?:nuw |nsw |disjoint |exact )*i\d+ (%\S+), (-?\d+)$")
_WIDENED = re.compile(r"^  (%\S+) = zext (?:nneg )?(i\d+) (%\S+) to i\d+$")
_PRODUCT = re.compile(r"^  (%\S+) = mul (?:nuw nsw|nuw|nsw) i\d+ %\S+, (\d+)$")
_RAISED = re.compile(r"^  (%\S+) = add (?:nuw nsw|nuw|nsw) i\d+ (%\S+), (-?\d+)$")
_EXTENDED = re.compile(r"^  (%\S+) = (?:zext nneg|sext|zext) i\d+ (%\S+) to i\d+$")
_INDEXED = re.compile(
    rf"(?P<name>%\S+) = (?:tail )?call (?P<kind>i\d+) @(?P<function>{CHOICE}|{WRITTEN})\.i\d+(?P<numbers>[.\d-]+)"
    r"\(i64 (?P<index>-?\d+), (?P<values>[^)]*)\)(?: #\d+)?"
)
_NAME = re.compile(r"%[\w.$-]+")


@dataclass(frozen=True)
class _Place:
    """An address within an array: bytes from its begin, and an index with the bytes of a step.

    Of some indices a few values are all that they can have, or the highest one is known, or that they are multiples of
    a number and a rest: LLVM makes a choice between two elements one between their places.
    """

    array: str
    offset: int
    index: str | None = None
    step: int = 0
    few: tuple[int, ...] | None = None
    highest: int | None = None
    multiple: tuple[int, int] = (1, 0)


def split_arrays(text: str) -> str:
    """Make a variable of every element of an array.

    An array of registers has no address: reading at an index is a multiplexer of all elements, which becomes a call of
    ``CHOICE``; writing is an enable for each element, a call of ``WRITTEN``.

    Args:
        text: the IR of a module whose loops are unrolled.

    Returns:
        The IR. Arrays that something else than loads and stores of the same words uses are as they were, but for what
        is at an index.

    Raises:
        SparsePixError: an array of something else than integers.
    """
    sizes = _Sizes(text)
    choices: set[str] = set()
    parts = re.split(r"(?m)^(define [^\n]*\{\n)(.*?)(^\}\n)", text, flags=re.DOTALL)
    for k in range(2, len(parts), 4):
        parts[k] = _split(parts[k], sizes, choices)
    return "".join([*parts, *(f"{choice}\n" for choice in sorted(choices))])


def resolve(text: str) -> str:
    """Replace reads and writes whose index turned out to be constant by the element."""

    def element(m: re.Match[str]) -> str:
        kind, index = m["kind"], int(m["index"])
        values = [value.split()[-1] for value in m["values"].split(", ")]
        if m["function"] == WRITTEN:
            value = values[0] if index == int(m["numbers"].split(".")[-1]) else values[1]
        else:
            number = index - int(m["numbers"].split(".")[-1])
            value = values[number] if 0 <= number < len(values) else "poison"
        return f"{m['name']} = or {kind} {value}, 0"

    return _INDEXED.sub(element, text)


def _split(body: str, sizes: "_Sizes", choices: set[str]) -> str:
    """The lines of a function; the functions that it now calls are added to ``choices``."""
    lines = body.splitlines(keepends=True)
    arrays: dict[str, int] = {}
    places: dict[str, _Place] = {}
    sums: dict[str, str] = {}
    (few, highest), multiples = _values(lines), _multiples(lines)
    for line in lines:
        if m := _ALLOCA.match(line):
            arrays[m[1]] = sizes.bytes(m[2])
            places[m[1]] = _Place(m[1], 0)
        elif (m := _PLACE.match(line)) and m[3] in places:
            place, sums[m[1]] = sizes.place(places[m[3]], m[2], m[4], m[1])
            index = place.index or ""
            multiple = multiples.get(index, (1, 0))
            places[m[1]] = replace(place, few=few.get(index), highest=highest.get(index), multiple=multiple)
    words = _words(lines, arrays, places)
    found: list[str] = []
    for number, line in enumerate(lines):
        if (m := _ALLOCA.match(line)) and m[1] in words:
            found += [f"  {_variable(m[1], offset)} = alloca {kind}\n" for offset, kind in words[m[1]].items()]
            continue
        if (m := _PLACE.match(line)) and m[1] in places:
            found.append(sums[m[1]])
            if places[m[1]].array in words:
                continue
        if "call void @llvm.lifetime" in line and any(name in places for name in re.findall(_NAME, line)):
            continue
        m = _LOAD.match(line) or _STORE.match(line)
        if not m or m["place"] not in places:
            found.append(line)
            continue
        at, kind = places[m["place"]], m["kind"]
        split = at.array in words
        variable = f"%at{number}.{{}}"
        elements = _elements(at, arrays[at.array], m)
        if split:
            variable = _variable(at.array, "{}")
        elif at.index:
            found += [f"  {variable.format(o)} = getelementptr i8, ptr {at.array}, i64 {o}\n" for _, o in elements]
        if at.index is None:
            found.append(line.replace(f"ptr {m['place']}", f"ptr {variable.format(at.offset)}", 1) if split else line)
            continue
        if not elements:  # only reached where the C++ asks for nothing
            found += [f"  {m['value']} = or {kind} 0, 0\n"] if m.re is _LOAD else []
            continue
        old = [f"%old{number}.{k}" for k, _ in elements]
        found += [
            f"  {name} = load {kind}, ptr {variable.format(o)}, align 1\n"
            for name, (_, o) in zip(old, elements, strict=True)
        ]
        if m.re is _LOAD and at.few:
            value = old[0]
            for name, (k, _) in zip(old[1:], elements[1:], strict=True):
                found.append(f"  %this{number}.{k} = icmp eq i64 {at.index}, {k}\n")
                found.append(f"  {name}.or = select i1 %this{number}.{k}, {kind} {name}, {kind} {value}\n")
                value = f"{name}.or"
            found.append(f"  {m['value']} = or {kind} {value}, 0\n")
            continue
        if m.re is _LOAD:
            function = f"@{CHOICE}.{kind}.{len(old)}.{elements[0][0]}"  # the index of the first
            choices.add(
                f"declare {kind} {function}(i64, {', '.join([kind] * len(old))}) memory(none) nounwind willreturn"
            )
            values = ", ".join(f"{kind} {name}" for name in old)
            found.append(f"  {m['value']} = call {kind} {function}(i64 {at.index}, {values})\n")
            continue
        for name, (k, o) in zip(old, elements, strict=True):
            function = f"@{WRITTEN}.{kind}.{k}"
            choices.add(f"declare {kind} {function}(i64, {kind}, {kind}) memory(none) nounwind willreturn")
            found += [
                f"  %new{number}.{k} = call {kind} {function}(i64 {at.index}, {kind} {m['value']}, {kind} {name})\n",
                f"  store {kind} %new{number}.{k}, ptr {variable.format(o)}, align 1\n",
            ]
    return "".join(found)


def _values(lines: list[str]) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    """The values of those numbers that can have but a few, and the highest one of others."""
    few: dict[str, tuple[int, ...]] = {}
    highest: dict[str, int] = {}
    for line in lines:
        if m := _EITHER.match(line) or _MERGED.match(line):
            given = _ARM.findall(m[2]) if m.re is _MERGED else m.groups()[1:]
            arms = [few.get(arm, ()) if arm.startswith("%") else (int(arm),) for arm in given]
            if all(arms):
                few[m[1]] = tuple(sorted({value for arm in arms for value in arm}))
        elif (m := _MASKED.match(line)) and (mask := int(m[2])).bit_count() <= 3:
            few[m[1]] = tuple(_parts(mask))
        elif m := _WIDENED.match(line):
            bits = int(m[2][1:])
            highest[m[1]] = (1 << bits) - 1
            if bits == 1 or m[3] in few:
                few[m[1]] = few.get(m[3], (0, 1))
        elif (m := _MOVED.match(line)) and m[3] in few:
            by = int(m[4])
            move = {"add": int.__add__, "or": int.__or__, "xor": int.__xor__, "shl": int.__lshift__}
            shift = move.get(m[2], int.__rshift__)
            few[m[1]] = tuple(sorted({shift(k, by) for k in few[m[3]]}))
    return few, highest


def _multiples(lines: list[str]) -> dict[str, tuple[int, int]]:
    """Of numbers that are multiples of another one, and a rest, these two."""
    found: dict[str, tuple[int, int]] = {}
    for line in lines:
        if m := _PRODUCT.match(line):
            found[m[1]] = (int(m[2]), 0)
        elif (m := _RAISED.match(line)) and m[2] in found:
            factor, rest = found[m[2]]
            found[m[1]] = (factor, (rest + int(m[3])) % factor)
        elif (m := _EXTENDED.match(line)) and m[2] in found:
            found[m[1]] = found[m[2]]
    return found


def _parts(mask: int) -> list[int]:
    """The numbers that have no other bits than a mask."""
    found = [0]
    while mask:
        bit = mask & -mask
        found += [k | bit for k in found]
        mask -= bit
    return sorted(found)


def _words(lines: list[str], arrays: dict[str, int], places: dict[str, _Place]) -> dict[str, dict[int, str]]:
    """The words of each array by their offsets, of the arrays that consist of words that never overlap."""
    words: dict[str, dict[int, str]] = {array: {} for array in arrays}
    for line in lines:
        if _ALLOCA.match(line) or "call void @llvm.lifetime" in line:
            continue
        m = _LOAD.match(line) or _STORE.match(line)
        used = set(re.findall(_NAME, line)) & places.keys()
        if m and m["place"] in places and used == {m["place"]}:
            at = places[m["place"]]
            for _, offset in _elements(at, arrays[at.array], m) if at.index else [(0, at.offset)]:
                if at.array in words and words[at.array].setdefault(offset, m["kind"]) != m["kind"]:
                    del words[at.array]
        elif not (_PLACE.match(line) and len(used) == 2):
            for name in used:
                words.pop(places[name].array, None)
    for array in list(words):
        ends = 0
        for offset in sorted(words[array]):
            if offset < ends:
                del words[array]
                break
            ends = offset + _whole(int(words[array][offset][1:]))
    return words


def _variable(array: str, offset: int | str) -> str:
    """The name of an element."""
    return f"%word.{array.strip('%')}.{offset}"


def _whole(bits: int) -> int:
    """Bytes that a word fills."""
    return (bits + 7) // 8


def _elements(at: _Place, size: int, access: re.Match[str]) -> list[tuple[int, int]]:
    """The indices that lie within an array, with the address of each; its alignment excludes those between words."""
    if not at.step:
        return []
    first, last = -(at.offset // at.step), size - _whole(int(access["kind"][1:]))
    if at.few:
        return [(k, o) for k, o in ((k, at.offset + k * at.step) for k in at.few) if 0 <= o <= last]
    indices = range(first, first + size)
    if at.highest is not None:
        indices = range(max(first, 0), min(first + size, at.highest + 1))
    offsets = ((k, at.offset + k * at.step) for k in indices)
    factor, rest = at.multiple
    return [(k, o) for k, o in offsets if o <= last and o % int(access["align"]) == 0 and k % factor == rest]


class _Sizes:
    """Bytes of the types of a module."""

    def __init__(self, text: str) -> None:
        self.structs = {m[1]: m[2] for m in _STRUCT.finditer(text)}

    def align(self, kind: str) -> int:
        """Bytes that an address of the type is a multiple of."""
        kind = kind.strip()
        if m := re.fullmatch(r"\[(\d+) x (.+)\]", kind):
            return self.align(m[2])
        if kind in self.structs:
            return max((self.align(field) for field in _fields(self.structs[kind])), default=1)
        return min(self.bytes(kind), 16)

    def bytes(self, kind: str) -> int:
        """Bytes of a type, those that fill it up included."""
        kind = kind.strip()
        if m := re.fullmatch(r"i(\d+)", kind):
            whole = (int(m[1]) + 7) // 8
            return 1 << (whole - 1).bit_length() if whole <= 16 else -(-whole // 16) * 16
        if m := re.fullmatch(r"\[(\d+) x (.+)\]", kind):
            return int(m[1]) * self.bytes(m[2])
        if kind in self.structs:
            at = self.offsets(kind)[-1]
            return -(-at // self.align(kind)) * self.align(kind)
        if kind == "ptr":
            return 8
        raise SparsePixError(f"the schedule knows no array of {kind}")

    def offsets(self, kind: str) -> list[int]:
        """Where the fields of a struct begin, and where the last one ends."""
        at, found = 0, []
        for field in _fields(self.structs[kind]):
            at = -(-at // self.align(field)) * self.align(field)
            found.append(at)
            at += self.bytes(field)
        return [*found, at]

    def place(self, base: _Place, kind: str, indices: str, name: str) -> tuple[_Place, str]:
        """The address that an instruction computes from another one, and the sum of two indices if it has them."""
        offset, index, step, lines = base.offset, base.index, base.step, ""
        size = self.bytes(kind)
        for k, text in enumerate(indices.split(", ")):
            value = text.split()[-1]
            if k:
                if m := re.fullmatch(r"\[(\d+) x (.+)\]", kind):
                    kind = m[2]
                    size = self.bytes(kind)
                else:
                    field = int(value)
                    offset += self.offsets(kind)[field]
                    kind = _fields(self.structs[kind])[field]
                    continue
            if value.lstrip("-").isdigit():
                offset += int(value) * size
            elif index is None:
                index, step = value, size
            else:
                common, both = math.gcd(step, size), f"%sum.{name.strip('%')}.{k}"
                lines += (
                    f"  {both}.a = mul i64 {index}, {step // common}\n  {both}.b = mul i64 {value}, {size // common}\n"
                    f"  {both} = add i64 {both}.a, {both}.b\n"
                )
                index, step = both, common
        return _Place(base.array, offset, index, step), lines


def _fields(text: str) -> list[str]:
    """The types of a struct's fields: split at the commas that are in no brackets."""
    fields, depth = [""], 0
    for part in re.findall(r'"[^"]*"|.', text):
        depth += (part in "[{<") - (part in "]}>")
        if part == "," and not depth:
            fields.append("")
        else:
            fields[-1] += part
    return [field.strip() for field in fields if field.strip()]
