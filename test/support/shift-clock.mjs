// Preloaded with `node --import`: the time of day of that process is off by as many milliseconds as the file that SHIFT_CLOCK
// names says, and jumps when the file changes. Timers and performance.now() go on as they are, as they do on a real machine.
import { readFileSync } from "node:fs";

const LOOK_MS = 20;
const file = process.env.SHIFT_CLOCK;
const realNow = Date.now.bind(Date);
const RealDate = Date;
let shiftMs = 0;

setInterval(() => {
  shiftMs = Number(readFileSync(file, "utf8"));
}, LOOK_MS).unref();

globalThis.Date = class extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(realNow() + shiftMs);
    else super(...given);
  }
  static now() {
    return realNow() + shiftMs;
  }
};
