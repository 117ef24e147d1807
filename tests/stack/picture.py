"""Draws the fleet dashboard as the README shows it: its own queries, asked of a real Prometheus.

Usage: picture.py OUT.svg
"""

import html
import json
import sys
import time

from dashboards import DASHBOARDS, chosen, expand, filled
from stack import Stack, query

WIDTH, MARGIN, HOURS = 880, 20, 6
STEPS = HOURS * 60
COLOURS = {"online": "on", "offline": "off", "unknown": "dunno"}
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a } .big { font-size: 30px; font-weight: 600 }
.title { font-weight: 600; fill: #24292f } .board { fill: #f6f8fa } .panel { fill: #fff; stroke: #d0d7de }
.on { fill: #2da44e } .off { fill: #cf222e } .dunno { fill: #8c959f }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 } .title { fill: #e6edf3 } .board { fill: #0d1117 } .panel { fill: #161b22; stroke: #30363d }
  .on { fill: #3fb950 } .off { fill: #f85149 } .dunno { fill: #6e7681 }
}"""


def panel(x, y, width, height, title):
    return (f'<rect class="panel" x="{x}" y="{y}" width="{width}" height="{height}" rx="4"/>'
            f'<text class="title" x="{x + 12}" y="{y + 20}">{title}</text>')


def numbers(asked, y):
    """The newest values, as large as they deserve."""
    width = (WIDTH - 2 * MARGIN - 20) / 3
    for place, (status, colour) in enumerate(COLOURS.items()):
        title, x = status.capitalize(), MARGIN + place * (width + 10)
        value = float(asked(title, "A")[0]["values"][-1][1])
        yield panel(x, y, width, 76, title)
        yield f'<text class="big {colour}" x="{x + 12}" y="{y + 60}">{value:.0f}</text>'


def across(minute, start, width):
    return start + minute * width / STEPS


def hours(x, y, width):
    for hour in range(HOURS + 1):
        label = f"{hour - HOURS} h" if hour < HOURS else "now"
        yield f'<text x="{across(hour * 60, x, width):.0f}" y="{y}" text-anchor="middle">{label}</text>'


def area(asked, y, height):
    """Devices by status, one layer upon the other."""
    title = "Devices by status"
    layers = [[float(value) for _, value in asked(title, ref)[0]["values"]] for ref in "ABC"]
    x, width, floor, top = MARGIN + 50, WIDTH - 2 * MARGIN - 80, y + height - 30, y + 36
    most = max(map(sum, zip(*layers)))
    yield panel(MARGIN, y, WIDTH - 2 * MARGIN, height, title)
    for count in (0, most):
        yield f'<text x="{x - 8}" y="{floor - (floor - top) * count / most + 4:.0f}" text-anchor="end">{count:.0f}</text>'
    below = [0.0] * len(layers[0])
    for layer, colour in zip(layers, COLOURS.values()):
        above = [low + value for low, value in zip(below, layer)]
        edge = [*enumerate(above), *reversed([*enumerate(below)])]
        points = " ".join(f"{across(at, x, width):.1f},{floor - (floor - top) * value / most:.1f}" for at, value in edge)
        yield f'<polygon class="{colour}" points="{points}"/>'
        below = above
    yield from hours(x, floor + 18, width)


def timeline(asked, y, row):
    """A line for each of the devices with the most changes."""
    title = "Top 20 devices by changes"
    devices = sorted(asked(title, "A"), key=lambda one: one["metric"]["client_id"])
    x, width = MARGIN + 190, WIDTH - 2 * MARGIN - 220
    yield panel(MARGIN, y, WIDTH - 2 * MARGIN, 66 + row * len(devices), title)
    for place, device in enumerate(devices):
        top, values = y + 34 + place * row, [value for _, value in device["values"]]
        yield f'<text x="{x - 8}" y="{top + row - 5}" text-anchor="end">{html.escape(device["metric"]["client_id"])}</text>'
        begin = 0
        for at in range(1, len(values) + 1):
            if at == len(values) or values[at] != values[begin]:
                colour = {"1": "on", "0": "off"}.get(values[begin], "dunno")
                left, right = across(begin, x, width), across(min(at, STEPS), x, width)
                yield f'<rect class="{colour}" x="{left:.1f}" y="{top}" width="{right - left:.1f}" height="{row - 3}"/>'
                begin = at
    yield from hours(x, y + 52 + row * len(devices), width)


def main():
    fleet = json.loads(next(path for path in DASHBOARDS if path.stem == "fleet").read_text())
    end = int(time.time()) // 60 * 60
    with Stack() as stack:
        prometheus = filled(stack, end)
        variables = chosen(prometheus, fleet, time.time())

        def asked(title, ref):
            panel, = (one for one in fleet["panels"] if one["title"] == title)
            target, = (one for one in panel["targets"] if one["refId"] == ref)
            return query(prometheus, expand(target["expr"], variables), start=end - HOURS * 3600, end=end, step=60)

        height = 20 + 86 + 230 + 66 + 20 * 17 + 20
        drawn = [*numbers(asked, 20), *area(asked, 106, 220), *timeline(asked, 336, 17)]
    board = f'<rect class="board" width="{WIDTH}" height="{height}"/>'
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
                   f'role="img"><title>A fleet over six hours</title><style>{STYLE}</style>')
        file.write("\n".join([board, *drawn, "</svg>\n"]))


main()
