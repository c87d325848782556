// Asking the gateway: the token goes with every request, problem documents become errors, and the stream of the status is
// read by fetch, because an EventSource could not send the token.

/** What went wrong, in the words of the problem document where the gateway sent one. `status` 0: it could not be reached. */
export class ApiError extends Error {
  constructor(status, problem = {}, retryAfter = null) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
    this.name = "ApiError";
    this.status = status;
    this.title = problem.title ?? null;
    this.detail = problem.detail ?? null;
    this.errors = problem.errors ?? [];
    this.requestId = problem.request_id ?? null;
    /** Seconds to wait, where the gateway says so. */
    this.retryAfter = retryAfter;
  }
}

/** No bytes for that long, though there is an event every 5 s: the connection is dead, even if nobody said so. */
const SILENCE_MS = 15_000;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 10_000;

/** The gateway that served this page. `onUnauthorized` is called whenever it does not accept the token, or wants one. */
export function createApi({ onUnauthorized = () => {} } = {}) {
  // Here and nowhere else: neither storage nor address nor cookie ever has it.
  let token = null;

  async function request(path, { method = "GET", body, signal, accept = "application/json", quiet = false } = {}) {
    const headers = { Accept: accept };
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(path, {
        method,
        headers,
        signal,
        credentials: "omit",
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, { title: "unreachable" });
    }
    if (response.ok) return response;
    if (response.status === 401 && !quiet) onUnauthorized();
    throw await problem(response);
  }

  /**
   * Gets a document: `{data, meta, body, outcome, stale, ms, timing}`. `data` and `meta` are those of the envelope;
   * `body` is all of it; `outcome` and `stale` tell X-Cache; `ms` is how long it took from here, `timing` how long the
   * gateway says (`{cache, compute, source}`, ms).
   */
  async function get(path, options = {}) {
    const start = performance.now();
    const response = await request(path, options);
    const body = await response.json();
    return { ...origin(response, start), data: body.data ?? body, meta: body.meta ?? null, body };
  }

  /** Sends a body as JSON; the answer's document. */
  async function post(path, body, options = {}) {
    const response = await request(path, { ...options, method: "POST", body });
    return response.json().catch(() => null);
  }

  /** Gets a file, such as a table with `accept` "text/csv". */
  async function blob(path, accept, options = {}) {
    const response = await request(path, { ...options, accept });
    return response.blob();
  }

  return {
    get,
    post,
    blob,
    /** Takes a token, or forgets it. */
    setToken(next) {
      token = next || null;
    },
    hasToken: () => token !== null,
    stream: (path, handlers) => openStream(request, path, handlers),
  };
}

function origin(response, start) {
  const cache = (response.headers.get("X-Cache") ?? "").split(";").map((part) => part.trim());
  const timing = {};
  for (const part of (response.headers.get("Server-Timing") ?? "").split(",")) {
    const [, name, ms] = /^\s*([\w-]+).*?dur=([\d.]+)/.exec(part) ?? [];
    if (name) timing[name] = Number(ms);
  }
  return { outcome: cache[0] || null, stale: cache.includes("stale"), ms: performance.now() - start, timing };
}

async function problem(response) {
  const retry = Number(response.headers.get("Retry-After"));
  let document = {};
  try {
    document = await response.json();
  } catch {
    // A proxy in between need not speak of problems in JSON.
  }
  return new ApiError(response.status, { title: response.statusText, ...document }, retry > 0 ? retry : null);
}

/**
 * Reads a stream of events for as long as the page lives: `onEvent(name, data, first)` for each, where `first` marks the
 * first one of a connection; `onState("open" | "lost", {error, waitMs})` for the connection. It is opened again 1 s after
 * a loss, later and later, at most after 10 s. After a 401 it waits for `resume()`. Answers `{stop, resume}`.
 */
function openStream(request, path, { onEvent, onState = () => {} }) {
  let abort = null;
  let timer = null;
  let wait = FIRST_WAIT_MS;
  let running = false;

  async function connect() {
    timer = null;
    const mine = (abort = new AbortController());
    let watchdog = null;
    const heard = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => mine.abort(), SILENCE_MS);
    };
    let error = null;
    try {
      heard();
      const response = await request(path, { signal: mine.signal, accept: "text/event-stream" });
      onState("open");
      let first = true;
      for await (const { name, data } of events(response.body, heard)) {
        wait = FIRST_WAIT_MS;
        onEvent(name, JSON.parse(data), first);
        first = false;
      }
    } catch (caught) {
      error = caught;
    }
    clearTimeout(watchdog);
    if (abort !== mine || !running) return;
    mine.abort();
    if (error?.status === 401) {
      running = false;
      return;
    }
    const pause = Math.max(wait, (error?.retryAfter ?? 0) * 1000);
    onState("lost", { error, waitMs: pause });
    timer = setTimeout(connect, pause);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }

  function stop() {
    running = false;
    clearTimeout(timer);
    abort?.abort();
    abort = null;
  }

  function resume() {
    stop();
    running = true;
    wait = FIRST_WAIT_MS;
    connect();
  }

  resume();
  return { stop, resume };
}

/** The events in a body of text/event-stream, as WHATWG HTML defines them; `heard` is called with every piece. */
export async function* events(body, heard = () => {}) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let name = "";
  let data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    rest += value;
    let end;
    while ((end = rest.search(/\r\n|\n|\r(?=[^\n])/)) >= 0) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + (rest.startsWith("\r\n", end) ? 2 : 1));
      if (line === "") {
        if (data.length > 0) yield { name: name || "message", data: data.join("\n") };
        name = "";
        data = [];
        continue;
      }
      const [, field, content] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (field === "event") name = content;
      else if (field === "data") data.push(content);
    }
  }
}
