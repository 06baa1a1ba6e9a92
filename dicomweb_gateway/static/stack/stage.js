// What stands on the stage: the picture in its window, and what is written around it.

import { shaded, widest } from "./shading.js";
import { rounded } from "./windows.js";
import { View } from "./view.js";

/** Draws pictures; `window` is null for the image's own, "all" for all values, or [center, width, function]. */
export class Stage {
  constructor(canvas) {
    this.canvas = canvas;
    this.view = new View(canvas);
    this.sheet = document.createElement("canvas");
    Object.assign(this, { picture: null, window: null, isInverted: false, facts: null });
  }

  /** Show `picture` of an image of `size` {rows, columns}; null for an image that is not there yet. */
  show(picture, size) {
    this.picture = picture;
    this.size = size;
    this.redraw();
  }

  redraw() {
    const { picture } = this;
    if (!picture) {
      this.view.clear();
      return;
    }
    const facts = picture.facts ?? this.facts;
    const { columns, rows } = picture.facts?.levels.at(-1) ?? this.size;
    const size = { columns, rows, aspect: facts?.aspect ?? 1, smooth: facts?.smooth ?? true };
    if (picture.bitmap) this.view.set(this.#turnedOver(picture.bitmap), size);
    else this.view.set(this.#shaded(picture), size);
  }

  /** The window that the picture is seen in, null for colour and where the gateway has chosen it. */
  get inUse() {
    if (Array.isArray(this.window)) return this.window;
    const own = (this.picture?.facts ?? this.facts)?.windows?.[0];
    if (this.window === null && own) return own;
    return this.picture?.samples === 1 ? widest(this.picture) : null;
  }

  /** How far the values of the picture reach, in modality values. */
  get extent() {
    if (this.picture?.samples === 1) return widest(this.picture)[1];
    return this.inUse?.[1] ?? 256;
  }

  get windowText() {
    const window = this.inUse;
    return window ? `C ${rounded(window[0])} W ${rounded(window[1])}` : "";
  }

  #shaded(picture) {
    this.sheet.width = picture.columns;
    this.sheet.height = picture.rows;
    const window = picture.samples === 1 ? this.inUse : null;
    this.sheet.getContext("2d").putImageData(shaded(picture, window, this.isInverted), 0, 0);
    return this.sheet;
  }

  #turnedOver(bitmap) {
    if (!this.isInverted) return bitmap;
    this.sheet.width = bitmap.width;
    this.sheet.height = bitmap.height;
    const context = this.sheet.getContext("2d");
    context.drawImage(bitmap, 0, 0);
    context.globalCompositeOperation = "difference";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, bitmap.width, bitmap.height);
    context.globalCompositeOperation = "source-over";
    return this.sheet;
  }
}


