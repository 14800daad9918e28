"""A checker of '#pragma HLS' in C++ sources.

Stricter than the tool where a silent surprise is the alternative: see ``check``.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tree_sitter import Node

from hls_pragmas.rules import BLOCK_MODES, COUNT, EXCLUSIVE, FLAG, INDEX, PORT, RULES, SCALAR_MODES, SIGNED, VARIABLE
from hls_pragmas.source import (
    Block,
    Label,
    Pragma,
    Signature,
    Statement,
    Variable,
    parse,
    signature,
    text_of,
    variables,
    words,
)


@dataclass
class Report:
    """What was found: problems as 'file:line: reason', and how many pragmas of each directive were checked."""

    problems: list[str] = field(default_factory=list)
    pragmas: Counter = field(default_factory=Counter)
    regions: int = 0  # dataflow regions that were checked

    def add(self, file: str, line: int, reason: str) -> None:
        self.problems.append(f"{file}:{line}: {reason}")


@dataclass
class Scope:
    """The place of a pragma."""

    file: str
    function: Signature | None = None
    parameters: tuple[str, ...] = ()
    visible: dict[str, Variable] = field(default_factory=dict)
    constants: frozenset[str] = frozenset()  # names of compile-time constants
    unrolled: frozenset[str] = frozenset()  # names that become constants when the loops around are unrolled

    def inner(self, **changes) -> "Scope":
        return Scope(**(vars(self) | {"visible": dict(self.visible)} | changes))

    def declare(self, found: list[Variable]) -> None:
        for variable in found:
            self.visible[variable.name] = variable
            value, name = variable.value, {variable.name}
            self.constants, self.unrolled = self.constants - name, self.unrolled - name
            if variable.constant and value is not None and self.is_constant(value):
                self.constants |= name
            elif variable.constant and value is not None and self.is_constant(value, unrolled=True):
                self.unrolled |= name

    def is_constant(self, node: Node, unrolled: bool = False) -> bool:
        """True if every name is a constant, or a member of a type ('Config::size', 'Key<Config>::digits')."""
        known = self.constants | {"true", "false"} | (self.unrolled if unrolled else frozenset())
        return all(_in_qualified(n) or text_of(n) in known for n in words(node))


def _in_qualified(node: Node) -> bool:
    """True if a name is part of a qualified one, arguments of its template included."""
    while node.parent is not None and node.parent.type in _NAME_PARTS:
        node = node.parent
        if node.type == "qualified_identifier":
            return True
    return False


_NAME_PARTS = {"qualified_identifier", "template_type", "template_argument_list", "type_descriptor"}


def functions(block: Block) -> Iterator[Block]:
    """All functions of a file."""
    for item in block.items:
        if isinstance(item, Block):
            if item.kind == "function":
                yield item
            elif item.kind in {"namespace", "struct"}:
                yield from functions(item)


def directive(pragma: Pragma) -> tuple[str, dict[str, str | None]]:
    """Name and options of a pragma; an option without '=' has the value None."""
    parts = re.sub(r"\s*=\s*", "=", pragma.text).split()
    options = dict((part.split("=", 1) if "=" in part else (part, None)) for part in parts[1:])
    return (parts[0].upper() if parts else ""), options


def directives(block: Block) -> dict[str, dict[str, str | None]]:
    """Directives that are directly in a block."""
    return dict(directive(item) for item in block.items if isinstance(item, Pragma))


def check(files: Mapping[str, str], top: str | None = None) -> Report:
    """Check every pragma of some sources that belong together.

    Besides what UG1399 asks for: loops with pragmas have a label and constant bounds; an array of several
    dimensions is not partitioned along the first alone by leaving out ``dim``; below a pipelined function or
    loop nothing has a pipeline or dataflow region of its own, which would be unrolled without a word; and the
    dataflow region of a function has the canonical form.

    Args:
        files: name to text.
        top: name of the top function; None if there is none, as among the kernels.
    """
    report = Report()
    trees = {name: parse(text) for name, text in files.items()}
    known = {signature(f).name: f for tree in trees.values() for f in functions(tree)}
    constexpr = {name for name, f in known.items() if signature(f).constexpr}
    for name, tree in trees.items():
        _walk(tree, Scope(name, constants=frozenset(constexpr)), top, report)
        for function in functions(tree):
            _check_calls(name, function, known, report)
    return report


def _walk(block: Block, scope: Scope, top: str | None, report: Report) -> None:
    """Check the pragmas of a block and of those in it."""
    seen: dict[str, dict] = {}
    partitions: set[tuple] = set()
    ports: dict[str, int] = {}
    statements, label = 0, None
    for item in block.items:
        if isinstance(item, Pragma):
            name, options = directive(item)
            report.pragmas[name] += 1
            reason = _fault(block, name, options, scope, top, bool(statements), item)
            key = (name, options.get("variable"), options.get("dim", "1"))
            if reason is None and name in {"ARRAY_PARTITION", "ARRAY_RESHAPE", "INTERFACE"}:
                if name == "INTERFACE":
                    key = (name, options["port"], options["mode"] in BLOCK_MODES)
                    ports[options["port"]] = item.line
                reason = f"{name} of {key[1]!r} for the second time" if key in partitions else None
                partitions.add(key)
            if reason is None and name in seen and name in {"PIPELINE", "UNROLL", "INLINE", "DATAFLOW"}:
                reason = f"{name} for the second time in one {block.kind}"
            if reason:
                report.add(scope.file, item.line, reason)
            seen[name] = options
            continue
        if isinstance(item, Block):
            _enter(item, scope, top, label, report)
        elif isinstance(item, Statement):
            scope.declare(variables(item.node))
        statements += not isinstance(item, Label)
        label = item if isinstance(item, Label) else None
    for one, other in EXCLUSIVE:
        pair = seen.get(one), seen.get(other)
        if None not in pair and not any("off" in options for options in pair) and "factor" not in pair[1]:
            report.add(scope.file, block.line, f"{one} and {other} exclude each other in one {block.kind}")
    for port, line in ports.items():
        _check_port(block, port, line, scope, report)


def _enter(block: Block, scope: Scope, top: str | None, label: Label | None, report: Report) -> None:
    constants = scope.constants | block.template_parameters
    inner = scope.inner(constants=constants)
    if block.kind == "function":
        head = signature(block)
        inner.function, inner.parameters = head, tuple(p.name for p in head.parameters)
        if head.returns:  # a pragma names parameters and locals only; in a constructor also members
            inner.visible = {}
        inner.declare(list(head.parameters))
    elif block.kind == "loop":
        here = directives(block)
        start, *rest = (block.node.child_by_field_name(name) for name in ("initializer", "condition", "update"))
        counters = variables(start) if start else []
        if here:
            if label is None:
                report.add(scope.file, block.line, "a loop with pragmas needs a label")
            bound = inner.inner(constants=constants | {v.name for v in counters})
            parts = [*(v.value for v in counters), *rest]
            if len(counters) != 1 or None in parts or not all(bound.is_constant(p, unrolled=True) for p in parts):
                report.add(scope.file, block.line, "a loop with pragmas needs constant bounds")
        inner.declare(counters)
        if "UNROLL" in here and not {"factor", "off"} & set(here["UNROLL"]):
            inner.unrolled |= {v.name for v in counters}
    _walk(block, inner, top, report)


def _fault(
    block: Block, name: str, options: dict, scope: Scope, top: str | None, late: bool, pragma: Pragma
) -> str | None:
    """What is wrong with one pragma."""
    if name not in RULES:
        return f"unknown directive {name!r}"
    rule = RULES[name]
    if pragma.inside_statement:
        return f"{name} is inside a statement"
    if block.kind not in rule.blocks:
        return f"{name} cannot be in a {block.kind}, only in a {' or '.join(sorted(rule.blocks))}"
    if rule.first and late:
        return f"{name} must be before the statements of its {block.kind}"
    for option, value in options.items():
        if option not in rule.options:
            return f"{name} has no option {option!r}"
        reason = _value_fault(rule.options[option], value, scope)
        if reason:
            return f"{name}: {option}: {reason}"
    if len(options) + 1 < len(re.sub(r"\s*=\s*", "=", pragma.text).split()):
        return f"{name} has an option twice"
    missing = [option for option in rule.required if option not in options]
    if missing:
        return f"{name} needs the option {missing[0]!r}"
    if name in {"INTERFACE", "CACHE", "TOP"} and (scope.function is None or scope.function.name != top):
        return f"{name} belongs in the top function"
    if name in {"ARRAY_PARTITION", "ARRAY_RESHAPE"}:
        return _partition_fault(name, options, scope)
    if name == "DEPENDENCE" and {"class", "variable"} <= set(options):
        return "DEPENDENCE: class and variable exclude each other"
    if name == "FUNCTION_INSTANTIATE" and options["variable"] not in scope.parameters:
        return f"{name}: {options['variable']!r} is no parameter of the function"
    return None


def _value_fault(kind: str | frozenset[str], value: str | None, scope: Scope) -> str | None:
    if kind == FLAG:
        return None if value is None else f"takes no value, found {value!r}"
    if not value:
        return "needs a value"
    if isinstance(kind, frozenset):
        return None if value in kind or value.lower() in kind else f"expected one of {sorted(kind)}, found {value!r}"
    if kind in {COUNT, INDEX, SIGNED}:
        if re.fullmatch(r"-?\d+", value):
            return None if int(value) >= int(kind) else f"expected {kind} or more, found {value}"
        # A named constant is legal, also a member of a template parameter; anything longer deserves a name.
        member = re.fullmatch(r"[A-Za-z_]\w*(::\w+)+", value)
        named = member or value in scope.constants or value in {"true", "false"}
        return None if named else f"expected a whole number or the name of a constant, found {value!r}"
    if not re.fullmatch(r"\w+", value):
        return f"expected a name, found {value!r}"
    if kind == VARIABLE and value not in scope.visible:
        return f"no variable {value!r} was declared before"
    if kind == PORT and value not in (*scope.parameters, "return"):
        return f"the function has no parameter {value!r}"
    return None


def _partition_fault(name: str, options: dict, scope: Scope) -> str | None:
    variable = scope.visible[options["variable"]]
    if variable.dimensions == 0:
        return f"{name}: {variable.name!r} is no array"
    if options.get("type", "complete") == "complete":
        if "factor" in options:
            return f"{name}: factor has no meaning with type = complete"
    elif "factor" not in options:
        return f"{name}: type = {options['type']} needs a factor"
    dim = options.get("dim")
    if dim is None and variable.dimensions > 1:
        return f"{name}: without dim only the first of the {variable.dimensions} dimensions of {variable.name!r} counts"
    if dim is not None and dim.isdigit() and int(dim) > variable.dimensions:
        return f"{name}: {variable.name!r} has {variable.dimensions} dimensions, and no dimension {dim}"
    return None


def _check_port(block: Block, port: str, line: int, scope: Scope, report: Report) -> None:
    """A handshake of a single value on an array needs the array in its elements."""
    mode, whole = None, False
    for item in block.items:
        if isinstance(item, Pragma):
            name, options = directive(item)
            if name == "INTERFACE" and options.get("port") == port and options.get("mode") not in BLOCK_MODES:
                mode = options.get("mode")
            elif name.startswith("ARRAY_") and options.get("variable") == port:
                every = options.get("dim") == "0" or scope.visible[port].dimensions == 1
                whole |= options.get("type", "complete") == "complete" and every
    variable = scope.visible.get(port)
    if variable and variable.dimensions and mode in SCALAR_MODES and not whole:
        report.add(scope.file, line, f"INTERFACE: {mode} on the array {port!r} needs it partitioned completely")
    if variable and variable.constant and mode == "ap_ovld":
        report.add(scope.file, line, f"INTERFACE: ap_ovld is for outputs, and {port!r} is const")


def _names(block: Block) -> Iterator[str]:
    """Every name in the statements of a block."""
    for item in block.items:
        if isinstance(item, Block):
            yield from (text_of(n) for part in item.head if item.kind != "function" for n in words(part))
            yield from _names(item)
        elif isinstance(item, Statement):
            yield from map(text_of, words(item.node))


def _nested(block: Block) -> Iterator[Block]:
    for item in block.items:
        if isinstance(item, Block):
            yield item
            yield from _nested(item)


def _check_calls(file: str, function: Block, known: Mapping[str, Block], report: Report) -> None:
    """A dataflow region is canonical; below a pipelined function or loop nothing has a pipeline of its own."""
    if "DATAFLOW" in directives(function):
        report.regions += 1
        for line, reason in dataflow_faults(function, known):
            report.add(file, line, f"dataflow: {reason}")
    for pipelined in (function, *_nested(function)):
        if "off" in directives(pipelined).get("PIPELINE", {"off": None}):
            continue
        below, todo, reached = list(_nested(pipelined)), set(_names(pipelined)), set()
        while todo:
            name = todo.pop()
            if name in known and name not in reached:
                reached.add(name)
                below += [known[name], *_nested(known[name])]
                todo |= set(_names(known[name]))
        for inner in below:
            for lost in sorted({"PIPELINE", "DATAFLOW"} & set(directives(inner))):
                report.add(file, pipelined.line, f"this pipeline unrolls '{_head(inner)}', which has {lost} of its own")


def _head(block: Block) -> str:
    return " ".join(" ".join(text_of(node) for node in block.head).split())[:60]


def dataflow_faults(function: Block, known: Mapping[str, Block]) -> Iterator[tuple[int, str]]:
    """What keeps a dataflow region from its canonical form (UG1399, 'Canonical Forms', 'Canonical Body').

    It holds declarations of local, non-static variables without initial values, and calls of void functions
    that are not inlined. Every channel has one producer and, later, one consumer; every argument of the region
    belongs to one process. What a process writes are its non-const references, pointers and arrays.
    """
    head = signature(function)
    if head.returns != "void":
        yield function.line, f"{head.name} must return void"
    channels: dict[str, int] = {}
    uses: dict[str, list[str]] = {p.name: [] for p in head.parameters}
    constant = {p.name for p in head.parameters if p.constant}
    for item in function.items:
        if isinstance(item, Pragma):
            continue
        if not isinstance(item, Statement):
            yield item.line, "only declarations and calls may be in the region"
            continue
        declared = variables(item.node)
        for variable in declared:
            channels[variable.name], uses[variable.name] = item.line, []
            if variable.static or variable.constant or variable.value is not None:
                yield item.line, f"{variable.name!r} must be a local variable without an initial value"
        if declared:
            continue
        call = item.node.named_children[0] if item.node.type == "expression_statement" else None
        is_call = call is not None and call.type == "call_expression"
        called = known.get(text_of(call.child_by_field_name("function"))) if is_call else None
        if called is None:
            yield item.line, "only declarations and calls may be in the region"
            continue
        callee, own = signature(called), directives(called)
        if callee.returns != "void":
            yield item.line, f"process {callee.name} must return void"
        if "INLINE" in own and "off" not in own["INLINE"]:
            yield item.line, f"{callee.name} is inlined, so it is no process"
        arguments = list(map(text_of, call.child_by_field_name("arguments").named_children))
        if len(arguments) != len(callee.parameters):
            yield item.line, f"{callee.name} takes {len(callee.parameters)} arguments, found {len(arguments)}"
        for parameter, name in zip(callee.parameters, arguments, strict=False):
            if name not in uses:
                yield item.line, f"argument {name!r} must be a channel or a port"
                continue
            writes = not parameter.constant and (parameter.reference or parameter.dimensions > 0)
            uses[name].append("w" if writes else "r")
            if writes and name in constant:
                yield item.line, f"{name!r} is const, and {callee.name} writes it"
    for name, found in uses.items():
        line = channels.get(name, function.line)
        if name in channels and found != ["w", "r"]:
            counts = f"{found.count('w')} producers and {found.count('r')} consumers"
            order = "" if sorted(found) != ["r", "w"] else ", the consumer first"
            yield line, f"channel {name!r} has {counts}{order}, expected one producer, then one consumer"
        elif name not in channels and len(found) != 1:
            yield line, f"port {name!r} belongs to {len(found)} processes, expected one"
