// Every request that the page makes. One reader of the database at a time: the daemon serves few.

const PATIENCE_MS = 5000;
let turn = Promise.resolve();

export class Refused extends Error {}

async function answer(path, options = {}) {
  const response = await fetch(path, { ...options, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  const body = await response.json();
  return { status: response.status, body };
}

/** JSON from memory. */
export async function live() {
  const { status, body } = await answer("/api/live");
  if (status !== 200) throw new Refused(body.text ?? body.error);
  return body;
}

/** JSON from the database; `fields` without a value are left out. */
export function read(path, fields = {}) {
  const given = Object.entries(fields).filter(([, value]) => value !== "" && value !== null);
  const address = given.length ? `${path}?${new URLSearchParams(given)}` : path;
  const mine = turn.then(async () => {
    const { status, body } = await answer(address);
    if (status !== 200) throw new Refused(body.text ?? body.error);
    return body;
  });
  turn = mine.catch(() => undefined);
  return mine;
}

/** A command. `status` 202 means that the daemon asks back. */
export function command(verb, token, fields) {
  return answer(`/api/${verb}`, {
    method: "POST",
    headers: { "Authorization": `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify(fields),
  });
}
