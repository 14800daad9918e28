"""What a stage computes more than once: its hardware computes it once."""

import re
from collections.abc import Sequence

_NAME = re.compile(r"%[\w.$-]+")
_POINTER = re.compile(r"(?P<own>%[\w.$-]+) = getelementptr .*?, ptr (?P<base>[%@][\w.$-]+)")
_STORED = re.compile(r"^store .*, ptr ([%@][\w.$-]+)")
_READ = re.compile(r" = load i\d+, ptr ([%@][\w.$-]+)")
_PURE = {"add", "sub", "mul", "udiv", "urem", "sdiv", "srem", "and", "or", "xor", "shl", "lshr", "ashr"}
_PURE |= {"select", "icmp", "zext", "sext", "trunc", "getelementptr"}


def same_operations(texts: Sequence[str], opcodes: Sequence[str], inside: Sequence[bool]) -> dict[int, int]:
    """For each operation the first one that computes the same; a port that is only read has one value too.

    Args:
        texts: the instructions.
        opcodes: of each.
        inside: whether it belongs to the region that is looked at.
    """
    bases: dict[str, str] = {}  # of the pointers into ports
    for text in texts:
        if m := _POINTER.match(text):
            bases[m["own"]] = bases.get(m["base"], m["base"])
    written = {bases.get(pointer, pointer) for text in texts for pointer in _STORED.findall(text)}
    first: dict[str, int] = {}
    name: dict[str, str] = {}
    found = {}
    for k, text in enumerate(texts):
        read = _READ.search(text)
        only_read = read is not None and bases.get(read[1], read[1]) not in written
        if not inside[k] or (opcodes[k] not in _PURE and not only_read):
            continue
        own, _, what = text.partition(" = ")
        what = _NAME.sub(lambda m: name.get(m[0], m[0]), what)
        found[k] = first.setdefault(what, k)
        if found[k] != k:
            name[own] = texts[found[k]].partition(" = ")[0]
    return found
