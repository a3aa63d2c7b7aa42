"""Make docs/tagged.svg, the picture in the README, from what `bytespan tag` really prints.

python docs/picture.py [--model PATH]
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

DOCS = Path(__file__).parent
TEXT = DOCS.parent / "examples" / "languages.txt"
LANGUAGES = (0, 1, 2, 3, 6, 9, 11)
"""Paragraphs of the text that are shown."""

WIDTH = 92
THEME = TerminalTheme((255, 255, 255), (30, 30, 30), [(0, 0, 0), *[(90, 90, 90)] * 7], [(90, 90, 90)] * 8)
SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
<rect fill="#ffffff" stroke="#d0d0d0" width="100%" height="100%" rx="8"/>
<g transform="translate(12, 12)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""
"""Rich's own template without its window frame and its fonts from the network."""


def main() -> None:
    """Tag the paragraphs and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="model to tag with; the packaged one if not given")
    model = parser.parse_args().model
    paragraphs = TEXT.read_text(encoding="utf-8").split("\n\n")
    text = "\n\n".join(paragraphs[number].strip() for number in LANGUAGES)
    arguments = [sys.executable, "-m", "bytespan", "tag", *(["--model", model] if model else [])]
    coloured = subprocess.run(
        arguments, input=text.encode(), stdout=subprocess.PIPE, check=True, env=os.environ | {"FORCE_COLOR": "1"}
    ).stdout.decode()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="256")
        console.print(Text.from_ansi(coloured))
    svg = console.export_svg(theme=THEME, code_format=SVG, unique_id="bytespan")
    (DOCS / "tagged.svg").write_text(svg, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
