// Table rows that open: by click or key, loaded once, and still open after the table is drawn anew.
import { el } from "./dom.js";

/** `key(row)` names a row, `load(row)` promises the element that it shows when open. */
export function opening(key, load) {
  const open = new Map();
  let width = 1;

  function show(line, shown) {
    line.after(el("tr", { class: "opened" }, el("td", { colSpan: width }, shown)));
    line.setAttribute("aria-expanded", "true");
  }

  async function toggle(line, row) {
    if (open.delete(key(row))) {
      if (line.nextElementSibling?.classList.contains("opened")) line.nextElementSibling.remove();
      line.setAttribute("aria-expanded", "false");
      return;
    }
    const shown = el("div", { class: "why" }, "…");
    open.set(key(row), shown);
    show(line, shown);
    shown.replaceChildren(await load(row).catch((error) => el("p", { class: "warn" }, error.message)));
  }

  return {
    row: (row) => ({
      class: "opens", tabIndex: 0, ariaExpanded: "false", data: { key: key(row) },
      onclick: (event) => toggle(event.currentTarget, row),
      onkeydown: (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        toggle(event.currentTarget, row);
      },
    }),
    /** The finished table, with what was open before. */
    into(made, columns) {
      width = columns;
      for (const line of made.querySelectorAll("tr.opens")) {
        const shown = open.get(line.dataset.key);
        if (shown) show(line, shown);
      }
      return made;
    },
  };
}
