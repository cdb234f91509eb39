// A connection that comes back by itself: welcomed by the server, watched for silence, renewed after a loss.

const OPEN = 1;

// Close codes of our own, from the range that is left to applications.
const NO_WELCOME = 4000;
const NO_PONG = 4001;
const NO_TOKEN = 4002;

// With these the other side has ended it for good, unless it says when to come back.
const NORMAL_CLOSURE = 1000;
const FIRST_OF_APPLICATIONS = 3000;
// A rule of the server's was passed: at the door for good, later not to be tried again soon.
const POLICY_VIOLATION = 1008;

// The token has expired or was revoked.
const UNAUTHORIZED = 3000;

// Of a token's time, what passes before a newer one is asked for; and milliseconds between two of these, for
// where the same one is given again. A timer that is given more than 24 days fires at once.
const REFRESH_AT = 0.8;
const MIN_REFRESH = 5_000;
const MAX_REFRESH = 2 ** 31 - 1;

// Milliseconds. A timer that is given more than 24 days fires at once.
const MAX_ADVICE = 3_600_000;

// `hear` has a function for each: `welcome(frame)` when the server has greeted, `frame(frame)` for all that
// it says, `binary(data)`, and `status({ status, ... })` for every change. They may call any method.
export class Connection {
  #url;
  #options;
  #hear;
  #status = "closed";
  #socket = null;
  // Another object for each attempt, by which one that is over is told from the present one.
  #attempt = null;
  #failures = 0;
  #timers = new Map();

  constructor(url, options, hear) {
    this.#url = url;
    this.#options = options;
    this.#hear = hear;
  }

  // "closed" (nothing is tried), "connecting", "online" (welcomed) or "offline" (waiting to try again).
  get status() {
    return this.#status;
  }

  // A socket that is closing takes what it is given and drops it without a word.
  get isOpen() {
    return this.#status === "online" && this.#socket.readyState === OPEN;
  }

