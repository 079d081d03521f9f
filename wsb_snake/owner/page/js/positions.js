// What is held: the result now, and where the price lies between stop, entry and target.
import { byId, el, none, say, whenChanged } from "./dom.js";
import { dollars, price, signed, timeOf, tone, words } from "./format.js";

const MANY = 12;
const rows = new Map();

/** `can.close(symbol)` asks to sell it and `can.adopt(symbol, kind)` to give it exits; each is null where it
 *  may not be asked. `kinds` tells in words what the exits of each kind are. */
export function showPositions(positions, can, kinds) {
  const list = byId("position-list");
  list.className = positions.length > MANY ? "long" : "";
  const seen = new Set(positions.map((each) => each.position_id));
  for (const [id, row] of rows) {
    if (!seen.has(id)) {
      row.node.remove();
      rows.delete(id);
    }
  }
  if (!positions.length) return list.replaceChildren(none("No position is open."));
  list.querySelector(".none")?.remove();
  for (const position of positions) {
    const id = position.position_id;
    if (!rows.has(id)) {
      rows.set(id, makeRow());
      list.append(rows.get(id).node);
    }
    fill(rows.get(id), position, can.close);
    const { needs_exits, expires_today, symbol, adopting } = position; // what moves redraws no button
    rows.get(id).showBare({ needs_exits, expires_today, symbol, adopting }, can.adopt !== null, kinds, can.adopt);
  }
}

function makeRow() {
  const part = Object.fromEntries(
    ["name", "about", "pnl", "change", "low", "high", "quote", "until"].map((name) => [name, el("small")]));
  part.name = el("b");
  part.pnl = el("span", { class: "pnl" });
  part.low = el("span");
  part.high = el("span");
  part.reach = el("i");
  part.entry = el("i", { class: "entry", title: "entry" });
  part.at = el("i", { class: "at", title: "now" });
  part.track = el("div", { class: "track" }, part.reach, part.entry, part.at);
  part.do = el("div", { class: "do" });
  part.bare = el("div", { class: "strip" });
  const node = el("article", { class: "pos" },
    el("div", {}, part.name, part.about),
    el("div", { class: "money" }, part.pnl, part.change),
    el("div", { class: "way" }, part.track, el("div", { class: "ends" }, part.low, part.high)),
    el("div", { class: "more" }, part.quote, part.until),
    part.do, part.bare,
  );
  return { node, part, showBare: whenChanged((...shown) => fillBare(part.bare, ...shown)) };
}

/** What no rule sells is said, with the ways to change that. */
function fillBare(bare, { needs_exits: needed, expires_today: today, symbol, adopting }, may, kinds, adopt) {
  bare.hidden = !needed;
  const ways = Object.entries(may ? kinds : {}).map(([kind, exits]) => el("div", {},
    el("button", { class: "small", type: "button", onclick: () => adopt(symbol, kind) }, `Adopt as ${kind}`),
    el("span", {}, `${exits}. ${adopting[kind] ?? ""}`)));
  const sells = today ? "No rule but the end of the day sells this." : "No rule sells this before the day it expires.";
  bare.replaceChildren(...(needed ? [el("p", {}, sells), ...ways] : []));
}

function fill({ node, part }, position, close) {
  node.title = position.symbol;
  say(part.name, `${position.qty} × ${position.label}`);
  const state = position.state === "open" ? "" : ` · ${words(position.state)}`;
  const today = position.expires_today ? "0DTE · " : "";
  const origin = position.origin === "ours" ? "" : ` · ${words(position.origin)}`;
  say(part.about, `${today}${words(position.engine)}${origin}${state}${position.monitored ? "" : " · NOT WATCHED"}`);
  part.about.className = position.monitored ? "" : "bad";
  say(part.pnl, dollars(position.unrealised, true));
  part.pnl.className = `pnl ${tone(position.unrealised) ?? ""}`;
  say(part.change, signed(position.pnl_pct, 1, " %"));
  fillTrack(part, position);
  const open = position.stop_price === null && position.target_price === null;
  const trails = position.trail_price !== null;
  part.low.parentElement.hidden = open && !trails;
  const trail = level("trail", position.trail_price, position.to_trail_pct);
  const stop = level("stop", position.stop_price, position.to_stop_pct);
  say(part.low, !trails ? stop : position.stop_price === null ? trail : `${stop}, ${trail}`);
  say(part.high, level("target", position.target_price, position.to_target_pct));
  say(part.quote, `${price(position.bid)} / ${price(position.ask)}, paid ${price(position.entry_price)}`);
  const until = position.time_exit_et ? `out by ${timeOf(position.time_exit_et)}` : "no time limit";
  const rules = open && !trails && !position.needs_exits ? ", no fixed stop or target" : "";
  say(part.until, `since ${timeOf(position.opened_et)}, ${until}${rules}`);
  if (close !== null && !part.do.firstChild) {
    part.do.append(el("button", { class: "small danger", type: "button", onclick: () => close(position.symbol) }, "Close"));
  } else if (close === null) part.do.replaceChildren();
}

function level(name, at, away) {
  if (at === null) return `no ${name}`;
  return away === null ? `${name} ${price(at)}` : `${name} ${price(at)} (${signed(away, 1, " %")})`;
}

function fillTrack(part, { place, entry_place: entry }) {
  part.track.hidden = place === null || entry === null;
  if (place === null || entry === null) return;
  part.reach.className = place >= entry ? "gain" : "loss";
  part.reach.style.left = `${Math.min(place, entry) * 100}%`;
  part.reach.style.width = `${Math.abs(place - entry) * 100}%`;
  part.entry.style.left = `${entry * 100}%`;
  part.at.style.left = `${place * 100}%`;
}
