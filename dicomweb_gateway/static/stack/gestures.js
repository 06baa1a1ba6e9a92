// Mouse, wheel, fingers and keys: what they mean, told to `act`.

const STEP = 24;
const WHEEL = 60;

/** Listen on `canvas`; `act` has scroll, window, pan, zoom and keys, `tool()` names what dragging does. */
export function listen(canvas, act, tool) {
  pointers(canvas, act, tool);
  wheel(canvas, act);
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("keydown", (event) => {
    const { key, shiftKey, ctrlKey, altKey, metaKey } = event;
    if (ctrlKey || altKey || metaKey) return;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    if (arrows && shiftKey) act.pan(arrows[0] * STEP, arrows[1] * STEP);
    else if (arrows) act.scroll(arrows[0] + arrows[1]);
    else if (!act.key(key)) return;
    event.preventDefault();
  });
}

function wheel(canvas, act) {
  let rest = 0;
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === 1 ? 33 : event.deltaMode === 2 ? 400 : 1);
      if (event.ctrlKey) {
        act.zoom(Math.exp(-pixels / 300), event.offsetX, event.offsetY);
        return;
      }
      // a touchpad sends many small ones, a wheel one large one for each notch
      rest = Math.sign(rest) === Math.sign(pixels) ? rest + pixels : pixels;
      const steps = Math.abs(pixels) >= WHEEL ? Math.sign(pixels) : Math.trunc(rest / WHEEL);
      if (steps) {
        rest = 0;
        act.scroll(steps);
      }
    },
    { passive: false },
  );
}

function pointers(canvas, act, tool) {
  const down = new Map();
  let travelled = 0;
  const drag = (event, dx, dy) => {
    const kind = event.buttons & 4 ? "pan" : event.buttons & 2 ? "zoom" : tool();
    if (kind === "pan") act.pan(dx, dy);
    else if (kind === "zoom") act.zoom(Math.exp(-dy / 150));
    else if (kind === "window") act.window(dx, dy);
    else {
      travelled += dy;
      const steps = Math.trunc(travelled / STEP);
      travelled -= steps * STEP;
      if (steps) act.scroll(steps);
    }
  };
  const pinch = (event, before) => {
    const [other] = [...down.values()].filter((one) => one.id !== event.pointerId);
    const distance = (x, y) => Math.hypot(x - other.x, y - other.y) || 1;
    act.zoom(distance(event.offsetX, event.offsetY) / distance(before.x, before.y), other.x, other.y);
    act.pan((event.offsetX - before.x) / 2, (event.offsetY - before.y) / 2);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    travelled = 0;
    down.set(event.pointerId, { id: event.pointerId, x: event.offsetX, y: event.offsetY });
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const now = { id: event.pointerId, x: event.offsetX, y: event.offsetY };
    if (down.size === 2) pinch(event, before);
    else if (down.size === 1) drag(event, now.x - before.x, now.y - before.y);
    down.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(end, (event) => down.delete(event.pointerId));
  }
}
