// Today's result and a price with entries and exits, drawn by TradingView's Lightweight Charts.
import { byId, choices, el, none, say, whenChanged } from "./dom.js";
import { dollars, easternClock, plural, tone } from "./format.js";

const LIBRARY = "/page/vendor/lightweight-charts-5.2.1.mjs";
const LABELLED = 10;
const dark = matchMedia("(prefers-color-scheme: dark)");
let library = null;
const charts = {};

/** `today` is the answer of /api/today. */
export async function showToday(today) {
  library ??= await import(LIBRARY);
  choices(byId("symbol"), today.symbols);
  byId("symbol").value = today.symbol;
  drawCurve(today.curve);
  drawPrice(today.symbol, today.bars, today.marks);
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const looks = () => ({
  layout: {
    background: { type: "solid", color: "transparent" }, textColor: colour("dim"), fontSize: 11,
    attributionLogo: false,
  },
  grid: { vertLines: { visible: false }, horzLines: { color: colour("line") } },
});

function chart(id) {
  const made = library.createChart(byId(id), {
    ...looks(),
    autoSize: true,
    localization: { timeFormatter: easternClock, locale: "en-US" },
    timeScale: {
      timeVisible: true, borderVisible: false, tickMarkFormatter: easternClock, fixLeftEdge: true, fixRightEdge: true,
    },
    rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.16, bottom: 0.16 } },
    crosshair: { mode: library.CrosshairMode.Magnet },
    handleScroll: { mouseWheel: false, vertTouchDrag: false },
    handleScale: { mouseWheel: false },
  });
  return made;
}

/** Without data a sentence stands in the chart's place. */
function emptied(id, empty, text) {
  const place = byId(id);
  place.querySelector(".none")?.remove();
  if (empty) place.append(none(text));
  if (charts[id]) charts[id].box.style.visibility = empty ? "hidden" : "visible";
  return empty;
}

function made(id, build) {
  if (!charts[id]) {
    const drawn = chart(id);
    charts[id] = { chart: drawn, box: byId(id).firstElementChild, ...build(drawn) };
  }
  return charts[id];
}

const drawCurve = whenChanged((points) => {
  const last = points.at(-1)?.[1] ?? null;
  say(byId("curve-now"), last === null ? "" : dollars(last, true));
  byId("curve-now").className = tone(last) ?? "";
  if (emptied("curve", points.length < 2, "The curve begins when the market opens.")) return;
  const { chart: drawn, series } = made("curve", (into) => ({
    series: into.addSeries(library.BaselineSeries, {
      baseValue: { type: "price", price: 0 }, lineWidth: 2, priceLineVisible: false,
      priceFormat: { type: "custom", formatter: (value) => dollars(value), minMove: 0.01 },
    }),
  }));
  series.setData(points.map(([time, value]) => ({ time, value })));
  paint();
  drawn.timeScale().fitContent();
});

const drawPrice = whenChanged((symbol, bars, marks) => {
  const count = (kind) => marks.filter((mark) => mark.kind === kind).length;
  const title = `${symbol}: ${plural(count("entry"), "entry", "entries")}, ${plural(count("exit"), "exit")}`;
  say(byId("price-says"), title);
  if (emptied("price", !bars.length, `No minute of ${symbol} is in memory today.`)) return;
  const price = made("price", (into) => {
    const series = into.addSeries(library.AreaSeries, { lineWidth: 2, priceLineVisible: false });
    into.subscribeCrosshairMove(({ time }) => tellMark(time));
    return { series, pins: library.createSeriesMarkers(series, []) };
  });
  price.series.setData(bars.map(([time, , , , close]) => ({ time, value: close })));
  price.title = title;
  price.pinned = pinned(bars, marks);
  paint();
  price.chart.timeScale().fitContent();
});

/** Each mark on the bar of its minute, or on the nearest there is. */
function pinned(bars, marks) {
  const times = bars.map(([time]) => time);
  return marks.map((mark) => {
    const later = times.findIndex((time) => time > mark.t);
    return { ...mark, time: later === -1 ? times.at(-1) : times[Math.max(0, later - 1)] };
  });
}

function tellMark(time) {
  const here = charts.price.pinned.filter((mark) => mark.time === time);
  say(byId("price-says"), here.length
    ? here.map((mark) => `${easternClock(mark.t)} ${mark.text}${mark.pnl === null ? "" : ` (${dollars(mark.pnl, true)})`}`).join("; ")
    : charts.price.title);
}

function paint() {
  for (const { chart: drawn } of Object.values(charts)) drawn.applyOptions(looks());
  const soft = (name, share) => `color-mix(in srgb, ${colour(name)} ${share}%, transparent)`;
  const rgba = (name, share) => {
    const probe = el("span", { style: { color: soft(name, share) } });
    document.body.append(probe);
    const [, r, g, b, a] = getComputedStyle(probe).color.match(/srgb ([\d.]+) ([\d.]+) ([\d.]+) \/ ([\d.]+)/) ?? [];
    probe.remove();
    return r === undefined ? colour(name) : `rgba(${[r, g, b].map((x) => Math.round(x * 255)).join(",")},${a})`;
  };
  charts.curve?.series.applyOptions({
    topLineColor: colour("good"), topFillColor1: rgba("good", 28), topFillColor2: rgba("good", 3),
    bottomLineColor: colour("bad"), bottomFillColor1: rgba("bad", 3), bottomFillColor2: rgba("bad", 28),
  });
  if (!charts.price) return;
  charts.price.series.applyOptions({
    lineColor: colour("accent"), topColor: rgba("accent", 16), bottomColor: rgba("accent", 1),
  });
  const few = charts.price.pinned.length <= LABELLED;
  charts.price.pins.setMarkers(charts.price.pinned.map(({ time, kind, pnl }) => ({
    time,
    position: kind === "entry" ? "belowBar" : "aboveBar",
    shape: kind === "entry" ? "arrowUp" : "arrowDown",
    color: kind === "entry" ? colour("accent") : pnl < 0 ? colour("bad") : colour("good"),
    text: few ? (kind === "entry" ? "in" : dollars(pnl, true)) : "",
  })));
}

dark.addEventListener("change", () => library && paint());
