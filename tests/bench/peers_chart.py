"""The chart of peers.py: horizontal bars as SVG, on a logarithmic scale, the same text for the same numbers."""

import math
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, EDGE = 860, 232, 168, 16
BAR, STEP, HEAD, TOP = 16, 24, 40, 92
STYLE = """\
  .paper { fill: #ffffff } .word { fill: #1f2328 } .faint { fill: #59636e } .grid { stroke: #d1d9e0 }
  .figure { stroke: #ffffff } .ours { fill: #0a6cbd } .theirs { fill: #8a94a0 } .floor { fill: #c3cad1 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } .word { fill: #f0f6fc } .faint { fill: #9aa4af } .grid { stroke: #333b45 }
    .figure { stroke: #0d1117 } .ours { fill: #4aa8ff } .theirs { fill: #77828e } .floor { fill: #49525c }
  }
  text { font: 13px system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif }
  .head { font-weight: 600 } .title { font-size: 17px; font-weight: 600 }
  .figure { font-variant-numeric: tabular-nums; paint-order: stroke; stroke-width: 5px; stroke-linejoin: round }"""


def chart_of(title, under, groups):
    """`groups` is a list of headings, each with a list of name, milliseconds, what stands at the bar, and class."""
    numbers = [row[1] for _, rows in groups for row in rows]
    low, high = math.floor(math.log10(min(numbers)) - 0.05), math.ceil(math.log10(max(numbers)))
    scale = (WIDTH - LEFT - RIGHT) / (high - low)
    height = TOP + sum(HEAD + STEP * len(rows) for _, rows in groups) + EDGE

    def x(value):
        return LEFT + (math.log10(value) - low) * scale

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
           'role="img" aria-labelledby="title desc">',
           f'<title id="title">{escape(title)}</title>', f'<desc id="desc">{escape(described(groups))}</desc>',
           f"<style>\n{STYLE}\n</style>", f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>',
           text(EDGE, 32, title, "word title"), text(EDGE, 54, under, "faint")]
    for power in range(low, high + 1):
        at = LEFT + (power - low) * scale
        out += [f'<line class="grid" x1="{at:.1f}" y1="{TOP - 8}" x2="{at:.1f}" y2="{height - EDGE}"/>',
                text(at, TOP - 14, unit(10 ** power), "faint", "middle")]
    y = TOP
    for heading, rows in groups:
        # Behind a heading the lines of the scale would run through its letters.
        out += [f'<rect class="paper" x="{EDGE}" y="{y + 4}" width="{WIDTH - 2 * EDGE}" height="{HEAD - 12}"/>',
                text(EDGE, y + 24, heading, "word head")]
        y += HEAD
        for name, value, figure, kind in rows:
            out += [text(LEFT - 10, y + 9, name, "word", "end"),
                    f'<rect class="{kind}" x="{LEFT}" y="{y - 4}" width="{max(x(value) - LEFT, 1):.1f}" height="{BAR}" '
                    'rx="2"/>',
                    text(max(x(value), LEFT) + 8, y + 9, figure, "word figure")]
            y += STEP
    return "\n".join([*out, "</svg>", ""])


def text(x, y, words, kind, anchor="start"):
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def described(groups):
    """The same in words, for those who don't see it."""
    return " ".join(f"{heading}: {'; '.join(f'{row[0]} {row[2]}' for row in rows)}." for heading, rows in groups)


def unit(milliseconds):
    """A number of milliseconds with three digits, or a power of ten of them as it is."""
    for most, factor, name in ((1, 1000, "µs"), (1000, 1, "ms"), (math.inf, 0.001, "s")):
        if milliseconds < most:
            value = milliseconds * factor
            digits = max(0, 2 - math.floor(math.log10(value)))
            whole = f"{value:.{digits}f}"
            return f"{whole.rstrip('0').rstrip('.') if '.' in whole and is_power(milliseconds) else whole} {name}"


def number(milliseconds):
    return f"{milliseconds:,.2f}" if milliseconds < 100 else f"{milliseconds:,.0f}"


def times(ratio):
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.1f}" if ratio < 100 else f"{ratio:,.0f}"


def is_power(value):
    return math.isclose(math.log10(value), round(math.log10(value)))
