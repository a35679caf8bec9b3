// The service, over fetch. The key lies in the tab's storage and goes out as a bearer token, nowhere else.

const KEY = "weft-api-key";

/** An error that the service answered with, or that kept it from answering (status 0). */
export class Failure extends Error {
  constructor(status, message, param = null) {
    super(message);
    this.status = status;
    this.param = param;
  }
}

/** Tells "key-needed" (detail: the service's words) when the service refuses for want of the right key. */
export const events = new EventTarget();

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

async function request(path, body, signal) {
  const headers = {};
  if (key.get()) headers.Authorization = `Bearer ${key.get()}`;
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method: body ? "POST" : "GET",
      headers,
      body: body && JSON.stringify(body),
      signal,
      cache: "no-store",
      credentials: "omit",
    });
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    throw new Failure(0, "The service cannot be reached.");
  }
  if (!response.ok) {
    const { message, param } = (await response.json().catch(() => ({}))).error ?? {};
    const failure = new Failure(response.status, message ?? `The service answered with status ${response.status}.`, param);
    if (response.status === 401) events.dispatchEvent(new CustomEvent("key-needed", { detail: failure.message }));
    throw failure;
  }
  return response;
}

export async function get(path) {
  return (await request(path)).json();
}

export async function post(path, body) {
  return (await request(path, body)).json();
}

/** Posts, and yields the objects of the answer's server-sent events as they come. */
export async function* stream(path, body, signal) {
  const response = await request(path, body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new Failure(0, "The answer broke off.");
      rest += value;
      const frames = rest.split("\n\n");
      rest = frames.pop();
      for (const frame of frames) {
        const lines = frame.split("\n");
        const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
        if (data === "[DONE]") return;
        const object = JSON.parse(data);
        if (lines.includes("event: error")) throw new Failure(200, object.error.message, object.error.param);
        yield object;
      }
    }
  } catch (failure) {
    if (failure.name === "AbortError" || failure instanceof Failure) throw failure;
    throw new Failure(0, "The answer broke off.");
  } finally {
    reader.cancel().catch(() => {});
  }
}
