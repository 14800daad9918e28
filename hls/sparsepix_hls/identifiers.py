"""C++ identifiers from ONNX names."""

import re

_KEYWORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class compl
concept const consteval constexpr constinit const_cast continue co_await co_return co_yield decltype default delete do
double dynamic_cast else enum explicit export extern false final float for friend goto if import inline int long module
mutable namespace new noexcept not not_eq nullptr operator or or_eq override private protected public register
reinterpret_cast requires return short signed sizeof static static_assert static_cast struct switch template this
thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq
"""
# Names that mean something else in a project: our namespace, the types of ap_types, functions and
# macros of the C library, and macros that a compiler defines by itself.
_TAKEN = """
sparsepix std main top firmware testbench weights parameters defines ap_int ap_uint ap_fixed ap_ufixed
abs exp log pow sin cos tan sqrt floor ceil round rint gamma j0 j1 jn y0 y1 yn time clock signal index rindex read write
open close exit abort free malloc calloc printf scanf puts remove rename system select connect accept bind listen send
recv link unlink pipe wait kill sleep raise rand random div ldiv atoi atof strlen memcpy memset sort min max swap
assert errno stdin stdout stderr NULL EOF NAN INFINITY BUFSIZ RAND_MAX EXIT_SUCCESS EXIT_FAILURE
linux unix i386 major minor makedev
"""
# A tensor x gets the type x_t: these are types of the C library already.
_TYPE_STEMS = """
size ssize time clock ptrdiff wchar wint div ldiv lldiv max_align nullptr off pid mode dev ino uid gid key id fpos loff
int8 int16 int32 int64 uint8 uint16 uint32 uint64 intmax uintmax intptr uintptr char8 char16 char32 float double locale
register caddr daddr fsid quad u_quad blksize blkcnt nlink useconds suseconds timer clockid sigset
"""
# The testbench has variables of these names, and the firmware folder files.
_TOP_NAMES = "input output inputs outputs input_values output_values raw event events data data_types run"
# Keywords of SystemVerilog, where the top module has the name of the model.
_VERILOG_KEYWORDS = """
accept_on alias always always_comb always_ff always_latch assert assign assume automatic before begin bind bins binsof
bit buf bufif0 bufif1 byte casex casez cell chandle checker clocking cmos config constraint context cover covergroup
coverpoint cross deassign defparam design disable dist edge end endcase endchecker endclass endclocking endconfig
endfunction endgenerate endgroup endinterface endmodule endpackage endprimitive endprogram endproperty endsequence
endspecify endtable endtask event eventually expect extends final first_match force foreach forever fork forkjoin
function generate genvar global highz0 highz1 iff ifnone ignore_bins illegal_bins implements implies import incdir
include initial inout inside instance integer interconnect interface intersect join join_any join_none large let liblist
library local localparam logic longint macromodule matches medium modport module nand negedge nettype new nexttime nmos
nor noshowcancelled notif0 notif1 null output package packed parameter pmos posedge primitive priority program property
pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase randsequence rcmos real
realtime ref reg reject_on release repeat restrict rnmos rpmos rtran rtranif0 rtranif1 s_always s_eventually s_nexttime
s_until s_until_with scalared sequence shortint shortreal showcancelled small soft solve specify specparam string strong
strong0 strong1 struct super supply0 supply1 sync_accept_on sync_reject_on table tagged task throughout time
timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg type unique unique0 until until_with
untyped use uwire var vectored wait_order wand weak weak0 weak1 wildcard wire with within wor xnor
"""
_TOP_TAKEN = frozenset(f"{_TOP_NAMES} {_VERILOG_KEYWORDS}".split())
_RESERVED = frozenset(f"{_KEYWORDS} {_TAKEN} {_TYPE_STEMS}".split())
# A project derives these names: <name>_t for a type, <name>_config for a layer, the others for the top function.
_SUFFIXES = ("", "_t", "_config", "_reduce", "_layers", "_run", "_tb")


def identifier(name: str) -> str:
    """The name as a C++ identifier: 'conv1.features' becomes conv1_features; not yet checked for clashes."""
    # Identifiers that start with '_' or hold '__' belong to the compiler.
    text = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_]", "_", name)).strip("_")
    if not text or text[0].isdigit():
        text = f"v_{text}".rstrip("_")
    return f"{text}_" if text in _RESERVED else text


def top_identifier(name: str) -> str:
    """The same for the top function, which the testbench calls."""
    text = identifier(name)
    return f"{text}_top" if text in _TOP_TAKEN else text


class Names:
    """Hands out identifiers so that no two names, nor what a project derives from them, are ever equal."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def unique(self, *wanted: str) -> str:
        """The first of the wanted names that is still free, else the last one with a number."""
        for candidate in wanted:
            if self._take(identifier(candidate)):
                return identifier(candidate)
        base, number = identifier(wanted[-1]).rstrip("_"), 2
        while not self._take(f"{base}_{number}"):
            number += 1
        return f"{base}_{number}"

    def _take(self, name: str) -> bool:
        claimed = {name + suffix for suffix in _SUFFIXES}
        if claimed & self._used:
            return False
        self._used |= claimed
        return True
