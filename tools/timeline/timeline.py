#!/usr/bin/env python3
"""Draws the measured timeline of a decode step as SVG, from a trace of `weft bench --trace FILE`.

    python3 timeline.py TRACE.json [--layers FIRST-LAST] > timeline.svg

The picture has two lanes, the link to the device and compute. It covers the time in which compute works on the given
layers, which count from 1; by default all. Numbers in the lanes are chunks. It needs only Python 3.
"""

import argparse
import json
import sys
from xml.sax.saxutils import escape

WIDTH = 960
LEFT = 84
RIGHT = 16
LANE_HEIGHT = 44
LINK_TOP = 76
COMPUTE_TOP = LINK_TOP + LANE_HEIGHT + 34
AXIS_TOP = COMPUTE_TOP + LANE_HEIGHT + 16
HEIGHT = AXIS_TOP + 76

# Process and threads of the trace's events.
MEASURED = 1
LINK_IN, COMPUTE = 0, 1

# Kind of a stage to its colour and its words in the legend, in the order of the legend.
KINDS = {
    "activations": ("#f2a33a", "activations cross the link"),
    "keys-values": ("#4f8fdb", "K and V cross the link"),
    "recompute": ("#c8751a", "K and V are recomputed from activations"),
    "attend": ("#2f9e6e", "attention to a chunk"),
    "rest": ("#8d7cc4", "the rest: projections, feed-forward network"),
}


def kind(stage):
    """Which of KINDS a stage of the trace is, by its name."""
    if stage.startswith("transfer"):
        return "activations" if "activations" in stage else "keys-values"
    return stage if stage in KINDS else "rest"


def measured_stages(trace):
    """The stages of the first measured step, those of the two lanes, in the order of time."""
    stages = [
        event
        for event in trace["traceEvents"]
        if event["ph"] == "X" and event["pid"] == MEASURED and event["tid"] in (LINK_IN, COMPUTE)
    ]
    if not stages:
        raise ValueError("the trace has no measured stages")
    step = min(event["args"]["step"] for event in stages)
    return sorted((event for event in stages if event["args"]["step"] == step), key=lambda event: event["ts"])


def span(stages, layers):
    """Start and end, in microseconds, of what compute does for the layers."""
    inside = [event for event in stages if event["tid"] == COMPUTE and event["args"].get("layer") in layers]
    if not inside:
        raise ValueError("the step has no layers %d to %d" % (layers[0] + 1, layers[-1] + 1))
    return inside[0]["ts"], max(event["ts"] + event["dur"] for event in inside)


def tick_millis(millis):
    """The distance of ticks, 1, 2 or 5 times a power of ten, that gives at most ten of them."""
    power = 1e-3
    while True:
        for factor in (1, 2, 5):
            if millis / (factor * power) <= 10:
                return factor * power
        power *= 10


