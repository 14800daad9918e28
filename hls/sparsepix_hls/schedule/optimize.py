"""LLVM's passes that leave of a stage what hardware is made of: loops unrolled, arrays split into their elements."""

import re
from typing import Any

import llvmlite.binding as llvm

from sparsepix_hls.schedule.arrays import resolve, split_arrays

# Every loop whose bounds are known is unrolled, as the pragmas of the kernels say; those of PIPELINE have unknown ones.
_OPTIONS = (
    "-unroll-threshold=1000000000",
    "-unroll-full-max-count=100000",
    "-unroll-max-iteration-count-to-analyze=1000",
    "-unroll-runtime=false",
    "-unroll-allow-partial=false",
    "-unroll-allow-peeling=false",
)
_CLEAN = ("sroa", "instruction_combine", "simplify_cfg", "loop_simplify", "loop_rotate", "instruction_combine")
_UNROLL = ("loop_simplify", "lcssa", "loop_unroll", "instruction_combine", "simplify_cfg")
_INLINE = ("always_inliner", "global_dead_code_eliminate", "simplify_cfg")
_LAST = ("sroa", "instruction_combine", "aggressive_dce")
_DEFINITION = re.compile(r"^(define [^\n]*)\{\n.*?^\}\n", re.MULTILINE | re.DOTALL)


def mangled(function: str) -> str:
    """What the name of a function begins with in the IR."""
    return f"@_Z{len(function)}{function}"


def optimized(text: str, function: str) -> Any:
    """The IR of one function.

    Args:
        text: the IR of the firmware.
        function: to keep; what it calls is in it afterwards.

    Returns:
        The function, of llvmlite; its ``module`` has to be kept as long as it is read.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for option in _OPTIONS:
        llvm.set_option("sparsepix", option)
    start = mangled(function)
    kept = _DEFINITION.sub(lambda m: m[0] if "linkonce" in m[1] or start in m[1] else "", text)
    module = llvm.parse_assembly(kept)
    tuning = llvm.create_pipeline_tuning_options(speed_level=2)
    tuning.loop_vectorization = tuning.slp_vectorization = False
    builder = llvm.create_pass_builder(llvm.Target.from_default_triple().create_target_machine(), tuning)
    # Kernels are unrolled before they are inlined: each once, and in small functions. Twice, since the bounds of some
    # loops are known when those around them are unrolled.
    for names in (_CLEAN, _UNROLL, _UNROLL, _INLINE, _UNROLL):
        _run(module, builder, names)
    for _ in range(3):
        text = str(module)
        known = resolve(text)
        if known == text and "= alloca" not in known:
            break
        module = llvm.parse_assembly(split_arrays(known))
        _run(module, builder, ("sroa", *_UNROLL))
    _run(module, builder, _LAST)
    return next(f for f in module.functions if not f.is_declaration and f"@{f.name}".startswith(start))


def _run(module: Any, builder: Any, names: tuple[str, ...]) -> None:
    manager = llvm.create_new_module_pass_manager()
    for name in names:
        getattr(manager, f"add_{name}_pass")()
    manager.run(module, builder)
