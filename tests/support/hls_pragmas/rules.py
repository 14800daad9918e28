"""The directives of '#pragma HLS' and their options, after the Vitis HLS user guide (UG1399, 2023.1 or later)."""

from collections.abc import Mapping
from dataclasses import dataclass

# Kinds of option values: whole numbers of at least that much, and names.
COUNT, INDEX, SIGNED, VARIABLE, PORT, NAME, FLAG = "1", "0", "-1", "variable", "port", "name", "flag"
BOOL = frozenset({"true", "false"})
SCALAR_MODES = frozenset({"ap_none", "ap_stable", "ap_vld", "ap_ovld", "ap_ack", "ap_hs"})
BLOCK_MODES = frozenset({"ap_ctrl_none", "ap_ctrl_hs", "ap_ctrl_chain"})
MODES = SCALAR_MODES | BLOCK_MODES | {"ap_memory", "bram", "ap_fifo", "axis", "s_axilite", "m_axi"}
RAMS = frozenset({"fifo", "ram_1p", "ram_1wnr", "ram_2p", "ram_s2p", "ram_t2p", "rom_1p", "rom_2p", "rom_np"})
STORES = frozenset({"auto", "bram", "bram_ecc", "lutram", "uram", "uram_ecc", "srl", "memory"})
PARTITION = {
    "variable": VARIABLE,
    "type": frozenset({"complete", "block", "cyclic"}),
    "factor": COUNT,
    "dim": INDEX,
    "off": BOOL,
}


@dataclass(frozen=True)
class Rule:
    """One directive.

    Args:
        options: name to kind of value, or the set of legal values.
        required: options that must be there.
        blocks: kinds of blocks it may be in.
        first: only other pragmas may come before it in its block.
    """

    options: Mapping[str, str | frozenset[str]]
    required: tuple[str, ...] = ()
    blocks: frozenset[str] = frozenset({"function", "loop", "branch", "region"})
    first: bool = False


FUNCTION, LOOP, BOTH = frozenset({"function"}), frozenset({"loop"}), frozenset({"function", "loop"})
RULES = {
    "PIPELINE": Rule(
        {"II": COUNT, "off": FLAG, "rewind": FLAG, "style": frozenset({"stp", "frp", "flp"})}, (), BOTH, True
    ),
    "UNROLL": Rule({"factor": COUNT, "skip_exit_check": FLAG, "off": BOOL}, (), LOOP, True),
    "ARRAY_PARTITION": Rule(PARTITION, ("variable",)),
    "ARRAY_RESHAPE": Rule({**PARTITION, "object": FLAG}, ("variable",)),
    "INLINE": Rule({"off": FLAG, "recursive": FLAG}, (), FUNCTION, True),
    "DATAFLOW": Rule({"disable_start_propagation": FLAG}, (), BOTH, True),
    "INTERFACE": Rule(
        {
            "mode": MODES, "port": PORT, "bundle": NAME, "register": FLAG, "depth": COUNT, "name": NAME,
            "register_mode": frozenset({"both", "forward", "reverse", "off"}), "clock": NAME, "latency": INDEX,
            "offset": frozenset({"off", "slave", "direct"}), "storage_type": RAMS, "storage_impl": STORES,
            "max_read_burst_length": COUNT, "max_write_burst_length": COUNT, "max_widen_bitwidth": INDEX,
            "num_read_outstanding": COUNT, "num_write_outstanding": COUNT, "channel": NAME, "direct_io": BOOL,
        },
        ("mode", "port"), FUNCTION, True,
    ),
    "ALLOCATION": Rule(
        {"instances": NAME, "limit": COUNT, "operation": FLAG, "function": FLAG}, ("instances", "limit")
    ),
    "BIND_OP": Rule(
        {"variable": VARIABLE, "op": NAME, "latency": SIGNED,
         "impl": frozenset({"dsp", "fabric", "fulldsp", "maxdsp", "meddsp", "primitivedsp"})},
        ("variable", "op"),
    ),
    "BIND_STORAGE": Rule(
        {"variable": VARIABLE, "type": RAMS, "impl": STORES, "latency": SIGNED}, ("variable", "type")
    ),
    "DEPENDENCE": Rule(
        {"variable": VARIABLE, "class": frozenset({"array", "pointer"}), "type": frozenset({"intra", "inter"}),
         "direction": frozenset({"RAW", "WAR", "WAW"}), "distance": COUNT, "dependent": BOOL},
        ("type",),
    ),
    "LATENCY": Rule({"min": INDEX, "max": INDEX}),
    "LOOP_TRIPCOUNT": Rule({"min": INDEX, "max": COUNT, "avg": COUNT}, ("max",), LOOP, True),
    "LOOP_FLATTEN": Rule({"off": FLAG}, (), LOOP, True),
    "STREAM": Rule(
        {"variable": VARIABLE, "depth": COUNT, "type": frozenset({"fifo", "pipo", "shared", "unsync"})}, ("variable",)
    ),
    "FUNCTION_INSTANTIATE": Rule({"variable": VARIABLE}, ("variable",), FUNCTION, True),
    "EXPRESSION_BALANCE": Rule({"off": FLAG}),
    "AGGREGATE": Rule(
        {"variable": VARIABLE, "compact": frozenset({"bit", "byte", "none", "auto"})}, ("variable",)
    ),
    "DISAGGREGATE": Rule({"variable": VARIABLE}, ("variable",)),
    "PERFORMANCE": Rule({"target_ti": COUNT, "target_tl": COUNT, "unit": frozenset({"cycle", "sec"})}, (), BOTH),
    "STABLE": Rule({"variable": VARIABLE}, ("variable",)),
    "TOP": Rule({"name": NAME}, ("name",), FUNCTION, True),
    "OCCURRENCE": Rule({"cycle": COUNT, "off": BOOL}, (), frozenset({"branch", "region"}), True),
    "RESET": Rule({"variable": VARIABLE, "off": FLAG}, ("variable",)),
    "PROTOCOL": Rule({"mode": frozenset({"floating", "fixed"})}, (), frozenset({"region", "function", "loop"})),
    "CACHE": Rule({"port": PORT, "lines": COUNT, "depth": COUNT}, ("port",), FUNCTION, True),
}  # fmt: skip
# Pairs that cannot both hold for one function or loop.
EXCLUSIVE = (("PIPELINE", "DATAFLOW"), ("PIPELINE", "UNROLL"), ("INLINE", "PIPELINE"), ("INLINE", "DATAFLOW"))
