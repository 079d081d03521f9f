// Closed trades by their real fills, with filters and their sum; a row opens.
import { read } from "./ask.js";
import { explained } from "./decisions.js";
import { byId, choices, el, none, table, whenChanged } from "./dom.js";
import { dayOf, dollars, percent, plural, price, signed, span, tone, words } from "./format.js";
import { opening } from "./opening.js";

const FEW = 100;
const MOST = 500;
let limit = FEW;

const field = (name) => byId(`trade-${name}`);

/** Read and show; the filters tell what. */
export async function showTrades() {
  const asked = Object.fromEntries(["first", "last", "engine", "reason"].map((name) => [name, field(name).value]));
  asked.ticker = field("ticker").value.trim().toUpperCase();
  const { trades, more, sum, first, last } = await read("/api/trades", { ...asked, limit });
  showSum(sum, more, first, last);
  draw(trades, more);
}

/** The engines and exit reasons that there are to choose from. */
export function offerTrades(performance) {
  const names = (column) => [...new Set(performance.map((cell) => cell[column]))].sort();
  choices(field("engine"), names("engine"), "all");
  choices(field("reason"), names("exit_reason"), "all");
}

export function wireTrades(again) {
  for (const name of ["first", "last", "ticker", "engine", "reason"]) {
    field(name).addEventListener("change", () => { limit = FEW; again(); });
  }
  document.addEventListener("more-trades", () => { limit = MOST; again(); });
}

const showSum = whenChanged((sum, more, first, last) => {
  const parts = [
    `${more ? "The newest " : ""}${plural(sum.trades, "trade")} from ${first} to ${last}`,
    `${sum.wins} won (${percent(sum.win_rate)})`,
    `average ${signed(sum.mean_r, 2, " R")}`,
    `fees ${dollars(sum.fees)}`,
    `slippage ${dollars(sum.slippage)}`,
  ];
  byId("trade-sum").replaceChildren(
    el("b", { class: tone(sum.net_pnl) }, dollars(sum.net_pnl, true)), ` net · ${parts.join(" · ")}`);
});

const rows = opening((trade) => trade.position_id, async (trade) => {
  const facts = [
    ["Contract", trade.symbol],
    ["Bought", `${trade.opened_et} ET, ${trade.qty} at ${price(trade.entry_price)}`],
    ["Sold", `${trade.closed_et} ET at ${price(trade.exit_price)}, ${words(trade.exit_reason)}, after ${span(trade.holding_s)}`],
    ["Costs", `fees ${dollars(trade.fees)}, slippage per share in ${price(trade.entry_slippage)}, out ${price(trade.exit_slippage)}`],
  ];
  const about = el("dl", {}, ...facts.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]));
  if (trade.signal_id === null) return about;
  const why = await read("/api/why", { of: trade.signal_id }).then(
    ({ signals }) => explained(signals[0]), (error) => el("p", { class: "dim" }, error.message));
  return el("div", {}, about, why);
});

const draw = whenChanged((trades, more) => {
  const list = byId("trade-list");
  if (!trades.length) return list.replaceChildren(none("No trade matches."));
  const columns = [
    { title: "Closed", cell: (t) => [t.closed_et.slice(11, 16), el("small", { class: "keep" }, dayOf(t.closed_et))] },
    { title: "Contract", cell: (t) => [
      `${t.qty} × ${t.label}`, el("small", {}, words(t.engine), el("span", { class: "narrow" }, ` · ${words(t.exit_reason)}`))] },
    { title: "Setup", wide: true, cell: (t) => words(t.setup) },
    { title: "In", wide: true, num: true, cell: (t) => price(t.entry_price) },
    { title: "Out", wide: true, num: true, cell: (t) => price(t.exit_price) },
    { title: "Held", wide: true, num: true, cell: (t) => span(t.holding_s) },
    { title: "Exit", wide: true, cell: (t) => el("span", { class: "tag" }, words(t.exit_reason)) },
    { title: "Net", num: true, cell: (t) => [
      el("b", { class: tone(t.net_pnl) }, dollars(t.net_pnl, true)), el("small", {}, signed(t.net_r, 2, " R"))] },
  ];
  const after = more ? [el("button", { type: "button", onclick: () => document.dispatchEvent(new Event("more-trades")) }, "Show more")] : [];
  list.replaceChildren(el("div", { class: "long" }, rows.into(table(columns, trades, rows.row), columns.length)), ...after);
});
