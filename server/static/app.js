// The demo page: one person in one room. What people wrote reaches the page as text nodes, never as markup.

import { RoomsClient } from "/client.js";

const MAX_MESSAGES = 500;
const HUES = 6;
const STATUS = {
  closed: "Not connected",
  connecting: "Connecting\u2026",
  online: "Online",
  offline: "Offline",
};

const $ = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

let client = null;
let room = null;
let countdown = null;

function socketUrl() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}/ws`;
}

function element(name, className, ...children) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...children);
  return made;
}

function button(label, action) {
  const made = element("button", "quiet", label);
  made.type = "button";
  made.addEventListener("click", action);
  return made;
}

function showError(text) {
  $("error").textContent = text;
}

function showState({ state, retryIn }) {
  const lost = state === "offline" && $("connection").dataset.state === "online";
  if (lost) showNote("The connection was lost: what is said until it is back won\u2019t appear here");
  $("connection").dataset.state = state;
  $("status").textContent = STATUS[state];
  $("retry").hidden = state !== "offline";
  clearInterval(countdown);
  $("countdown").textContent = "";
  if (state !== "offline") return;
  // Outside the live region: nobody wants to hear every second of it.
  const due = performance.now() + retryIn;
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((due - performance.now()) / 1000));
    $("countdown").textContent = `retrying in ${seconds} s`;
  };
  tick();
  countdown = setInterval(tick, 1000);
}

function append(item) {
  $("messages").append(item);
  while ($("messages").childElementCount > MAX_MESSAGES) $("messages").firstElementChild.remove();
}

function showNote(text) {
  append(element("li", "note", text));
}

function asText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function hue(user) {
  let sum = 0;
  for (const character of user) sum = (sum * 31 + character.codePointAt(0)) % 997;
  return `hue-${sum % HUES}`;
}

function bubble(user, text, ...details) {
  const author = element("bdi", `author ${hue(user)}`, user);
  const body = element("p", "text", text);
  body.dir = "auto";
  return [element("div", "meta", author, ...details), body];
}

function timeOf(seconds) {
  const date = new Date(seconds * 1000);
  const time = element("time", "", clock.format(date));
  time.dateTime = date.toISOString();
  return time;
}

function showMessage({ type, user, message, from, time }) {
  const kind = from === client.id ? "mine" : "theirs";
  const details = [timeOf(time)];
  if (type !== "message") details.push(element("span", "label", type));
  append(element("li", `${kind} ${type}`, ...bubble(user, asText(message), ...details)));
}

// A message stands in the outbox until the server has taken it; one that it didn't take can be sent again.
async function send(text) {
  const progress = client.state === "online" ? "sending" : "waiting for the connection";
  const status = element("span", "label", progress);
  const item = element("li", "mine", ...bubble("You", text, status));
  $("outbox").append(item);
  try {
    await client.message(room, text);
    item.remove();
  } catch (error) {
    if (error.code === "closed") return;
    status.textContent = `not delivered: ${error.message}`;
    const again = button("Send again", () => {
      item.remove();
      send(text);
    });
    item.append(element("div", "choice", again, button("Discard", () => item.remove())));
  }
}

function showJoined({ members }) {
  const others = members - 1;
  if (others === 0) return showNote("You are in the room, alone so far");
  showNote(`You are in the room with ${others} ${others === 1 ? "other" : "others"}`);
}

function showRoom() {
  $("entrance").hidden = room !== null;
  $("chat").hidden = room === null;
  document.title = room === null ? "Rooms" : `${room} \u00b7 Rooms`;
  $("room-name").textContent = room;
  $("messages").replaceChildren();
  $("outbox").replaceChildren();
  $(room === null ? "name" : "text").focus();
}

async function enter(user, name) {
  showError("");
  room = name;
  client = new RoomsClient(socketUrl(), { user });
  client.addEventListener("state", ({ detail }) => showState(detail));
  client.addEventListener("joined", ({ detail }) => showJoined(detail));
  client.addEventListener("error", ({ detail }) => showError(detail.message));
  for (const type of ["message", "broadcast", "direct"]) {
    client.addEventListener(type, ({ detail }) => showMessage(detail));
  }
  history.replaceState(null, "", `#${encodeURIComponent(room)}`);
  $("another").href = location.href;
  showRoom();
  client.connect();
  try {
    await client.join(room);
  } catch (error) {
    if (error.code === "closed") return;
    leave();
    showError(error.message);
  }
}

function leave() {
  client.close();
  client = null;
  room = null;
  showRoom();
}

function roomFromAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

$("entrance").addEventListener("submit", (event) => {
  event.preventDefault();
  enter($("name").value.trim(), $("room").value.trim());
});

$("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  showError("");
  send($("text").value);
  $("text").value = "";
});

$("leave").addEventListener("click", leave);
$("retry").addEventListener("click", () => client.connect());
window.addEventListener("online", () => {
  if (client?.state === "offline") client.connect();
});

$("room").value = roomFromAddress() || $("room").value;
$("name").value = `guest-${Math.floor(100 + Math.random() * 900)}`;
$("name").select();
