"""A small reader of C++: enough of the language to know where a pragma stands.

It knows comments, strings, braces, labels, function signatures, template parameters and declarations. All
branches of ``#if`` are read, and macros are not expanded.
"""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
    |(?P<directive>^[ \t]*\#(?:[^\n\\]|\\\n|\\.)*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<punctuation>::|\+\+|--|->|&&|\|\||[-+*/%&|^=!<>]=|[^\s])""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
OPEN, CLOSE = "([{", ")]}"
QUALIFIERS = {"static", "const", "constexpr", "inline", "typename", "volatile", "extern", "mutable"}
BUILTIN = {"unsigned", "signed", "long", "short", "int", "char", "bool", "float", "double", "auto", "void"}
NO_TYPE = {"return", "using", "typedef", "goto", "delete", "throw", "case", "break", "continue", "else", "new"}
NO_LABEL = {"default", "public", "private", "protected"}
LOOPS = {"for", "while", "do"}


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    line: int


@dataclass(frozen=True)
class Pragma:
    text: str  # what stands behind '#pragma HLS'
    line: int
    inside_statement: bool = False


@dataclass(frozen=True)
class Label:
    name: str
    line: int


@dataclass(frozen=True)
class Statement:
    tokens: list[Token]
    line: int


@dataclass(frozen=True)
class Variable:
    name: str
    dimensions: int
    constant: bool  # const or constexpr
    static: bool
    reference: bool  # a reference or a pointer
    value: tuple[Token, ...] = ()  # its initializer


@dataclass
class Block:
    kind: str  # file, namespace, struct, function, loop, branch or region
    head: list[Token]
    line: int
    items: list = field(default_factory=list)


class SourceError(Exception):
    """The text is not the C++ that this reader knows."""


def tokenize(text: str) -> list[Token]:
    """Words, numbers, strings, punctuation and HLS pragmas; comments and all other directives are left out."""
    tokens, line, at = [], 1, 0
    for match in TOKEN.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        kind, value = match.lastgroup, match.group()
        if kind == "directive":
            pragma = re.match(r"\s*#\s*pragma\s+HLS\b(.*)", value.replace("\\\n", " "), re.DOTALL | re.IGNORECASE)
            if pragma:
                comment_free = re.sub(r"//.*|/\*.*?\*/", "", pragma.group(1))
                tokens.append(Token("pragma", comment_free.strip(), line))
        elif kind != "comment":
            tokens.append(Token(kind, value, line))
    return tokens


def parse(text: str) -> Block:
    """The file as a tree of blocks, statements, labels and pragmas."""
    tokens = tokenize(text)
    root = Block("file", [], 1)
    if _items(tokens, 0, root) != len(tokens):
        raise SourceError("a closing brace too many")
    return root


def _items(tokens: list[Token], at: int, block: Block) -> int:
    """Read items into ``block`` up to its closing brace; returns the place of that brace, or of the end."""
    head, depth = [], 0
    while at < len(tokens):
        token = tokens[at]
        if token.kind == "pragma":
            block.items.append(Pragma(token.text, token.line, inside_statement=bool(head)))
        elif token.text == "}" and depth == 0:
            if head and block.kind != "struct":  # the last enumerator has no ';'
                raise SourceError(f"line {token.line}: a statement without ';'")
            return at
        elif token.text == "{" and depth == 0 and not _initializer(head, block.kind):
            inner = Block(_kind(head, block.kind), head, (head or [token])[0].line)
            at = _items(tokens, at + 1, inner)
            if at == len(tokens):
                raise SourceError(f"line {token.line}: '{{' is never closed")
            block.items.append(inner)
            head = []
        elif token.text == ";" and depth == 0:
            if head:
                block.items.append(Statement(head, head[0].line))
            head = []
        elif token.text == ":" and len(head) == 1 and head[0].kind == "word":
            if head[0].text not in NO_LABEL:
                block.items.append(Label(head[0].text, head[0].line))
            head = []
        else:
            depth += (token.text in OPEN) - (token.text in CLOSE)
            head.append(token)
        at += 1
    if head or depth:
        raise SourceError("the text ends in the midst of a statement")
    return at


def _initializer(head: list[Token], outer: str) -> bool:
    """True if the brace behind ``head`` opens a list of values."""
    words = [token.text for token in head]
    if not head or words[0] in {"namespace", "extern", "do", "else", "try", "struct", "class", "enum", "union"}:
        return False
    if "=" in words and words[0] not in {"for", "while", "if", "switch", "template"} and "operator" not in words:
        return words[-1] == "=" or outer == "function" or words[-1] in {"]", ","} or "(" not in words
    return outer in {"function", "loop", "branch", "region"} and words[-1] != ")"


def _kind(head: list[Token], outer: str) -> str:
    words = [token.text for token in without_template(head)]
    if not words:
        return "region"
    if words[0] == "namespace" or (words[0] == "extern" and len(words) == 2):
        return "namespace"
    if words[0] in LOOPS:
        return "loop"
    if words[0] in {"if", "else", "switch", "try", "catch"}:
        return "branch"
    if "(" in words and outer in {"file", "namespace", "struct"}:
        return "function"
    return "struct" if {"struct", "class", "enum", "union"} & set(words) else "region"


def depths(tokens: list[Token], angles: bool) -> list[int]:
    """Depth of brackets behind each token; '>' closes only a '<' that no other bracket was opened in."""
    stack, found = [], []
    for token in tokens:
        if token.text in OPEN or (angles and token.text == "<"):
            stack.append(token.text)
        elif token.text in CLOSE:
            while stack and stack.pop() == "<":
                pass
        elif token.text == ">" and stack and stack[-1] == "<":
            stack.pop()
        found.append(len(stack))
    return found


def split(tokens: list[Token], separator: str = ",", angles: bool = True) -> list[list[Token]]:
    """Parts between separators that are in no bracket."""
    parts = [[]]
    for token, depth in zip(tokens, depths(tokens, angles), strict=True):
        if token.text == separator and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def closing(tokens: list[Token], at: int) -> int:
    """Place behind the bracket that closes the one at ``at``; 0 if there is none."""
    found = depths(tokens[at:], tokens[at].text == "<")
    return at + found.index(0) + 1 if 0 in found else 0


def without_template(head: list[Token]) -> list[Token]:
    """A declaration without 'template <...>' in front of it."""
    if len(head) > 1 and head[0].text == "template" and head[1].text == "<":
        return head[closing(head, 1) :]
    return head


def template_parameters(head: list[Token]) -> set[str]:
    """Names of the template parameters."""
    if head and head[0].text == "template":
        parts = split(head[2 : closing(head, 1) - 1])
        return {split(part, "=")[0][-1].text for part in parts}
    return set()


@dataclass(frozen=True)
class Signature:
    name: str
    returns: tuple[str, ...]  # words before the name
    parameters: tuple[Variable, ...]


def signature(block: Block) -> Signature:
    """Name, result and parameters of a function block."""
    head = without_template(block.head)
    words = [token.text for token in head]
    if "operator" in words:  # 'operator<' and 'operator()' hold brackets that enclose nothing
        at = words.index("(", words.index("operator") + 2)
    else:
        inside = depths(head, angles=True)
        at = next(i for i, word in enumerate(words) if word == "(" and inside[i] == 1)
    inside = head[at + 1 : closing(head, at) - 1]
    parameters = tuple(found[0] for part in split(inside) if (found := variables(part)))
    start = words.index("operator") if "operator" in words else at - 1
    return Signature("".join(words[start:at]), tuple(words[:start]), parameters)


def variables(tokens: list[Token]) -> list[Variable]:
    """The variables that a statement (or a parameter) declares; none if it is no declaration."""
    at, seen, named = 0, set(), False
    while at < len(tokens) and tokens[at].kind == "word":
        text = tokens[at].text
        if text in NO_TYPE:
            return []
        if text in QUALIFIERS:
            seen.add(text)
        elif text in BUILTIN:
            named = True
        elif named:
            break
        else:
            named = True
            while at + 1 < len(tokens) and tokens[at + 1].text in {"<", "::"}:
                if tokens[at + 1].text == "<":
                    end = closing(tokens, at + 1)
                    if not end:
                        return []
                    at = end - 1
                else:
                    at += 2
        at += 1
    found = []
    for part in split(tokens[at:], angles=False):
        if [token.text for token in part[:5:3]] == ["(", ")"] and part[1].text in {"&", "*"} and len(part) > 4:
            part = [*part[1:3], *part[4:]]  # (&name)[3]
        start = 0
        while start < len(part) and part[start].text in {"*", "&", "const"}:
            start += 1
        if not named or start == len(part) or part[start].kind != "word":
            return []
        after = start + 1
        dimensions = 0
        while after < len(part) and part[after].text == "[":
            dimensions, after = dimensions + 1, closing(part, after)
        if after < len(part) and part[after].text not in {"=", "(", "{"}:
            return []
        found.append(
            Variable(
                part[start].text,
                dimensions,
                bool(seen & {"const", "constexpr"}),
                "static" in seen,
                start > 0,
                tuple(part[after:]),
            )
        )
    return found
