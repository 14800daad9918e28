"""The frame of a page: one file with its style sheet, its scripts, Plotly and its data, which loads nothing."""

from functools import cache
from pathlib import Path
from typing import Any

from sparsepix_hls.html.text import escaped, script_data

_HERE = Path(__file__).parent


def page(title: str, body: str, data: dict[str, Any], script: str) -> str:
    """The whole file.

    Args:
        title: of the window.
        body: HTML.
        data: what the scripts show.
        script: name of the file with the script of the page.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        # Whatever a name in a model may look like: nothing is ever loaded.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline'; "
        "style-src 'unsafe-inline'; img-src data: blob:\">\n"
        f'<link rel="icon" href="data:,">\n<title>{escaped(title)}</title>\n'
        f"<style>\n{_text('page.css')}</style></head>\n"
        f"<body>\n{body}\n"
        f'<script type="application/json" id="data">{script_data(data)}</script>\n'
        f"<script>{_plotly()}</script>\n<script>\n{_text('page.js')}</script>\n<script>\n{_text(script)}</script>\n"
        "</body></html>\n"
    )


@cache
def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()
