// What the engines saw and what became of it; a row opens and says why.
import { read } from "./ask.js";
import { byId, choices, el, none, table, whenChanged } from "./dom.js";
import { price, signed, words } from "./format.js";
import { opening } from "./opening.js";

const TONE = { executed: "good", refused: "warn", too_dear: "warn" };
const FEW = 60;
const MOST = 500;
let limit = FEW;

const field = (name) => byId(`decision-${name}`);

/** Read and show; the filters tell what. */
export async function showDecisions() {
  const day = field("day").value;
  const ticker = field("ticker").value.trim().toUpperCase();
  const { signals, more } = await read("/api/decisions", { ticker, first: day, last: day, limit });
  choices(field("verdict"), [...new Set(signals.map((each) => each.verdict))].sort(), "all");
  draw(signals, more, field("verdict").value);
}

export function wireDecisions(again) {
  for (const name of ["ticker", "verdict", "day"]) field(name).addEventListener("change", again);
  field("day").addEventListener("change", () => { limit = FEW; });
  document.addEventListener("more-decisions", () => { limit = MOST; again(); });
}

const rows = opening((signal) => signal.signal_id, async (signal) => {
  const { signals } = await read("/api/why", { of: signal.signal_id });
  return explained(signals[0]);
});

const draw = whenChanged((signals, more, verdict) => {
  const shown = signals.filter((each) => !verdict || each.verdict === verdict);
  const list = byId("decision-list");
  if (!shown.length) return list.replaceChildren(none("No signal yet. What the engines see and refuse appears here."));
  const columns = [
    { title: "Time", cell: (s) => [s.at_et.slice(11, 16), el("small", { class: "narrow" }, s.ticker)] },
    { title: "Ticker", wide: true, cell: (s) => [`${s.ticker} `, el("small", {}, `${s.direction} at ${price(s.price)}`)] },
    { title: "Seen", wide: true, cell: (s) => [words(s.setup), el("small", {}, words(s.engine))] },
    { title: "Conf.", wide: true, num: true, cell: (s) => s.confidence.toFixed(0) },
    { title: "Decision and why", cell: (s) => [
      el("span", { class: `tag ${TONE[s.verdict] ?? ""}` }, words(s.verdict)),
      el("span", { class: "narrow dim" }, ` ${words(s.setup)}, ${s.confidence.toFixed(0)}`),
      el("small", {}, s.reason)] },
  ];
  const after = more ? [el("button", { type: "button", onclick: () => document.dispatchEvent(new Event("more-decisions")) }, "Show more")] : [];
  list.replaceChildren(el("div", { class: "long" }, rows.into(table(columns, shown, rows.row), columns.length)), ...after);
});

/** One answer of /api/why. */
export function explained(reason) {
  const listed = (figures, form) => Object.entries(figures ?? {}).map(([name, value]) => `${words(name)} ${form(value)}`).join(", ");
  const lines = [
    ["Became", reason.became],
    ["Saw", listed(reason.seen, (value) => Number(value.toPrecision(6)))],
    ["Gave", listed(reason.gave, (value) => signed(value, 1))],
    ["Learnt", `${signed(reason.learnt?.points ?? 0, 0)} points ${reason.learnt?.words ?? ""}`],
    ["Regime", Object.values(reason.regime ?? {}).join(" ")],
    ["Contract", reason.contract],
    ["Governor", reason.governor ?? "was not asked"],
    ["On paper", reason.on_paper],
  ];
  return el("dl", {}, ...lines.filter(([, text]) => text).flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]));
}
