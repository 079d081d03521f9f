// The page's rounds: the state every 2 s, the rest when something happened and now and then.
import { live, read } from "./ask.js";
import { showBanner, showLost, tick } from "./banner.js";
import { byId } from "./dom.js";
import { showDecisions, wireDecisions } from "./decisions.js";
import { actions, showControls, wireControls } from "./controls.js";
import { showLearning } from "./learning.js";
import { showPositions } from "./positions.js";
import { showSigns } from "./signs.js";
import { offerTrades, showTrades, wireTrades } from "./trades.js";
import { showUnmanaged } from "./unmanaged.js";

const LIVE_MS = 2000;
const REST_MS = 10000;
const LOST_S = 5;

let answered = performance.now();
let event = null;
let restAt = 0;
let resting = null;
let wake = () => {};

async function round() {
  try {
    const now = await live();
    answered = performance.now();
    showBanner(now);
    showControls(now.controls);
    showPositions(now.positions, actions(), now.exit_kinds);
    showUnmanaged(now.unmanaged);
    showSigns(now);
    document.documentElement.dataset.ready = "live";
    if (now.last_event !== event || performance.now() >= restAt) {
      event = now.last_event;
      showRest();
    }
  } catch (error) {
    const seconds = Math.round((performance.now() - answered) / 1000);
    if (seconds >= LOST_S || !document.documentElement.dataset.ready) showLost(seconds, error.message);
  }
}

/** What is read from the database; one round of it at a time, and none hinders the next. */
function showRest() {
  restAt = performance.now() + REST_MS;
  resting ??= Promise.allSettled([
    quietly(showPicture), quietly(showDecisions), quietly(showTrades), quietly(async () => offerTrades((await showLearning()).performance)),
  ]).then(() => {
    resting = null;
    document.documentElement.dataset.ready = "all";
  });
}

async function showPicture() {
  const [today, charts] = await Promise.all([
    read("/api/today", { symbol: byId("symbol").value }), import("./charts.js")]);
  await charts.showToday(today);
}

/** What cannot be had now is asked for again soon; what is shown stays. */
async function quietly(work) {
  try {
    await work();
  } catch (error) {
    restAt = Math.min(restAt, performance.now() + LIVE_MS);
    console.warn(error.message);
  }
}

async function forever() {
  for (;;) {
    if (!document.hidden) await round();
    await new Promise((done) => {
      wake = done;
      setTimeout(done, LIVE_MS);
    });
  }
}

document.addEventListener("visibilitychange", () => wake());
wireControls();
wireDecisions(() => quietly(showDecisions));
wireTrades(() => quietly(showTrades));
byId("symbol").addEventListener("change", () => quietly(showPicture));
setInterval(tick, 1000);
forever();
