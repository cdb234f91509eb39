// The demo page: one person in one room. What people wrote reaches the page as text nodes, never as markup.

import { RoomsClient } from "/client.js";
import { People } from "/people.js";

const MAX_MESSAGES = 500;
// How many are shown of what was said before.
const MAX_HISTORY = 50;
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
// Where the last message that is shown stands in the room, and up to where they were caught up on.
let shown = { epoch: "", offset: 0 };
let caughtUpTo = 0;

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

function showStatus({ status, retryIn, reason }) {
  const wasOnline = $("connection").dataset.status === "online";
  if (wasOnline && status === "offline") showNote("The connection was lost");
  $("connection").dataset.status = status;
  $("status").textContent = STATUS[status];
  $("retry").hidden = status !== "offline";
  for (const label of document.querySelectorAll(".progress")) label.textContent = progress();
  clearInterval(countdown);
  $("countdown").textContent = "";
  if (status === "closed" && room !== null) {
    leave();
    showError(reason || "The server closed the connection");
  }
  if (status !== "offline") return;
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
  return item;
}

function showNote(text, kind = "") {
  return append(element("li", `note ${kind}`, text));
}

function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
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

function showMessage(published) {
  const { type, user, message, time, offset } = published;
  const details = [timeOf(time)];
  if (type === "message") shown = { ...client.position(room), offset };
  else details.push(element("span", "label", type));
  if (offset <= caughtUpTo) details.push(element("span", "label", "while you were away"));
  const kind = client.isMine(published) ? "mine" : "theirs";
  append(element("li", `${kind} ${type}`, ...bubble(user, asText(message), ...details)));
}

// In the place of what was heard behind the mark comes what the room's history has behind `before`.
async function showHistory(mark, before) {
  const { epoch, messages } = await client.history(room, MAX_HISTORY);
  while (![mark, null].includes($("messages").lastElementChild)) $("messages").lastElementChild.remove();
  const isOld = ({ offset }) => epoch === before.epoch && offset <= before.offset;
  for (const message of messages) if (!isOld(message)) showMessage(message);
}

function showCaughtUp({ offset, recovered }) {
  if (!recovered) return;
  caughtUpTo = offset;
  const count = offset - client.position(room).offset;
  showNote(count ? `Back again, with ${plural(count, "message")} from meanwhile` : "Back again");
}

function showGap({ offset }) {
  caughtUpTo = offset;
  const mark = showNote("Messages from meanwhile are missing here", "gap");
  showHistory(mark, shown).catch(showFailure);
}

function showPeople(users, names) {
  $("count").textContent = `${users} here`;
  const chips = names.map(([name, tabs]) => {
    const times = tabs > 1 ? ` \u00d7 ${tabs}` : "";
    return element("li", "", element("bdi", hue(name), name), times);
  });
  const named = names.length;
  if (users > named) chips.push(element("li", "", `and ${users - named} more`));
  $("people").replaceChildren(...chips);
}

function progress() {
  return client?.status === "online" ? "sending" : "waiting for the connection";
}

// A message stands in the outbox until the server has taken it; one that it didn't take can be sent again.
async function send(text) {
  const status = element("span", "label progress", progress());
  const item = element("li", "mine pending", ...bubble("You", text, status));
  $("outbox").append(item);
  try {
    await client.message(room, text);
    item.remove();
  } catch (error) {
    if (error.code === "closed") return;
    status.className = "label";
    status.textContent = `not delivered: ${error.message}`;
    const again = button("Send again", () => {
      item.remove();
      send(text);
    });
    item.append(element("div", "choice", again, button("Discard", () => item.remove())));
  }
}

function showRoom() {
  $("entrance").hidden = room !== null;
  $("chat").hidden = room === null;
  document.title = room === null ? "Rooms" : `${room} \u00b7 Rooms`;
  $("room-name").textContent = room;
  $("messages").replaceChildren();
  $("outbox").replaceChildren();
  $("people").replaceChildren();
  $(room === null ? "name" : "text").focus();
}

async function enter(user, name, token) {
  showError("");
  room = name;
  shown = { epoch: "", offset: 0 };
  caughtUpTo = 0;
  // Nobody can take another name than the token's.
  client = new RoomsClient(socketUrl(), token ? { token } : { user });
  new People(client, room, showPeople);
  const on = (type, show) => client.addEventListener(type, ({ detail }) => show(detail));
  on("status", showStatus);
  on("joined", showCaughtUp);
  on("gap", showGap);
  on("missed", ({ count }) => showNote(`${plural(count, "message")} missed here`, "gap"));
  on("error", ({ message }) => showError(message));
  for (const type of ["message", "broadcast", "direct"]) on(type, showMessage);
  history.replaceState(null, "", `#${encodeURIComponent(room)}`);
  $("another").href = location.href;
  showRoom();
  client.connect();
  try {
    const { members } = await client.join(room, { presence: true });
    await showHistory(null, shown);
    const others = members - 1;
    showNote(`You are in the room${others ? ` with ${plural(others, "other")}` : ", alone so far"}`);
  } catch (error) {
    if (error.code === "closed") return;
    leave();
    showError(error.message);
  }
}

function showFailure(error) {
  if (error.code !== "closed") showError(error.message);
}

function leave() {
  room = null;
  client.close();
  client = null;
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
  enter($("name").value.trim(), $("room").value.trim(), $("token").value);
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
  if (client?.status === "offline") client.connect();
});

$("room").value = roomFromAddress() || $("room").value;
$("name").value = `guest-${Math.floor(100 + Math.random() * 900)}`;
$("name").select();
