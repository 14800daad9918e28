"""Identifiers of C++ and SystemVerilog from names of a model."""

import re
from collections.abc import Iterable

from sparsepix_hls.frontend import reserved_names as reserved

MOST_CHARACTERS = 64  # of an identifier: a project derives names of files from it, which may have 255
_RESERVED = frozenset(
    " ".join(
        [
            reserved.CPP_KEYWORDS,
            reserved.MACROS,
            reserved.TYPE_STEMS,
            reserved.LIBRARY,
            reserved.OWN,
        ]
    ).split()
)
_TOP_RESERVED = frozenset(
    " ".join([reserved.VERILOG_KEYWORDS, reserved.TOPS, reserved.HEADERS, reserved.DEVICES]).lower().split()
)
# Macros are written so (M_PI, PRId8, I), whatever headers a compiler brings, and so are labels and guards of ours.
_LIKE_A_MACRO = re.compile(r"[A-Z]([A-Z0-9_]|$)")
# Lines of an adder graph, values of a traced function, and streams that a process reads or writes.
_NUMBERED = re.compile(r"[av][0-9]+(_[0-9]+)?|(in|out)[0-9]+(_pixel)?")
# What a project appends to the names of a model; two names that differ by that alone would meet.
_DERIVED = re.compile(
    r"(_(t|config|beats?|pixels?|own|shares|logic|stage[0-9]*|adders|listed|next|rounds?|carried|sums|stream|delays|inner"
    r"|table[0-9]+_[0-9]+|pairs_[0-9]+x[0-9]+(_[0-9]+)?|row_[0-9]+x[0-9]+))+$"
)


def identifier(name: str) -> str:
    """The name as an identifier: 'conv1.features' becomes conv1_features; not yet checked for clashes."""
    # Identifiers that start with '_' or hold '__' belong to the compiler.
    text = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_]", "_", name)).strip("_")
    text = text[:MOST_CHARACTERS].strip("_")
    text = text.replace("_to_", "_into_")  # a channel between two stages is called <array>_to_<stage>
    if not text or text[0].isdigit():
        text = f"v_{text}".rstrip("_")
    taken = text in _RESERVED or _LIKE_A_MACRO.match(text) or _NUMBERED.fullmatch(text)
    return f"{text}_v" if taken else text


def top_identifier(name: str, inner: Iterable[str] = ()) -> str:
    """The same for the top function and module.

    Args:
        name: of the model.
        inner: names of its nodes and values: functions of the project are called <top>_<stage>, and none of them may
            have the name of a value.
    """
    text = identifier(name)
    if text.lower() in _TOP_RESERVED or text.endswith("_t"):
        text = f"{text}_top"
    found = {identifier(other).lower() for other in inner}
    while any(other.startswith(f"{text.lower()}_") for other in found):
        text = f"{text}_top"
    return text


class Names:
    """Hands out identifiers so that no two names, nor what a project derives from them, are ever equal.

    Case does not count: names of files and of guards come from them.
    """

    def __init__(self) -> None:
        self._used: set[str] = set()

    def unique(self, *wanted: str) -> str:
        """The first of the wanted names that is still free, else the last one with a number."""
        for candidate in wanted:
            if self._take(identifier(candidate)):
                return identifier(candidate)
        base, number = identifier(wanted[-1]), 2
        if _DERIVED.search(f"{base}_{number}"):
            base = _DERIVED.sub("", base)
        while not self._take(f"{base}_{number}"):
            number += 1
        return f"{base}_{number}"

    def _take(self, name: str) -> bool:
        stem = _DERIVED.sub("", name).lower()
        if stem in self._used:
            return False
        self._used.add(stem)
        return True
