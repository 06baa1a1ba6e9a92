// Buttons, keys and gestures of the stage.

import { listen } from "./gestures.js";
import { dragged } from "./windows.js";

const ZOOM = 1.25;
const PAGE = 10;

const part = (id) => document.getElementById(id);

/** Wire what changes how the picture is seen; `stack` has stage, go(index), index, count, changed(), choose(window), play(). */
export function wire(stack) {
  const { stage } = stack;
  const { view } = stage;
  const press = (id, act) => part(id).addEventListener("click", () => { act(); stack.changed(); });
  const flip = (id) => press(id, () => { view.flip(id); show(stage); });
  const turn = (id, quarters) => press(id, () => { view.turn(quarters); show(stage); });
  turn("left", -1);
  turn("right", 1);
  flip("across");
  flip("over");
  press("invert", () => invert(stage));
  press("smaller", () => view.zoomBy(1 / ZOOM));
  press("larger", () => view.zoomBy(ZOOM));
  press("whole", () => view.fit());
  press("exact", () => view.exact());
  press("reset", () => reset(stack));
  part("play").addEventListener("click", () => stack.play());
  part("slider").addEventListener("input", (event) => stack.go(Number(event.target.value) - 1));
  part("presets").addEventListener("change", (event) => stack.choose(Number(event.target.value)));
  const act = {
    scroll: (steps) => stack.go(stack.index + steps),
    pan: (dx, dy) => view.move(dx, dy),
    zoom: (factor, x, y) => { view.zoomBy(factor, x, y); stack.changed(); },
    window: (dx, dy) => {
      const window = stage.inUse;
      if (window) stack.setWindow(dragged(window, dx, dy, stage.extent));
    },
    key: (key) => keyed(stack, key),
  };
  listen(stage.canvas, act, () => document.querySelector('input[name="tool"]:checked').value);
  // a finger scrolls, as it does everywhere
  if (matchMedia("(pointer: coarse)").matches) document.querySelector('input[value="scroll"]').checked = true;
}

function keyed(stack, key) {
  const { stage, index } = stack;
  const { view } = stage;
  const acts = {
    PageUp: () => stack.go(index - PAGE),
    PageDown: () => stack.go(index + PAGE),
    Home: () => stack.go(0),
    End: () => stack.go(stack.count - 1),
    " ": () => stack.play(),
    "+": () => view.zoomBy(ZOOM),
    "-": () => view.zoomBy(1 / ZOOM),
    r: () => view.turn(1),
    h: () => view.flip("across"),
    v: () => view.flip("over"),
    i: () => invert(stage),
    0: () => reset(stack),
  };
  if (/^[1-9]$/.test(key)) stack.choose(Number(key) - 1);
  else if (acts[key.length === 1 ? key.toLowerCase() : key]) acts[key.length === 1 ? key.toLowerCase() : key]();
  else return false;
  show(stage);
  stack.changed();
  return true;
}

function invert(stage) {
  stage.isInverted = !stage.isInverted;
  stage.redraw();
  show(stage);
}

function reset(stack) {
  stack.stage.isInverted = false;
  stack.stage.view.reset();
  stack.choose(0);
  show(stack.stage);
}

/** Show which of the switches are on. */
function show({ view, isInverted }) {
  const isOnItsSide = view.turns % 2 === 1;
  const [across, over] = isOnItsSide ? [view.over, view.across] : [view.across, view.over];
  const on = { across, over, invert: isInverted };
  for (const [id, value] of Object.entries(on)) part(id).setAttribute("aria-pressed", String(value));
}
