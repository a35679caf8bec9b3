// Drawing on canvases, in the colours of the style sheet.

/** A context in CSS pixels, cleared, and its size. */
function begin(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const style = getComputedStyle(document.documentElement);
  return { context, width, height, colour: (name) => style.getPropertyValue(`--${name}`).trim() };
}

/** A round number of about this size: 1, 2 or 5 times a power of ten. */
function round(size) {
  const power = 10 ** Math.floor(Math.log10(size));
  return [1, 2, 5, 10].find((factor) => factor * power >= size) * power;
}

/**
 * Curves over time. Each is {colour, points: [[time, value]]}; a value that is not finite interrupts it.
 *
 * @param from first time, and to: last time
 * @param most the top of the scale; the curves' own maximum, rounded, if null
 */
export function curves(canvas, lines, from, to, most, label) {
  const { context, width, height, colour } = begin(canvas);
  if (!width) return;
  const values = lines.flatMap((line) => line.points.map((point) => point[1])).filter(Number.isFinite).sort((a, b) => a - b);
  // Of many values, the few largest may leave the scale: a first step that compiles would flatten all others.
  const large = 1.25 * (values[Math.floor(values.length * 0.95)] ?? 0);
  const largest = Math.min(values.at(-1) ?? 0, large);
  const top = most ?? (largest > 0 ? round(largest) : 1);
  const left = 1, right = width - 52, bottom = height - 1, high = 6;
  const x = (time) => left + ((time - from) / (to - from)) * (right - left);
  const y = (value) => bottom - (Math.min(value, top) / top) * (bottom - high);

  context.strokeStyle = colour("line");
  context.lineWidth = 1;
  for (const value of [0, top / 2, top]) {
    context.beginPath();
    context.moveTo(left, Math.round(y(value)) - 0.5);
    context.lineTo(right, Math.round(y(value)) - 0.5);
    context.stroke();
  }
  context.fillStyle = colour("muted");
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.fillText(label(top), right + 5, y(top) + 2);
  context.fillText(label(0), right + 5, y(0) - 4);

  context.lineWidth = 1.75;
  context.lineJoin = "round";
  for (const line of lines) {
    context.strokeStyle = colour(line.colour);
    context.fillStyle = colour(line.colour);
    context.setLineDash(line.dashed ? [4, 3] : []);
    context.beginPath();
    let lone = null;
    let open = false;
    for (const [time, value] of line.points) {
      if (!Number.isFinite(value)) {
        if (lone) context.fillRect(lone[0] - 1.5, lone[1] - 1.5, 3, 3);
        open = false;
        lone = null;
      } else if (open) {
        context.lineTo(x(time), y(value));
        lone = null;
      } else {
        context.moveTo(x(time), y(value));
        open = true;
        lone = [x(time), y(value)];
      }
    }
    if (lone) context.fillRect(lone[0] - 1.5, lone[1] - 1.5, 3, 3);
    context.stroke();
  }
}

const LANES = [
  ["link in", "link in"],
  ["compute", "compute"],
  ["link out", "link out"],
];

/** The colour of a stage, by its label. */
export function kind(stage) {
  switch (stage) {
    case "transfer K and V": return "transferred";
    case "transfer activations": return "activations";
    case "recompute": return "recomputed";
    case "attend": return "resident";
    case "embed": case "project": case "feed forward": case "head": return "rows";
    default: return "copies";
  }
}

/**
 * The stages of a step in its lanes: measured above, predicted below. Times are microseconds.
 *
 * @param view {from, to}: the shown times
 * @return the stage at a place of the canvas, for pointers
 */
export function timeline(canvas, step, view, chosen) {
  const { context, width, height, colour } = begin(canvas);
  if (!width) return () => null;
  const left = 62, right = width - 8, axis = height - 18;
  const laneHeight = axis / LANES.length;
  const x = (time) => left + ((time - view.from) / (view.to - view.from)) * (right - left);
  const rows = (lane) => {
    const top = lane * laneHeight + 7;
    const thick = Math.round((laneHeight - 16) * 0.68);
    return { top, thick, below: top + thick + 3, thin: Math.round((laneHeight - 16) * 0.32) };
  };

  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  LANES.forEach(([, name], lane) => {
    const { top, thick, below, thin } = rows(lane);
    context.fillStyle = colour("muted");
    context.fillText(name, 2, top + thick / 2);
    context.fillStyle = colour("sunken");
    context.fillRect(left, top, right - left, thick);
    context.fillRect(left, below, right - left, thin);
  });

  // Ticks
  const interval = round((view.to - view.from) / Math.max(2, (right - left) / 110));
  const inMillis = interval >= 100;
  for (let tick = Math.ceil(view.from / interval) * interval; tick <= view.to; tick += interval) {
    context.fillStyle = colour("line");
    context.fillRect(Math.round(x(tick)), 0, 1, axis);
    context.fillStyle = colour("muted");
    const text = inMillis ? `${+(tick / 1000).toPrecision(6)} ms` : `${+tick.toPrecision(6)} µs`;
    context.textAlign = "center";
    const half = context.measureText(text).width / 2;
    context.fillText(text, Math.min(right - half, Math.max(left + half, x(tick))), axis + 10);
  }
  context.textAlign = "left";

  context.save();
  context.beginPath();
  context.rect(left, 0, right - left, axis);
  context.clip();
  const places = [];
  step.stages.forEach((stage, index) => {
    const lane = LANES.findIndex(([name]) => name === stage.lane);
    if (lane < 0) return;
    const { top, thick, below, thin } = rows(lane);
    context.fillStyle = colour(kind(stage.stage));
    for (const [start, length, y, tall] of [
      [stage.measured_start_micros, stage.measured_micros, top, thick],
      [stage.predicted_start_micros, stage.predicted_micros, below, thin],
    ]) {
      const begins = x(start);
      const wide = x(start + length) - begins;
      if (begins + wide < left || begins > right) continue;
      // A gap tells neighbours apart where there is room for one.
      context.fillRect(begins, y, Math.max(0.75, wide > 3 ? wide - 1 : wide), tall);
      places.push({ stage, begins, ends: begins + Math.max(2, wide), y, bottom: y + tall });
    }
    if (index === chosen) {
      context.strokeStyle = colour("ink");
      context.strokeRect(x(stage.measured_start_micros) - 0.5, top - 1.5, Math.max(2, x(stage.measured_micros) - x(0)) + 1, thick + 3);
    }
  });
  // Where the step begins: what lies before was begun by the step before.
  if (view.from < 0) {
    context.fillStyle = colour("ink");
    context.fillRect(Math.round(x(0)), 0, 1, axis);
  }
  context.restore();
  return (px, py) => places.find((place) => px >= place.begins - 1 && px <= place.ends && py >= place.y && py <= place.bottom)?.stage ?? null;
}

/** The times that show all of a step, in microseconds. */
export function extent(step) {
  let from = 0, to = 0;
  for (const stage of step.stages) {
    from = Math.min(from, stage.measured_start_micros, stage.predicted_start_micros);
    to = Math.max(to, stage.measured_start_micros + stage.measured_micros, stage.predicted_start_micros + stage.predicted_micros);
  }
  return { from, to: Math.max(to, from + 1) };
}
