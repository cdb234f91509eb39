// Requests in the order of the calls, each kept until it is answered, its time is over, or all is given up.

export class RoomsError extends Error {
  name = "RoomsError";

  // `sent`: the request left this machine, so that it may have been carried out although no answer came.
  constructor(code, message, sent = false) {
    super(message);
    this.code = code;
    this.sent = sent;
  }
}

export class Outbox {
  #options;
  #requests = new Map();

  // `sendTimeout` is in milliseconds; `setTimeout` and `clearTimeout` keep the time.
  constructor(options) {
    this.#options = options;
  }

  get size() {
    return this.#requests.size;
  }

  // A request that has `lost` ends with its connection, and comes to that.
  add(frame, lost) {
    const { ref } = frame;
    const request = { ref, text: JSON.stringify(frame), lost, sent: false, ...deferred() };
    const expire = () => {
      this.take(ref);
      request.reject(new RoomsError("timeout", "No answer came in time", request.sent));
    };
    request.timer = this.#options.setTimeout(expire, this.#options.sendTimeout);
    this.#requests.set(ref, request);
    return request;
  }

  [Symbol.iterator]() {
    return this.#requests.values();
  }

  has(ref) {
    return this.#requests.has(ref);
  }

  take(ref) {
    const request = this.#requests.get(ref);
    this.#requests.delete(ref);
    this.#options.clearTimeout(request?.timer);
    return request;
  }

  answer(frame) {
    const request = this.take(frame.ref);
    if (frame.type !== "error") return request.resolve(frame);
    request.reject(new RoomsError(frame.code, frame.message, true));
  }

  // The connection is gone, and with it whatever was a matter of that connection alone.
  lose() {
    for (const { ref, lost } of [...this]) if (lost) this.take(ref).resolve(lost);
  }

  giveUp(code, message) {
    for (const { ref, sent, reject } of [...this]) {
      this.take(ref);
      reject(new RoomsError(code, message, sent));
    }
  }
}

export function deferred() {
  let resolve, reject;
  const promise = new Promise((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
