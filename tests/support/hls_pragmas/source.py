"""C++ as blocks, statements, labels and HLS pragmas, with tree-sitter as the parser.

tree-sitter has no preprocessor: directives are taken out first. So all branches of ``#if`` are read, of the macros
only those of ``constants.h`` are expanded, and each pragma is put back where it was.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import tree_sitter_cpp
from tree_sitter import Language, Node, Parser

PARSER = Parser(Language(tree_sitter_cpp.language()))
# A directive; what comes before the last '|' only hides a '#' that starts none.
DIRECTIVE = re.compile(
    rb"""//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|(?P<directive>^[ \t]*\#(?:[^\n\\]|\\\n|\\.)*)""",
    re.DOTALL | re.MULTILINE,
)
PRAGMA = re.compile(rb"\s*#\s*pragma\s+HLS\b(.*)", re.DOTALL | re.IGNORECASE)
MACROS = {  # of sparsepix/constants.h, as for synthesis
    rb"SPARSEPIX_CONSTANT\((\w+)\)": rb"\1_t \1",
    rb"SPARSEPIX_CONSTANT_READY\((\w+), [][\d]+\)": rb"static_assert(sizeof(\1) > 0)",
}
LOOPS = {"for_statement", "for_range_loop", "while_statement", "do_statement"}
CLASSES = {"struct_specifier", "class_specifier", "union_specifier"}
DECLARATIONS = {"declaration", "field_declaration", "parameter_declaration", "optional_parameter_declaration"}
SKIPPED = {"comment", "access_specifier"}


@dataclass(frozen=True)
class Pragma:
    text: str  # what comes after '#pragma HLS'
    line: int
    inside_statement: bool = False


@dataclass(frozen=True)
class Label:
    name: str
    line: int


@dataclass(frozen=True)
class Statement:
    node: Node
    line: int


@dataclass(frozen=True)
class Variable:
    name: str
    dimensions: int
    constant: bool  # const or constexpr
    static: bool
    reference: bool  # a reference or a pointer
    value: Node | None = None  # its initializer


@dataclass
class Block:
    kind: str  # file, namespace, struct, function, loop, branch or region
    node: Node
    head: tuple[Node, ...]  # all but the body
    line: int
    template_parameters: frozenset[str] = frozenset()
    items: list = field(default_factory=list)


@dataclass(frozen=True)
class Signature:
    name: str
    returns: str  # type of the result, without qualifiers
    constexpr: bool
    parameters: tuple[Variable, ...]


class SourceError(Exception):
    """The text is not the C++ that tree-sitter knows."""


def text_of(node: Node) -> str:
    """The source of a node."""
    return node.text.decode()


def line_of(node: Node) -> int:
    return node.start_point.row + 1


def below(node: Node) -> Iterator[Node]:
    """A node and all nodes in it, in the order of the source."""
    yield node
    for child in node.children:
        yield from below(child)


def words(node: Node) -> Iterator[Node]:
    """All names and keywords in a node."""
    return (n for n in below(node) if not n.children and re.fullmatch(rb"[A-Za-z_]\w*", n.text))


def parse(text: str) -> Block:
    """The file as a tree of blocks, statements, labels and pragmas."""
    source = text.encode()
    for macro, meaning in MACROS.items():
        source = re.sub(macro, meaning, source)
    source, pragmas = _without_directives(source)
    root = PARSER.parse(source).root_node
    if root.has_error:
        wrong = next(n for n in below(root) if n.is_error or n.is_missing)
        raise SourceError(f"line {line_of(wrong)}: not understood: {text_of(wrong.parent or wrong)[:60]!r}")
    block = Block("file", root, (), 1)
    _fill(block, root.children, len(source), deque(pragmas))
    return block


def _without_directives(source: bytes) -> tuple[bytes, list[tuple[int, Pragma]]]:
    """The source with blanks in place of directives; the HLS pragmas, each with its offset."""
    pragmas = []

    def blank(match: re.Match) -> bytes:
        directive = match["directive"]
        if directive is None:
            return match.group()
        pragma = PRAGMA.match(directive.replace(b"\\\n", b" "))
        if pragma:
            content = re.sub(r"//.*|/\*.*?\*/", "", pragma[1].decode())
            pragmas.append((match.start(), Pragma(content.strip(), source.count(b"\n", 0, match.start()) + 1)))
        return re.sub(rb"[^\n]", b" ", directive)

    return DIRECTIVE.sub(blank, source), pragmas


def _fill(block: Block, nodes: list[Node], end: int, pragmas: deque[tuple[int, Pragma]]) -> None:
    """Put the items of some nodes into a block, and the pragmas up to ``end`` between them."""

    def take(until: int, inside_statement: bool) -> None:
        while pragmas and pragmas[0][0] < until:
            block.items.append(replace(pragmas.popleft()[1], inside_statement=inside_statement))

    for node in nodes:
        if not node.is_named or node.type in SKIPPED:
            continue
        for start, item, body in _items(node):
            take(start, False)
            if body is not None:
                take(body.start_byte, True)
                compound = body.type in {"compound_statement", "declaration_list", "field_declaration_list"}
                _fill(item, body.children if compound else [body], body.end_byte, pragmas)
            elif isinstance(item, Statement):
                take(item.node.end_byte, True)
            block.items.append(item)
        take(node.end_byte, True)
    take(end, False)


