// The state in one look: trading or paused and why, the day's result, the countdown to EOD and its proof.
import { byId, el, say, whenChanged } from "./dom.js";
import { dollars, span, tone } from "./format.js";

const PROOF = {
  proven: "Flat in 0DTE is proven for today.",
  closing: "Closing 0DTE: flat is not proven yet.",
  overdue: "0DTE is NOT proven flat, past the time. Look at the broker.",
};
let due = null;

/** `live` is the answer of /api/live. */
export function showBanner(live) {
  byId("banner").className = `tone-${live.banner.tone}`;
  document.body.classList.remove("lost");
  say(byId("headline"), live.banner.headline);
  document.title = `${live.banner.headline} · WSB Snake`;
  const mode = byId("mode");
  mode.hidden = false;
  say(mode, `${live.mode} ${live.account ?? "account unknown"}`);
  say(byId("clock"), `${live.now_et.slice(11, 19)} ET`);
  showCauses(live);
  const pnl = byId("day-pnl");
  say(pnl, dollars(live.day_pnl, true));
  pnl.className = tone(live.day_pnl) ?? "";
  say(byId("equity"), dollars(live.equity));
  const watched = live.all_positions_monitored ? "" : " not all watched";
  say(byId("count"), `${live.open_positions}${watched}`);
  byId("count").className = watched ? "bad" : "";
  due = live.eod.seconds === null ? null : { at: performance.now() + live.eod.seconds * 1000, eod: live.eod };
  tick();
  byId("countdown").className = live.eod.late_s === null ? "" : live.eod.state === "overdue" ? "bad" : "warn";
  showProof(live.eod);
}

/** The daemon does not answer: what is shown grows old. */
export function showLost(seconds, why) {
  byId("banner").className = "tone-bad";
  document.body.classList.add("lost");
  say(byId("headline"), "No answer from the daemon");
  document.title = "No answer · WSB Snake";
  showCauses.lost(seconds, why);
}

/** Once a second: the countdown goes on between two answers. */
export function tick() {
  if (due === null) return say(byId("countdown"), "–");
  if (due.eod.late_s !== null) return say(byId("countdown"), `${span(due.eod.late_s)} ago`);
  const left = (due.at - performance.now()) / 1000;
  return say(byId("countdown"), due.eod.today ? `in ${span(left)}` : due.eod.at_et.replace(" ET", ""));
}

function showCauses(live) {
  const pauses = live.pauses.map(({ reason, detail }) => `Entries paused (${reason}): ${detail}`);
  const told = new Set(live.pauses.map(({ reason }) => `entries paused (${reason})`));
  const others = live.reasons.filter((reason) => !told.has(reason));
  draw(live.status === "unhealthy" ? "bad" : "warn", others, pauses, live.banner.goes_on, live.warnings);
}
showCauses.lost = (seconds, why) =>
  draw("bad", [`The last answer is ${seconds} s old${why ? ` (${why})` : ""}. Is the daemon running?`], [], null, []);

const draw = whenChanged((level, reasons, pauses, goesOn, warnings) => {
  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
  byId("causes").replaceChildren(
    ...reasons.map((text) => el("p", { class: level }, `${capital(text)}.`)),
    ...pauses.map((text) => el("p", { class: "warn" }, `${text}.`)),
    ...(goesOn ? [el("p", {}, `Meanwhile ${goesOn}.`)] : []),
    ...warnings.map((text) => el("p", { class: "dim" }, `Note: ${text}`)),
  );
});

const showProof = whenChanged((eod) => {
  const text = PROOF[eod.state];
  const level = { proven: "good", closing: "warn", overdue: "bad" }[eod.state];
  byId("proof").replaceChildren(
    ...(text ? [el("b", { class: level }, text), " "] : []), `EOD: ${eod.line}`,
  );
});
