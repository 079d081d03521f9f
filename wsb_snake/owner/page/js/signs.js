// Signs of life, and the limits and feeds in force.
import { byId, el, say, whenChanged } from "./dom.js";
import { age, words } from "./format.js";

/** `live` is the answer of /api/live. */
export function showSigns(live) {
  byId("sign-list").replaceChildren(...live.signs.map((sign) =>
    el("div", { class: sign.stale ? "bad" : null }, el("span", {}, words(sign.name)), el("span", {}, age(sign.age_s)))));
  byId("beats").replaceChildren(...Object.entries(live.heartbeats).map(([name, seconds]) =>
    el("div", {}, el("span", { class: "dim" }, name), el("span", {}, age(seconds)))));
  const up = (state) => (state === null ? "none" : state ? "up" : "down");
  facts([
    ["Order stream", up(live.stream_up)],
    ["Telegram", up(live.chat_up)],
    ["Database", live.db_writable ? `writable, waits ${age(live.db_waiting_s)}` : "cannot be written"],
    ["Clock", live.clock_skew_s === null ? "not compared yet" : `${live.clock_skew_s} s from the broker's`],
    ["At the broker", `${live.broker_positions ?? "?"} positions`],
    ...Object.entries(live.feeds).map(([name, feed]) => [`Feed of ${name}`, feed]),
    ...Object.entries(live.limits).map(([name, text]) => [name === "all" ? "Limits" : words(name), text]),
    ["Last event", live.last_event || "none"],
  ]);
  say(byId("version"), `version ${live.version}, started ${live.started_et.replace("T", " ")} ET`);
}

const facts = whenChanged((rows) => {
  byId("facts").replaceChildren(...rows.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]));
});
