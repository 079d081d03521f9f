// What changes something: only where the daemon offers it, with the token that the owner types here, by
// POST, and after a second question. The token is in this page's memory alone and goes with it.
import { command } from "./ask.js";
import { byId, el, say, whenChanged } from "./dom.js";

const VALID_S = 30;
const GOES_ON = "Open positions are watched and closed as usual.";
const PAUSES = [["", "until I resume"], ["15", "15 minutes"], ["30", "30 minutes"], ["60", "1 hour"], ["120", "2 hours"], ["240", "4 hours"]];
const ACTIONS = [
  { verb: "halt", title: "Halt entries", text: `No new entries until you resume. ${GOES_ON}` },
  { verb: "resume", title: "Resume" },
  { verb: "cancel", title: "Cancel entries" },
  { verb: "eod", title: "EOD check" },
  { verb: "flatten", argument: "0dte", title: "Sell 0DTE", danger: true },
  { verb: "flatten", argument: "all", title: "Sell everything", danger: true },
];
let offered = new Map();
let pending = null;

/** `controls` are those of /api/live; none means that no token is set, and nothing is shown. */
export const showControls = whenChanged((controls) => {
  offered = new Map(controls.map((control) => [control.verb, control]));
  byId("controls").hidden = byId("to-controls").hidden = !controls.length;
  const buttons = ACTIONS.filter(({ verb }) => offered.has(verb)).map((action) =>
    el("button", { type: "button", class: action.danger ? "danger" : null, onclick: () => begin(action) }, action.title));
  byId("verbs").replaceChildren(...(offered.has("pause") ? [pausing()] : []), ...buttons);
});

/** What the rows of positions may call: each is null where it may not be asked for. */
export const actions = () => ({
  close: offered.has("close") ? close : null,
  adopt: offered.has("adopt") ? adopt : null,
});

function close(symbol) {
  begin({ verb: "close", argument: symbol, title: `Sell ${symbol}`, danger: true });
}

function adopt(symbol, kind) {
  begin({ verb: "adopt", argument: `${symbol} ${kind}`, title: `Adopt ${symbol} as ${kind}`, danger: true });
}

/** The choice of how long, and its button. */
function pausing() {
  const choice = el("select", { id: "pause-for" }, ...PAUSES.map(([value, text]) => el("option", { value }, text)));
  const press = () => {
    const ends = choice.value ? `for ${choice.selectedOptions[0].textContent}; then this pause ends by itself` : "until you resume";
    begin({ verb: "pause", argument: choice.value || undefined, title: "Pause entries", text: `No new entries ${ends}. ${GOES_ON}` });
  };
  return el("div", { class: "pausing" },
    el("label", {}, "Pause entries", choice), el("button", { type: "button", onclick: press }, "Pause"));
}

/** First step: what the daemon says it would do, or what the page knows of it. */
async function begin(action) {
  const token = byId("token").value;
  if (!token) {
    tell("Type the control token first: it is WSB_SNAKE_CONTROL_TOKEN of the daemon.", "warn");
    return byId("token").focus();
  }
  if (!offered.get(action.verb).confirmed) return question(action, action.text, null);
  await attempt(async () => {
    const { status, body } = await command(action.verb, token, fields(action));
    if (status === 202) question(action, body.text.replace(/ Send it again.*$/, ""), body.confirm);
    else tell(body.text ?? body.error, "bad");
  });
}

/** Second step: a person says yes within 30 s, once. */
function question(action, text, confirm) {
  const asked = { action, confirm, ends: performance.now() + VALID_S * 1000 };
  pending = asked;
  say(byId("confirm-title"), action.title);
  say(byId("confirm-text"), text);
  byId("confirm-yes").className = action.danger ? "danger" : "";
  byId("confirm").showModal();
  byId("confirm-no").focus();
  countDown(asked);
}

function countDown(asked) {
  if (pending !== asked) return;
  const left = Math.ceil((asked.ends - performance.now()) / 1000);
  if (left <= 0) {
    tell("Nothing was done: no answer within 30 s.", "warn");
    return dismiss();
  }
  say(byId("confirm-left"), `${left} s left to say yes`);
  setTimeout(countDown, 250, asked);
}

function dismiss() {
  pending = null;
  byId("confirm").close();
}

async function confirmed() {
  const asked = pending;
  if (asked === null) return;
  dismiss();
  const extra = asked.confirm === null ? {} : { confirm: asked.confirm };
  await attempt(async () => {
    const { status, body } = await command(asked.action.verb, byId("token").value, { ...fields(asked.action), ...extra });
    tell(body.text ?? body.error, status === 200 ? "good" : "bad");
  });
}

const fields = ({ argument }) => (argument === undefined ? {} : { argument });

async function attempt(work) {
  tell("Asking …", "dim");
  try {
    await work();
    if (pending !== null) tell("", "dim");
  } catch (error) {
    tell(`No answer (${error.message}). It may have been done: look at the positions.`, "bad");
  }
}

function tell(text, tone) {
  byId("said").className = tone;
  say(byId("said"), text);
  if (tone === "bad") byId("said").scrollIntoView({ block: "nearest" }); // what was pressed may be far away
}

export function wireControls() {
  byId("confirm-yes").addEventListener("click", confirmed);
  byId("confirm-no").addEventListener("click", dismiss);
  byId("confirm").addEventListener("cancel", () => { pending = null; });
}
