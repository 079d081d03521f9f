// What the broker shows and nobody here looks after: an owner must see it, and settle it at the broker.
import { byId, el, whenChanged } from "./dom.js";

const ADVICE = {
  "shares": "Shares are never traded here. Entries are paused while the broker shows them: settle them there.",
  "short option": "Short options are never traded here. Entries are paused while the broker shows it: settle it there.",
  "covers a short option": "It covers a short option, so no rule sells it. Settle both at the broker.",
  "not in the book yet": "It is taken over once book and broker have been compared, within a minute.",
};

/** `unmanaged` is that of /api/live. */
export const showUnmanaged = whenChanged((unmanaged) => {
  byId("unmanaged").hidden = !unmanaged.length;
  byId("unmanaged-list").replaceChildren(...unmanaged.map(({ label, qty, why }) => el("div", { class: "strip" },
    el("p", {}, el("b", {}, `${qty.replace("-", "−")} × ${label}`), ` ${ADVICE[why] ?? why}`))));
});
