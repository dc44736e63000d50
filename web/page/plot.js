// Plots the ratio over sizes, as an SVG.

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [720, 320];
const [LEFT, RIGHT, TOP, BOTTOM] = [64, 8, 40, 56];
/** The distance of the first and of the last size from the ends of the axis. */
const INSET = 28;

function svg(name, attributes, text = "") {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}

/** Plots points `{ elements, ratio }`. The axes span `sizes`, so they are complete before the points. */
export function plot(points, sizes, adapter) {
  const top = Math.max(2, Math.ceil(Math.max(0, ...points.map((point) => point.ratio)) + 0.25));
  const [first, last] = [Math.log2(sizes[0]), Math.log2(sizes.at(-1))];
  const x = (elements) => LEFT + INSET + (WIDTH - LEFT - RIGHT - 2 * INSET) * (Math.log2(elements) - first) / (last - first);
  const y = (ratio) => HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * ratio / top;
  const image = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-labelledby": "plot-title" });
  const name = adapter.software ? `${adapter.name} (software)` : adapter.name;
  image.append(svg("title", { id: "plot-title" }, `Time of dropout over that of a copy, by elements, on ${name}`));
  image.append(svg("text", { class: "name", x: LEFT, y: 20 }, name));

  const rule = (name, ratio) => svg("line", { class: name, x1: LEFT, x2: WIDTH - RIGHT, y1: y(ratio), y2: y(ratio) });
  const step = top > 6 ? 2 : top > 3 ? 1 : 0.5;
  for (let ratio = 0; ratio <= top; ratio += step) {
    image.append(rule("grid", ratio));
    image.append(svg("text", { class: "tick", x: LEFT - 10, y: y(ratio) + 4, "text-anchor": "end" }, ratio.toFixed(1)));
  }
  image.append(rule("copy", 1));
  image.append(svg("text", { class: "copy", x: WIDTH - RIGHT, y: y(1) - 7, "text-anchor": "end" }, "copy = 1"));
  for (const elements of sizes) {
    const label = elements < 2 ** 20 ? `${elements / 2 ** 10} Ki` : `${elements / 2 ** 20} Mi`;
    image.append(svg("text", { class: "tick", x: x(elements), y: HEIGHT - BOTTOM + 22, "text-anchor": "middle" }, label));
  }
  image.append(svg("text", { class: "axis", x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, "elements of f32"));
  const middle = (TOP + HEIGHT - BOTTOM) / 2;
  image.append(svg("text", {
    class: "axis", x: 16, y: middle, "text-anchor": "middle", transform: `rotate(-90 16 ${middle})`,
  }, "time / time of copy"));

  const places = points.map(({ elements, ratio }) => [x(elements), y(ratio)]);
  image.append(svg("polyline", { class: "line", points: places.map((place) => place.join(",")).join(" ") }));
  places.forEach(([cx, cy], i) => {
    image.append(svg("circle", { class: "point", cx, cy, r: 4.5 }));
    image.append(svg("text", { class: "value", x: cx, y: cy - 12, "text-anchor": "middle" }, points[i].ratio.toFixed(2)));
  });
  return image;
}