def _items(node: Node) -> Iterator[tuple[int, Label | Statement | Block, Node | None]]:
    """What a node is in its block: offset, item, and the body of a block."""
    body = node.child_by_field_name("body")
    if node.type == "labeled_statement":
        label = node.child_by_field_name("label")
        yield node.start_byte, Label(text_of(label), line_of(label)), None
        yield from _items(node.named_children[-1])
    elif node.type == "template_declaration":
        names = frozenset(_template_parameters(node.child_by_field_name("parameters")))
        for _, item, inner in _items(node.named_children[-1]):
            if isinstance(item, Block):
                item.line, item.template_parameters = line_of(node), names
            yield node.start_byte, item, inner
    elif node.type == "if_statement" and _has_braces(node):
        yield from _branches(node, line_of(node))
    elif node.type == "case_statement":
        value = node.child_by_field_name("value")
        for child in node.named_children:
            if child != value and child.type not in SKIPPED:
                yield from _items(child)
    elif node.type == "compound_statement":
        yield node.start_byte, Block("region", node, (), line_of(node)), node
    elif body is not None and (kind := _kind(node)):
        yield node.start_byte, _block(kind, node, body), body
    else:
        held = node.child_by_field_name("type")  # 'struct S { ... } x;'
        if held is not None and held.type in CLASSES and held.child_by_field_name("body"):
            yield from _items(held)
        yield node.start_byte, Statement(node, line_of(node)), None


def _branches(node: Node, line: int) -> Iterator[tuple[int, Statement | Block, Node | None]]:
    """Both branches of an 'if', each a block of its own."""
    then, other = node.child_by_field_name("consequence"), node.child_by_field_name("alternative")
    yield node.start_byte, _block("branch", node, then), then
    if other is not None:
        inner = other.named_children[-1]
        if inner.type == "if_statement":
            yield from _branches(inner, line_of(other))
        else:
            yield other.start_byte, _block("branch", other, inner), inner


def _block(kind: str, node: Node, body: Node) -> Block:
    after = node.type == "do_statement"  # its condition
    head = tuple(n for n in node.children if n.end_byte <= body.start_byte or (after and n.start_byte >= body.end_byte))
    return Block(kind, node, head, line_of(node))


def _has_braces(node: Node) -> bool:
    return any(inner.type == "compound_statement" for inner in below(node))


def _kind(node: Node) -> str | None:
    """Kind of the block that a node with a body is; None for a statement."""
    if node.type in LOOPS:
        return "loop" if _has_braces(node) else None
    if node.type in {"namespace_definition", "linkage_specification"}:
        return "namespace"
    if node.type == "function_definition":
        return "function"
    return (
        "struct" if node.type in CLASSES else "branch" if node.type in {"switch_statement", "try_statement"} else None
    )


def _template_parameters(parameters: Node) -> Iterator[str]:
    for parameter in parameters.named_children:
        found = variables(parameter)
        names = [v.name for v in found] or [text_of(n) for n in parameter.children if n.type == "type_identifier"][:1]
        yield from names


def signature(block: Block) -> Signature:
    """Name, result and parameters of a function block."""
    declarator, reference = block.node.child_by_field_name("declarator"), ""
    while declarator.type in {"reference_declarator", "pointer_declarator"}:
        declarator, reference = declarator.named_children[-1], "&"
    result, inner = block.node.child_by_field_name("type"), declarator.child_by_field_name("declarator")
    parameters = next((n for n in below(declarator) if n.type == "parameter_list"), None)
    found = [v for n in (parameters.named_children if parameters else ()) for v in variables(n)]
    return Signature(
        text_of(inner if declarator.type == "function_declarator" else declarator),
        (text_of(result) if result else "") + reference,
        "constexpr" in _qualifiers(block.node),
        tuple(found),
    )


def _qualifiers(node: Node) -> set[str]:
    return {text_of(n) for n in node.children if n.type in {"type_qualifier", "storage_class_specifier"}}


def variables(node: Node) -> list[Variable]:
    """The variables that a declaration (or a parameter) declares; none if it is no declaration."""
    if node.type not in DECLARATIONS:
        return []
    seen, found = _qualifiers(node), []
    for declarator in node.children_by_field_name("declarator"):
        value = node.child_by_field_name("default_value")
        dimensions, reference = 0, False
        while declarator.type not in {"identifier", "field_identifier"}:
            if declarator.type in {"init_declarator", "function_declarator"}:  # 'Type name(argument)' may be either
                value = declarator.child_by_field_name("value") or declarator.child_by_field_name("parameters")
            dimensions += declarator.type == "array_declarator"
            reference |= declarator.type in {"reference_declarator", "pointer_declarator"}
            inner = declarator.child_by_field_name("declarator")
            if inner is None and declarator.type in {"reference_declarator", "parenthesized_declarator"}:
                inner = declarator.named_children[-1]  # the grammar gives these no field
            if inner is None:
                break
            declarator = inner
        else:
            constant, static = bool(seen & {"const", "constexpr"}), "static" in seen
            found.append(Variable(text_of(declarator), dimensions, constant, static, reference, value))
    return found