  connect() {
    if (this.#status === "connecting" || this.#status === "online") return;
    const { token } = this.#options;
    this.#attempt = {};
    if (typeof token === "function") this.#openWith(token);
    else this.#open(token);
    this.#disarm("retry");
    this.#arm("welcome", this.#options.welcomeTimeout, () => this.#abandon(NO_WELCOME, "no welcome"));
    this.#become("connecting");
  }

  // A token that can't be had is like a server that is away.
  async #openWith(askForToken) {
    const attempt = this.#attempt;
    try {
      const token = await answerOf(askForToken);
      if (attempt === this.#attempt) this.#open(token);
    } catch {
      if (attempt === this.#attempt) this.#abandon(NO_TOKEN, "no token");
    }
  }

  // A page can't set a header, but offer subprotocols: the server answers the first and reads the second.
  #open(token) {
    const offer = token === undefined ? [] : [["rooms", `bearer.${token}`]];
    const socket = new this.#options.WebSocket(this.#url, ...offer);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#lose(event.code, event.reason);
    // A close event follows every error event and says more. (The `ws` package throws where nobody listens.)
    socket.onerror = () => {};
    this.#socket = socket;
  }

  close(code, reason) {
    if (this.#status === "closed") return;
    this.#detach()?.close(code, reason);
    this.#end(code, reason);
  }

  // Tells whether there was a connection to send it on.
  send(text) {
    if (!this.isOpen) return false;
    this.#socket.send(text);
    return true;
  }

  #receive(data) {
    this.#hearLife();
    if (typeof data !== "string") return this.#hear.binary(data);
    const frame = parse(data);
    if (typeof frame?.type !== "string") {
      return this.#hear.frame({ type: "error", code: "invalid_answer", message: "No object with a type" });
    }
    if (frame.type === "welcome") return this.#greet(frame);
    if (frame.type === "refreshed") this.#awaitExpiry(frame);
    this.#hear.frame(frame);
  }

  #greet(frame) {
    if (this.#status !== "connecting") return;
    this.#status = "online";
    this.#disarm("welcome");
    // A server that greets and then hangs up must not be asked again at once.
    this.#arm("stable", this.#options.stableAfter, () => (this.#failures = 0));
    this.#awaitSilence();
    this.#awaitExpiry(frame);
    this.#hear.welcome(frame);
    this.#become("online");
    this.#hear.frame(frame);
  }

  // Browsers can't see protocol pings, so after a silence we ask. Whatever arrives is life.
  #awaitSilence() {
    this.#arm("ping", this.#options.pingInterval, () => {
      this.send(JSON.stringify({ action: "ping" }));
      this.#arm("pong", this.#options.pongTimeout, () => this.#abandon(NO_PONG, "no pong"));
    });
  }

  // One that can't be had is not missed before the connection ends.
  #awaitExpiry({ expires_in: seconds }) {
    const { token } = this.#options;
    if (typeof token !== "function" || seconds === undefined) return;
    const delay = Math.min(Math.max(seconds * 1_000 * REFRESH_AT, MIN_REFRESH), MAX_REFRESH);
    this.#arm("refresh", delay, () => this.#refresh(token));
  }

  async #refresh(askForToken) {
    const attempt = this.#attempt;
    const token = await answerOf(askForToken).catch(() => null);
    if (attempt === this.#attempt && token !== null) this.send(JSON.stringify({ action: "refresh", token }));
  }

  #hearLife() {
    if (!this.#timers.has("pong")) return;
    this.#disarm("pong");
    this.#awaitSilence();
  }

  // The closing handshake of a dead connection takes minutes: start it, and don't wait for its end.
  #abandon(code, reason) {
    this.#detach()?.close(code, reason);
    this.#comeBack(this.#backoff(), code, reason);
  }

  #lose(code, reason) {
    const wasOnline = this.#status === "online";
    this.#detach();
    const advice = /\bretry=(\d+(?:\.\d+)?)$/.exec(reason);
    if (advice) {
      const told = Math.min(MAX_ADVICE, Number(advice[1]) * 1_000);
      return this.#comeBack(told + this.#backoff(), code, reason);
    }
    if (code === UNAUTHORIZED && typeof this.#options.token === "function") {
      return this.#comeBack(this.#backoff(), code, reason);
    }
    if (code === NORMAL_CLOSURE || code >= FIRST_OF_APPLICATIONS) return this.#end(code, reason);
    if (code !== POLICY_VIOLATION) return this.#comeBack(this.#backoff(), code, reason);
    if (!wasOnline) return this.#end(code, reason);
    const { maxDelay, random } = this.#options;
    this.#comeBack((maxDelay * (1 + random())) / 2, code, reason);
  }

  // Full jitter: clients that were cut off together don't come back together.
  #backoff() {
    const { minDelay, maxDelay, random } = this.#options;
    return random() * Math.min(maxDelay, minDelay * 2 ** this.#failures);
  }

  #comeBack(retryIn, code, reason) {
    this.#failures += 1;
    this.#arm("retry", retryIn, () => this.connect());
    this.#become("offline", { retryIn, code, reason });
  }

  #end(code, reason) {
    this.#failures = 0;
    this.#become("closed", { code, reason });
  }

  #detach() {
    const socket = this.#socket;
    if (socket) socket.onmessage = socket.onclose = null;
    this.#socket = this.#attempt = null;
    for (const name of [...this.#timers.keys()]) this.#disarm(name);
    return socket;
  }

  #arm(name, delay, callback) {
    const fire = () => {
      this.#timers.delete(name);
      callback();
    };
    this.#timers.set(name, this.#options.setTimeout(fire, delay));
  }

  #disarm(name) {
    this.#options.clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  // Whoever hears it may call any method, so this comes last in whatever changes the status.
  #become(status, detail = {}) {
    this.#status = status;
    this.#hear.status({ status, ...detail });
  }
}

// A promise, also of a function that returns none, or throws.
function answerOf(ask) {
  return new Promise((resolve) => resolve(ask()));
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
