// What was learnt: how much each component counts, how the hours have done, and engines by exit.
import { read } from "./ask.js";
import { byId, el, none, table, whenChanged } from "./dom.js";
import { dayOf, dollars, listed, percent, plural, signed, tone, words } from "./format.js";

/** Read and show; what it gives back tells the filters of the trades what there is. */
export async function showLearning() {
  const learnt = await read("/api/learning");
  draw(learnt);
  return learnt;
}

const draw = whenChanged(({ weights, cells, cells_in_all: inAll, performance }) => {
  fill("weights", weights, "No weight was learnt yet: every component counts as it did at first.", [
    { title: "Component", cell: (w) => [words(w.feature), el("small", {}, `${plural(w.trades, "trade")}, ${dayOf(w.at_et)}`)] },
    { title: "Weight", num: true, cell: (w) => w.weight.toFixed(2) },
    { title: "", cell: (w) => bar(w.weight, w.why) },
  ]);
  fill("cells", cells, "No hour has a trade yet.", [
    { title: "Engine and setup", cell: ({ cell }) => {
      const [engine, setup, hour, part] = cell.split("|");
      return [listed(", ", engine, setup), el("small", {}, `${hour ?? ""}h ${words(part ?? "")}`)];
    } },
    { title: "Trades", num: true, cell: (c) => String(c.trades) },
    { title: "Mean R", num: true, cell: (c) => el("b", { class: tone(c.mean_r) }, signed(c.mean_r, 2)) },
  ]);
  if (cells.length < inAll) byId("cells").append(el("p", { class: "dim" }, `and ${inAll - cells.length} with fewer trades`));
  fill("performance", performance, "No trade was closed yet.", [
    { title: "Engine and setup", cell: (p) => [
      words(p.engine), el("small", { class: "wide" }, words(p.setup)),
      el("small", { class: "narrow" }, listed(" · ", p.setup, p.exit_reason))] },
    { title: "Exit", wide: true, cell: (p) => words(p.exit_reason) },
    { title: "Trades", num: true, cell: (p) => [String(p.trades), el("small", {}, percent(p.wins / p.trades))] },
    { title: "Net", num: true, cell: (p) => [
      el("b", { class: tone(p.net_pnl) }, dollars(p.net_pnl, true)), el("small", {}, signed(p.mean_r, 2, " R"))] },
  ]);
});

function fill(id, rows, empty, columns) {
  byId(id).replaceChildren(rows.length ? el("div", { class: "long" }, table(columns, rows)) : none(empty));
}

/** The middle is 1, what a component counts untaught. */
function bar(weight, why) {
  const share = Math.min(100, Math.max(0, weight * 50));
  return el("div", { class: "bar", title: why }, el("i", { style: { width: `${share}%` } }));
}
