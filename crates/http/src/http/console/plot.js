/** Small plots of a figure over time. */

import { draw, fill, make } from "./dom.js";
import { span } from "./words.js";

const WIDTH = 300;
const HEIGHT = 72;
const EDGE = 3;

/**
 * Draws `points`, pairs of seconds and values of which some may be undefined, with what they say in
 * words underneath: the picture alone would tell nothing to who does not see it.
 */
export function plot(place, title, points, format) {
  const known = points.filter(([, value]) => value !== undefined);
  const highest = Math.max(...known.map(([, value]) => value), 0);
  const text = summary(points, known, highest, format);
  fill(
    place,
    make("figcaption", {}, make("strong", {}, title), make("span", {}, text)),
    draw(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      draw("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT - EDGE, y2: HEIGHT - EDGE }),
      lines(points, highest),
    ),
  );
}

function summary(points, known, highest, format) {
  if (known.length === 0) {
    return points.length < 2 ? "being measured" : "nothing came";
  }
  const passed = points.at(-1)[0] - points[0][0];
  const now = known.at(-1)[1];
  return `${format(now)} now, at most ${format(highest)} in ${span(Math.round(passed))}`;
}

/** A line for each run of known values. */
function lines(points, highest) {
  if (points.length < 2) {
    return [];
  }
  const first = points[0][0];
  const passed = points.at(-1)[0] - first || 1;
  const x = (time) => ((time - first) / passed) * WIDTH;
  const y = (value) => HEIGHT - EDGE - (value / (highest || 1)) * (HEIGHT - 2 * EDGE);
  const runs = [[]];
  for (const [time, value] of points) {
    if (value === undefined) {
      runs.push([]);
    } else {
      runs.at(-1).push(`${x(time).toFixed(1)},${y(value).toFixed(1)}`);
    }
  }
  return runs
    .filter((run) => run.length > 0)
    .map((run) => (run.length === 1 ? [run[0], run[0]] : run))
    .map((run) => draw("polyline", { points: run.join(" ") }));
}
