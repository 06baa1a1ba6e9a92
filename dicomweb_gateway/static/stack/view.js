// The picture on the canvas: zoomed, moved, turned, flipped.

const LEAST = 0.05;
const MOST = 40;

/** Draws `set` pictures on `canvas`; the size of an image is that of its full level, whatever level is shown. */
export class View {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.source = null;
    this.reset();
    new ResizeObserver(() => this.#fit()).observe(canvas);
    this.#fit();
  }

  reset() {
    Object.assign(this, { zoom: 1, x: 0, y: 0, turns: 0, across: false, over: false });
    this.paint();
  }

  /** Show `source` (anything that is drawn) as `size` {columns, rows, aspect, smooth}. */
  set(source, size) {
    this.source = source;
    this.size = size;
    this.paint();
  }

  clear() {
    this.source = null;
    this.paint();
  }

  /** Move by `dx`, `dy` pixels of the page. */
  move(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.paint();
  }

  /** Zoom by `factor` about a point of the canvas, its middle without one. */
  zoomBy(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const zoom = Math.min(MOST, Math.max(LEAST, this.zoom * factor));
    const change = zoom / this.zoom;
    const [toX, toY] = [x - this.canvas.clientWidth / 2, y - this.canvas.clientHeight / 2];
    this.x = toX - (toX - this.x) * change;
    this.y = toY - (toY - this.y) * change;
    this.zoom = zoom;
    this.paint();
  }

  fit() {
    Object.assign(this, { zoom: 1, x: 0, y: 0 });
    this.paint();
  }

  /** One pixel of the image is one of the screen. */
  exact() {
    Object.assign(this, { x: 0, y: 0, zoom: 1 / (this.scale * (devicePixelRatio || 1)) });
    this.paint();
  }

  turn(quarters) {
    this.turns = (this.turns + quarters + 4) % 4;
    this.paint();
  }

  flip(which) {
    // of a picture that lies on its side the other axis is the one that people mean
    const axis = this.turns % 2 ? { across: "over", over: "across" }[which] : which;
    this[axis] = !this[axis];
    this.paint();
  }

  /** Pixels of the page for one of the image, before zooming. */
  get scale() {
    if (!this.source) return 1;
    const { columns, rows, aspect } = this.size;
    const [wide, high] = this.turns % 2 ? [rows * aspect, columns] : [columns, rows * aspect];
    return Math.min(this.canvas.clientWidth / wide, this.canvas.clientHeight / high);
  }

  paint() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.#draw();
    });
  }

  #draw() {
    const { canvas, context } = this;
    const ratio = canvas.width / Math.max(1, canvas.clientWidth);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.source) return;
    const { columns, rows, aspect, smooth } = this.size;
    const scale = this.scale * this.zoom;
    context.setTransform(ratio, 0, 0, ratio, canvas.width / 2 + this.x * ratio, canvas.height / 2 + this.y * ratio);
    context.rotate((this.turns * Math.PI) / 2);
    context.scale(this.across ? -scale : scale, this.over ? -scale : scale);
    context.imageSmoothingEnabled = smooth && scale * ratio < 6;
    context.imageSmoothingQuality = scale * ratio < 1 ? "high" : "low";
    const high = rows * aspect;
    context.drawImage(this.source, -columns / 2, -high / 2, columns, high);
  }

  #fit() {
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    // a new size has emptied the canvas
    this.#draw();
  }
}
