// Elements are built from text, never from markup: what an alert or a vendor says cannot become a script.

export const byId = (id) => document.getElementById(id);

/** An element: `props` are its properties (`class`, `on…` listeners, `style` as an object, `data`). */
export function el(name, props = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (key === "class") made.className = value;
    else if (key === "style") Object.assign(made.style, value);
    else if (key === "data") Object.assign(made.dataset, value);
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key.startsWith("aria") || key === "role") made.setAttribute(key.replace("aria", "aria-"), value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Set the text where it differs, so that selections and screen readers are left in peace. */
export function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** A guard that calls `draw` only when what it would show has changed. */
export function whenChanged(draw) {
  let before;
  return (...shown) => {
    const now = JSON.stringify(shown);
    if (now === before) return;
    draw(...shown);
    before = now;
  };
}

/** A table: `columns` are `{title, wide, num, cell(row)}`. */
export function table(columns, rows, extra = () => ({})) {
  const kind = (column) => [column.num && "num", column.wide && "wide"].filter(Boolean).join(" ") || null;
  const head = el("thead", {}, el("tr", {}, ...columns.map((c) => el("th", { class: kind(c) }, c.title))));
  const body = el("tbody", {}, ...rows.map((row) =>
    el("tr", extra(row), ...columns.map((c) => el("td", { class: kind(c) }, ...[c.cell(row)].flat())))));
  return el("table", {}, head, body);
}

export const none = (text) => el("p", { class: "none" }, text);

/** Fill a choice with `names`, keeping what is chosen. */
export function choices(select, names, first) {
  const chosen = select.value;
  const wanted = [...(first === undefined ? [] : [["", first]]), ...names.map((name) => [name, name])];
  if (chosen && !names.includes(chosen)) wanted.push([chosen, chosen]);
  select.replaceChildren(...wanted.map(([value, text]) => el("option", { value }, text)));
  select.value = chosen || wanted[0]?.[0] || "";
}
