// The server, as functions. Edits go in order, one after the other, and wait in this page while the server is away.

const token = document.querySelector('meta[name="levada-token"]').content;
const UNSENT = `levada-unsent-${location.pathname}`;
const RETRY_MS = 700;

export class Problem extends Error {}
export class Away extends Error {}

async function request(method, name, query, body) {
  const parameters = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined));
  let response;
  try {
    response = await fetch(`/api/${name}?${parameters}`, {
      method,
      headers: { "x-levada-token": token, ...(body ? { "content-type": "application/json" } : {}) },
      body: body ? JSON.stringify(body) : undefined,
      keepalive: method === "POST",
    });
  } catch {
    throw new Away("the server does not answer");
  }
  if (!response.ok) {
    const answer = await response.json().catch(() => ({}));
    throw new Problem(answer.error || `the server answered with ${response.status}`);
  }
  return response;
}

export const read = async (name, query = {}) => (await request("GET", name, query)).json();
export const write = async (name, query = {}, body = {}) => (await request("POST", name, query, body)).json();

export async function bytes(name, query = {}) {
  const response = await request("GET", name, query);
  const fact = (one) => Number(response.headers.get(`x-${one}`));
  return { buffer: await response.arrayBuffer(), fps: fact("fps"), rate: fact("rate"), channels: fact("channels") };
}

// Every edit is kept in localStorage until the server has answered: a reload in between loses nothing.
export class EditQueue {
  constructor({ onState, onProblem, onAway }) {
    Object.assign(this, { onState, onProblem, onAway, running: null });
    this.waiting = JSON.parse(localStorage.getItem(UNSENT) || "[]");
    if (this.waiting.length) this.send();
  }

  add(name, query, body) {
    this.waiting.push({ name, query, body });
    this.keep();
    return this.send();
  }

  keep() {
    localStorage.setItem(UNSENT, JSON.stringify(this.waiting));
  }

  send() {
    this.running ??= this.drain().finally(() => { this.running = null; });
    return this.running;
  }

  async drain() {
    while (this.waiting.length) {
      const { name, query, body } = this.waiting[0];
      try {
        this.onState(await write(name, query, body));
        this.onAway(false);
      } catch (problem) {
        if (problem instanceof Away) {
          this.onAway(true);
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
          continue;
        }
        this.onProblem(problem.message);
      }
      this.waiting.shift();
      this.keep();
    }
  }
}
