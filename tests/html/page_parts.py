"""What the tests of pages read out of them."""

import json
import re
from html.parser import HTMLParser

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>\"&amp;:name:\u2028é"


class Elements(HTMLParser):
    """All elements of a page: tag, attributes, and the text inside."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append([tag, dict(attrs), ""])
        if tag not in ("meta", "link", "br", "img", "path"):
            self.open.append(self.found[-1])

    def handle_endtag(self, tag):
        while self.open and self.open[-1][0] != tag:
            self.open.pop()
        if self.open:
            self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element[2] += data

    def of(self, tag, **attributes):
        """Texts of the elements with these attributes."""
        wanted = {key.replace("_", "-").removesuffix("-"): value for key, value in attributes.items()}
        return [text for name, own, text in self.found if name == tag and wanted.items() <= own.items()]


def data_of(page):
    """The data that a page gives its scripts."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def renamed(report):
    """A report in which every name and text of the user is hostile."""

    def hostile(text):
        return f"{text}{HOSTILE}"

    def tensor(its):
        return {**its, "name": hostile(its["name"]), "label": hostile(its["name"])}

    rows = [{**r, "name": hostile(r["name"]), "stage": hostile(r["stage"])} for r in report["estimate"]["rows"]]
    stages = [{**stage, "name": hostile(stage["name"])} for stage in report["estimate"]["stages"]]
    layers = [
        {
            **layer,
            "name": hostile(layer["name"]),
            "inputs": [hostile(name) for name in layer["inputs"]],
            "outputs": [tensor(its) for its in layer["outputs"]],
            "implementation": hostile(""),
            "constants": {hostile(role): its for role, its in layer["constants"].items()},
        }
        for layer in report["layers"]
    ]
    return {
        **report,
        "top_function": hostile("net"),
        "model": {"file": hostile("net"), "sha256": hostile("")},
        "part": {name: hostile("") for name in report["part"]},
        "input": tensor(report["input"]),
        "outputs": [tensor(its) for its in report["outputs"]],
        "notices": [hostile("notice")],
        "layers": layers,
        "estimate": {**report["estimate"], "rows": rows, "stages": stages, "warnings": [hostile("warning")]},
        "testbench": {**report["testbench"], "origin": hostile("")},
        "csim": {"events": 3, "mismatches": 1, "first": [hostile("event")]},
    }
