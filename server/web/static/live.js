// One event stream a page: rests while nobody looks, and starts over after a break.

const RETRY_MS = 5000;

export class Live {
  #url;
  #handlers;
  #source = null;
  #retry = 0;
  #offline = document.getElementById("offline");

  constructor(url, handlers) {
    this.#url = url;
    this.#handlers = handlers;
    document.addEventListener("visibilitychange", () => this.#followVisibility());
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", (event) => { if (event.persisted) this.#followVisibility(); });
    this.#followVisibility();
  }

  go(url) {
    this.#url = url;
    this.#close();
    this.#open();
  }

  #followVisibility() {
    if (document.hidden) this.#close();
    else if (!this.#source) this.#open();
  }

  #open() {
    clearTimeout(this.#retry);
    const source = new EventSource(this.#url);
    this.#source = source;
    source.onopen = () => { this.#offline.hidden = true; };
    source.onerror = () => this.#lost(source);
    source.addEventListener("bye", () => location.reload());
    for (const [name, handle] of Object.entries(this.#handlers)) {
      source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    }
  }

  #close() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  // The browser itself reconnects after a cut; after a refusal it does not, and we ask again.
  #lost(source) {
    this.#offline.hidden = false;
    if (source.readyState !== EventSource.CLOSED) return;
    this.#close();
    this.#retry = setTimeout(() => this.#askAgain(), RETRY_MS);
  }

  async #askAgain() {
    try {
      const answer = await fetch(location.href, { redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect") location.reload();
      else this.#followVisibility();
    } catch {
      this.#retry = setTimeout(() => this.#askAgain(), RETRY_MS);
    }
  }
}