def svg(stages, first, last):
    layers = range(first, last + 1)
    start, end = span(stages, layers)

    def x(micros):
        return LEFT + (micros - start) / (end - start) * (WIDTH - LEFT - RIGHT)

    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">'
        % (WIDTH, HEIGHT, WIDTH, HEIGHT),
        "<title>The link and the compute lane of a decode step, measured</title>",
        "<style>",
        "text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #24292f }",
        ".small { font-size: 11px } .inside { font-size: 11px; fill: #ffffff; text-anchor: middle }",
        ".middle { text-anchor: middle } .lane { font-weight: 600 }",
        ".card { fill: #ffffff; stroke: #d0d7de } .track { fill: #eef1f4 } .line { stroke: #8c959f }",
        "@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .inside { fill: #ffffff }",
        ".card { fill: #161b22; stroke: #30363d } .track { fill: #262c36 } .line { stroke: #7d8590 } }",
        "</style>",
        '<rect class="card" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>' % (WIDTH - 1, HEIGHT - 1),
    ]
    busy = {}
    for tid, name, top in ((LINK_IN, "link", LINK_TOP), (COMPUTE, "compute", COMPUTE_TOP)):
        out.append('<rect class="track" x="%d" y="%d" width="%d" height="%d"/>'
                   % (LEFT, top, WIDTH - LEFT - RIGHT, LANE_HEIGHT))
        micros = 0.0
        for event in stages:
            begin, finish = max(event["ts"], start), min(event["ts"] + event["dur"], end)
            if event["tid"] != tid or finish <= begin:
                continue
            micros += finish - begin
            left, width = x(begin), x(finish) - x(begin)
            gap = 0.8 if width > 3 else 0.0
            out.append('<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"><title>%s, %.2f ms</title></rect>' % (
                left, top, max(width - gap, 0.6), LANE_HEIGHT, KINDS[kind(event["name"])][0],
                escape(description(event)), event["dur"] / 1e3))
            if width > 24 and "chunk" in event["args"]:
                words = "chunk " if width > 70 else ""
                out.append('<text class="inside" x="%.1f" y="%d">%s%d</text>'
                           % (left + width / 2, top + LANE_HEIGHT / 2 + 4, words, event["args"]["chunk"] + 1))
        busy[tid] = 100 * micros / (end - start)
        out.append('<text class="lane" x="14" y="%d">%s</text>' % (top + 19, name))
        out.append('<text class="small" x="14" y="%d">%.0f %% busy</text>' % (top + 35, busy[tid]))
        brackets(out, stages, tid, top, x, start, end)
    step = tick_millis((end - start) / 1e3)
    out.append('<line class="line" x1="%d" y1="%d" x2="%d" y2="%d"/>' % (LEFT, AXIS_TOP, WIDTH - RIGHT, AXIS_TOP))
    at = 0
    while at * step * 1e3 <= end - start:
        place = x(start + at * step * 1e3)
        out.append('<line class="line" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>' % (place, AXIS_TOP, place, AXIS_TOP + 5))
        out.append('<text class="small middle" x="%.1f" y="%d">%g%s</text>'
                   % (place, AXIS_TOP + 18, round(at * step, 6), " ms" if at == 0 else ""))
        at += 1
    legend(out, [name for name in KINDS if any(kind(event["name"]) == name for event in stages)])
    out.append('<text x="14" y="26" class="lane">One decode step, measured: layers %d to %d</text>'
               % (first + 1, last + 1))
    out.append("</svg>")
    return "\n".join(out) + "\n"


def description(event):
    args = event["args"]
    parts = [event["name"]]
    if "layer" in args:
        parts.append("layer %d" % (args["layer"] + 1))
    if "chunk" in args:
        parts.append("chunk %d" % (args["chunk"] + 1))
    return ", ".join(parts)


def brackets(out, stages, tid, top, x, start, end):
    """A line above the lane over the stages of each layer, with its number."""
    for layer in sorted({event["args"]["layer"] for event in stages if "layer" in event["args"]}):
        own = [event for event in stages if event["tid"] == tid and event["args"].get("layer") == layer]
        if not own:
            continue
        begin = max(own[0]["ts"], start)
        finish = min(max(event["ts"] + event["dur"] for event in own), end)
        left, right = x(begin) + 1, x(finish) - 1
        if right - left < 8:
            continue
        out.append('<line class="line" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>' % (left, top - 6, right, top - 6))
        if right - left > 60:
            out.append('<text class="small middle" x="%.1f" y="%d">layer %d</text>'
                       % ((left + right) / 2, top - 11, layer + 1))


def legend(out, names):
    """The colours of the kinds that the step has, in rows of three."""
    for place, name in enumerate(names):
        colour, words = KINDS[name]
        at, top = LEFT + 280 * (place % 3), AXIS_TOP + 33 + 20 * (place // 3)
        out.append('<rect x="%d" y="%d" width="11" height="11" fill="%s"/>' % (at, top, colour))
        out.append('<text class="small" x="%d" y="%d">%s</text>' % (at + 16, top + 9, escape(words)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("trace", help="a file of weft bench --trace")
    parser.add_argument("--layers", help="the first and the last layer to draw, counted from 1, such as 11-13")
    options = parser.parse_args()
    with open(options.trace, encoding="utf-8") as file:
        stages = measured_stages(json.load(file))
    if options.layers:
        first, last = (int(part) - 1 for part in options.layers.split("-"))
    else:
        first, last = 0, max(event["args"].get("layer", 0) for event in stages)
    sys.stdout.write(svg(stages, first, last))


if __name__ == "__main__":
    main()
