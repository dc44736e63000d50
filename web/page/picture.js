// Converts pictures to the library's numbers and back. The numbers are red, green and blue of each pixel, row by
// row, from 0 to 1.

export const SIDE = 256;

/** Draws a landscape by code, so that the page shows a picture at once. */
export function landscape(context) {
  const sky = context.createLinearGradient(0, 0, 0, SIDE);
  for (const [place, colour] of [[0, "#22306e"], [0.3, "#7a4b94"], [0.5, "#e4717a"], [0.66, "#f9c784"]]) {
    sky.addColorStop(place, colour);
  }
  context.fillStyle = sky;
  context.fillRect(0, 0, SIDE, SIDE);

  const glow = context.createRadialGradient(172, 118, 8, 172, 118, 120);
  glow.addColorStop(0, "rgb(255 236 190 / 0.9)");
  glow.addColorStop(1, "rgb(255 236 190 / 0)");
  context.fillStyle = glow;
  context.fillRect(0, 0, SIDE, SIDE);
  context.fillStyle = "#fff3d6";
  context.beginPath();
  context.arc(172, 118, 26, 0, 2 * Math.PI);
  context.fill();

  const ridges = [
    ["#b3708f", 138, 15, 0.021, 1.0],
    ["#7d5a8c", 158, 17, 0.027, 3.1],
    ["#474477", 182, 16, 0.034, 5.2],
    ["#252a52", 208, 13, 0.047, 0.4],
  ];
  for (const [colour, base, height, frequency, phase] of ridges) {
    context.fillStyle = colour;
    context.beginPath();
    context.moveTo(0, SIDE);
    for (let x = 0; x <= SIDE; x++) {
      const wave = Math.sin(x * frequency + phase) + 0.45 * Math.sin(2.7 * x * frequency + 2 * phase)
        + 0.15 * Math.sin(7.1 * x * frequency);
      context.lineTo(x, base - height * wave);
    }
    context.lineTo(SIDE, SIDE);
    context.fill();
  }
}

export function blank(context) {
  context.fillStyle = "#30384f";
  context.fillRect(0, 0, SIDE, SIDE);
}

/** Draws the middle square of a file's picture. */
export async function open(context, file) {
  const picture = new Image();
  picture.src = URL.createObjectURL(file);
  try {
    await picture.decode();
    const side = Math.min(picture.width, picture.height);
    const [left, top] = [(picture.width - side) / 2, (picture.height - side) / 2];
    blank(context);
    context.drawImage(picture, left, top, side, side, 0, 0, SIDE, SIDE);
  } finally {
    URL.revokeObjectURL(picture.src);
  }
}

/** The pixels that an arrow key moves. */
const ARROWS = { ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, -8], ArrowDown: [0, 8] };

/** Lets a pointer and the arrow keys draw on the canvas. Calls `changed` after each piece of a stroke. */
export function letDraw(canvas, context, colour, changed) {
  let last = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * SIDE / box.width, (event.clientY - box.top) * SIDE / box.height];
  };
  const stroke = (from, to) => {
    context.strokeStyle = colour();
    context.lineWidth = 14;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
    changed();
  };
  const draw = (event) => {
    if (last === null) return;
    const next = place(event);
    stroke(last, next);
    last = next;
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    draw(event);
  });
  canvas.addEventListener("pointermove", draw);
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => { last = null; });
  }
  let pen = [SIDE / 2, SIDE / 2];
  canvas.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (!arrow) return;
    // The page would scroll.
    event.preventDefault();
    const next = pen.map((at, axis) => Math.min(SIDE, Math.max(0, at + arrow[axis])));
    if (!event.shiftKey) stroke(pen, next);
    pen = next;
  });
}

/** The numbers of a canvas's picture. */
export function numbers(context) {
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  const image = new Float32Array(3 * SIDE * SIDE);
  for (let i = 0; i < image.length; i++) {
    image[i] = data[4 * Math.floor(i / 3) + i % 3] / 255;
  }
  return image;
}

/** Shows a picture whose number `i` is `value(i)`, clipped to 0 to 1. */
export function show(context, value) {
  const pixels = context.createImageData(SIDE, SIDE);
  for (let i = 0; i < 3 * SIDE * SIDE; i++) {
    pixels.data[4 * Math.floor(i / 3) + i % 3] = 255 * value(i);
  }
  for (let i = 3; i < pixels.data.length; i += 4) {
    pixels.data[i] = 255;
  }
  context.putImageData(pixels, 0, 0);
}
