// The console's page. It shows what the server sends and says what the person does; all rules are the server's.
"use strict";

const PAST_S = 8, FUTURE_S = 3, DRAW_MS = 66, STOP_REPEAT_MS = 200, RECONNECT_MS = 500, TARGET_MS = 100;
const OLD_S = 1;  // without news for so long, what is shown is marked as old
const LOST_S = 8;  // without news for so long, a connection is given up: a cut network ends it only at the server
const MIN_SPAN_DEG = 8;

const byId = id => document.getElementById(id);
let socket = null, hello = null, control = { holder: "", is_you: false };
let motion = null, health = null, trials = null;
let isStopping = false;          // a stop is not confirmed yet
let offset_s = 0;                // the robot's time minus that of this page
let received_ms = -Infinity;     // when the newest status arrived
let opened_ms = -Infinity;       // when the connection was opened
let target = null;               // where the sliders want the joints (rad), once one was moved
let samples = { measured: [], commanded: [] }, plan = null, figures = [];

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// ---- The connection.

async function logIn(token) {
  const answer = await fetch("login", { method: "POST", body: token });
  if (!answer.ok) throw new Error(await answer.text());
}

async function connect() {
  try {
    if (location.hash.length > 1) {
      const token = decodeURIComponent(location.hash.slice(1));
      history.replaceState(null, "", location.pathname);  // no longer in the address
      await logIn(token).catch(error => setText(byId("login").querySelector("output"), error.message));
    }
    const answer = await fetch("session", { signal: AbortSignal.timeout(1000 * LOST_S) });
    byId("login").hidden = answer.ok;
    byId("console").hidden = !answer.ok;
    if (!answer.ok) return;
  } catch {  // the server does not answer
    setTimeout(connect, RECONNECT_MS);
    return;
  }
  const address = new URL("socket", location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(address);
  opened_ms = performance.now();
  socket.binaryType = "arraybuffer";
  socket.onmessage = event => typeof event.data === "string" ? receive(JSON.parse(event.data)) : receiveFrame(event.data);
  socket.onclose = reconnect;
}

function reconnect() {
  socket = null;
  control = { holder: "", is_you: false };
  showControl();
  setTimeout(connect, RECONNECT_MS);
}

function watchConnection() {
  if (!socket || performance.now() - Math.max(received_ms, opened_ms) < 1000 * LOST_S) return;
  socket.onclose = socket.onmessage = null;
  socket.close();
  reconnect();
}

function say(kind, values = {}) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ say: kind, ...values }));
}

function receive(message) {
  received_ms = performance.now();
  ({ hello: receiveHello, control: receiveControl, line: receiveLine, motion: receiveMotion, health: receiveHealth, trials: receiveTrials, acknowledge: () => say("shown") })[message.kind](message);
}

function receiveHello(message) {
  hello = message;
  document.title = `${message.robot} console`;
  for (const element of document.querySelectorAll(".operator")) element.hidden = message.role !== "operator";
  byId("cameras").replaceChildren(...message.cameras.map(makeCamera));
  makeCurves();
  makeSliders();
  for (const name of ["fusion", "trigger"])
    byId("tune").elements[name].replaceChildren(...message.choices[name].map(value => new Option(value)));
}

function receiveControl(message) {
  control = message;
  showControl();
}

function receiveLine(message) {
  const line = make("li", {}, message.text);
  byId("lines").prepend(line);
  while (byId("lines").children.length > 3) byId("lines").lastChild.remove();
  setTimeout(() => line.remove(), 10000);
}

// ---- STOP, and who is in control.

function stop() {
  if (hello?.role !== "operator") return;
  isStopping = true;
  target = null;
  repeatStop();
  showStop();
}

function repeatStop() {
  if (isStopping) say("stop");
}

function showStop() {
  byId("stop").classList.toggle("sent", isStopping);
  const silent_s = (performance.now() - received_ms) / 1000;
  const alarm = !socket || silent_s > OLD_S ? "NO CONNECTION to the console: what is shown is old; use the power switch to stop"
    : isStopping || motion?.stop_is_unconfirmed ? "STOP IS NOT CONFIRMED, trying; use the power switch" : "";
  setText(byId("alarm"), alarm);
  byId("alarm").hidden = !alarm;
}

function showControl() {
  const isOperator = hello?.role === "operator";
  setText(byId("holder"), control.is_you ? "You are in control" : control.holder ? `${control.holder} is in control`
    : isOperator ? "Nobody is in control" : "You are a viewer");
  byId("holder").classList.toggle("you", control.is_you);
  byId("name").parentElement.hidden = control.is_you || !isOperator;
  setText(byId("take"), control.is_you ? "Release control" : "Take control");
  for (const element of document.querySelectorAll("#act button, #act input, #hand button, #verbs button, #evaluate button, #tune button, #tune select, #tune input"))
    element.disabled = !control.is_you;
  showSliders();
}

function isTyping(target) {
  return target.matches?.("input:not([type=number], [type=range]), textarea");
}

addEventListener("keydown", event => {
  if (event.key === " " && !isTyping(event.target)) {
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) stop();
  } else if (event.key === "Escape") event.target.blur?.();
}, true);
addEventListener("keyup", event => {
  if (event.key === " " && !isTyping(event.target)) event.preventDefault();  // it would click the button that has the focus
}, true);
addEventListener("beforeunload", event => { if (control.is_you) event.preventDefault(); });

// ---- State and joints, ten times a second.

function receiveMotion(message) {
  motion = message;
  offset_s = message.t - performance.now() / 1000;
  for (const name of ["measured", "commanded"]) {
    samples[name] = [...samples[name], ...message[name]].filter(sample => sample[0] > message.t - PAST_S - 1);
  }
  if (message.plan) plan = message.plan;
  if (message.state?.name === "stopped") isStopping = false;
  showState(message);
  showSliders();
  if (message.state) showChunks(message.state, message);
  setText(byId("note"), message.note);
  setText(byId("recorder-note"), message.recorder_note);
  if (trials) showTimer(message.trial_s);
}

function showState({ state, silent_s }) {
  const isOld = !state || silent_s > OLD_S;
  byId("state").className = isOld ? "silent" : state.name;
  const [name, text] = byId("state").children;
  setText(name, state ? state.name : "no executor");
  setText(text, !state ? "no state arrives; is the executor running?"
    : isOld ? `no state for ${silent_s.toFixed(1)} s; is the executor running?`
    : [state.reason, state.task ? `“${state.task}”` : "no task"].filter(Boolean).join(" · "));
  for (const button of document.querySelectorAll("#modes [data-say]")) {
    const isOn = { arm: ["armed", "holding"], shadow: ["shadow"] }[button.dataset.say]?.includes(state?.name);
    button.setAttribute("aria-pressed", Boolean(isOn && button.dataset.on === "true"));
  }
}

function seconds(value) { return value === null ? "–" : `${value.toFixed(2)} s`; }
function fixed(value, digits) { return value === null ? "–" : value.toFixed(digits); }
function degrees(value) { return value * 180 / Math.PI; }
function counted(counts) { return Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(", ") || "none"; }

function showChunks(state, { commander, commander_age }) {
  const share = state.chunk_s ? Math.min(1, state.queue_s / state.chunk_s) : 0;
  byId("queue").children[0].style.width = `${100 * share}%`;
  byId("queue").children[1].style.left = `${100 * state.threshold}%`;
  const score = health?.progress;
  showFacts(byId("facts"), {
    "queue": `${seconds(state.queue_s)}, ${state.queue_length} actions`,
    "chunks in it": `${state.chunk_ids.join(", ") || "none"}; newest seen ${seconds(state.chunk_age)} ago`,
    "request p50 / p95": `${seconds(state.request_latency_p50)} / ${seconds(state.request_latency_p95)}`,
    "inference p50 / p95": `${seconds(state.inference_latency_p50)} / ${seconds(state.inference_latency_p95)}`,
    "starved": `${state.starved_periods} of ${state.commands} periods`,
    "accepted": `${state.chunks_accepted} of ${state.requests} requested, ${state.timeouts} timed out`,
    "rejected": counted(state.rejected),
    "limited": counted(state.limited),
    "following error": state.following_error === null ? "–" : `${degrees(state.following_error).toFixed(1)}°`,
    "the arm obeys": commander && commander_age < OLD_S ? commander : "nobody",
    ...(score ? { "simulated task": `score ${score.score}${score.success ? ", done" : ""}; ${score.successes} of ${score.tasks} done` } : {}),
  });
  const tune = byId("tune");
  if (!tune.contains(document.activeElement))
    for (const name of ["fusion", "trigger", "threshold"])
      if (tune.elements[name].value !== String(state[name]) && !tune.dataset.changed) tune.elements[name].value = state[name];
}

function showFacts(list, facts) {
  const names = Object.keys(facts);
  if (list.children.length !== 2 * names.length)
    list.replaceChildren(...names.flatMap(name => [make("dt", {}, name), make("dd")]));
  names.forEach((name, i) => {
    setText(list.children[2 * i], name);
    setText(list.children[2 * i + 1], facts[name]);
  });
}

// ---- Moving the arm by hand: the target is repeated while the page is open, and the arm holds when it is not.

function makeSliders() {
  byId("sliders").replaceChildren(...hello.joints.map((name, i) => {
    const [low, high] = hello.limits[i].map(degrees);
    const slider = make("input", { type: "range", min: low, max: high, step: "any", oninput: moveSliders });
    return make("label", {}, make("span", {}, name), slider, make("output"));
  }));
}

function sliders() { return [...byId("sliders").querySelectorAll("input")]; }

function moveSliders() {  // sent by repeatTarget only: at each event, a stop would wait behind hundreds of targets
  target = sliders().map(slider => Number(slider.value) * Math.PI / 180);
}

function repeatTarget() {
  if (target) say("move_to", { positions: target });
}

function showSliders() {
  const last = samples.measured[samples.measured.length - 1];
  const leads = control.is_you && motion?.authority === "operator" && motion.state?.name !== "stopped" && Boolean(last);
  if (!leads) target = null;
  setText(byId("authority"), motion?.authority === "operator" ? "a person has control" : motion?.authority === "policy" ? "the policy has control" : "");
  sliders().forEach((slider, i) => {
    slider.disabled = !leads;
    if (!target && last && last[i + 1] !== null) slider.value = degrees(last[i + 1]);
    setText(slider.nextSibling, `${Number(slider.value).toFixed(1)}°`);
  });
}

// ---- Cameras: the newest image; others are dropped while one is being decoded.

function makeCamera(name) {
  const figure = make("figure", { hidden: true }, make("img", { alt: `camera ${name}` }), make("figcaption"));
  Object.assign(figure, { camera: name, next: null, isBusy: false, times_ms: [] });
  const image = figure.firstChild;
  image.onload = image.onerror = () => {
    URL.revokeObjectURL(image.src);
    figure.isBusy = false;
    showFrame(figure);
  };
  return figure;
}

function receiveFrame(data) {
  const figure = byId("cameras").children[new Uint8Array(data, 0, 1)[0]];
  figure.hidden = false;
  figure.next = new Blob([new Uint8Array(data, 1)], { type: "image/jpeg" });
  figure.times_ms = [...figure.times_ms.slice(-20), performance.now()];
  showFrame(figure);
}

function showFrame(figure) {
  if (figure.isBusy || !figure.next) return;
  figure.isBusy = true;
  figure.firstChild.src = URL.createObjectURL(figure.next);
  figure.next = null;
}

function showRates() {
  for (const figure of byId("cameras").children) {
    const times = figure.times_ms, last = times[times.length - 1];
    const old_s = (performance.now() - last) / 1000;
    const rate_hz = times.length > 1 ? 1000 * (times.length - 1) / (last - times[0]) : 0;
    figure.classList.toggle("old", old_s > OLD_S);
    setText(figure.lastChild, old_s > OLD_S ? `${figure.camera}: no image for ${old_s.toFixed(0)} s` : `${figure.camera}  ${rate_hz.toFixed(0)} Hz`);
  }
}

// ---- Curves: the past, and the plan ahead of now.

function makeCurves() {
  figures = hello.joints.map(name => ({ name, canvas: make("canvas"), value: make("output") }));
  byId("curves").replaceChildren(...figures.map(({ name, canvas, value }) =>
    make("figure", {}, make("figcaption", {}, name, value), canvas)));
}

function line(context, points, x, y, colour, dash = []) {
  context.strokeStyle = colour;
  context.setLineDash(dash);
  context.beginPath();
  for (const [t, value] of points) if (value !== null) context.lineTo(x(t), y(value));
  context.stroke();
}

function drawJoint({ canvas, value }, column, now_s, colours) {
  const scale = devicePixelRatio, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const pick = list => list.filter(s => s[0] > now_s - PAST_S).map(s => [s[0], s[column] === null ? null : degrees(s[column])]);
  const measured = pick(samples.measured), commanded = pick(samples.commanded);
  const planned = plan ? plan.t.map((t, i) => [t, degrees(plan.positions[i][column - 1])]).filter(([t]) => t >= now_s && t < now_s + FUTURE_S) : [];
  const values = [...measured, ...commanded, ...planned].map(point => point[1]).filter(v => v !== null);
  const low = Math.min(...values), high = Math.max(...values);
  const middle = (low + high) / 2, half = Math.max(high - low, MIN_SPAN_DEG) * 0.58;
  const x = t => (t - now_s + PAST_S) / (PAST_S + FUTURE_S) * width, y = v => (middle + half - v) / (2 * half) * height;
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.fillStyle = colours.raised;
  context.fillRect(x(now_s), 0, width, height);
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = colours.dim;
  context.lineWidth = 1;
  for (const [t, id] of motion?.seams ?? []) if (t > now_s - PAST_S) {
    line(context, [[t, middle + half], [t, middle - half]], x, y, colours.dim, [3, 3]);
    if (column === 1) context.fillText(id, x(t) + 3, 11);
  }
  if (!values.length) return;
  context.lineWidth = 2;
  line(context, commanded, x, y, colours.commanded);
  line(context, planned, x, y, colours.commanded, [2, 3]);
  line(context, measured, x, y, colours.measured);
  context.fillText(`${(middle + half).toFixed(0)}°`, 3, height > 30 && column === 1 ? 24 : 12);
  context.fillText(`${(middle - half).toFixed(0)}°`, 3, height - 4);
  const last = measured[measured.length - 1];
  setText(value, last ? `${last[1].toFixed(1)}°` : "");
}

let drawn_ms = 0;
function draw(time_ms) {
  requestAnimationFrame(draw);
  if (!hello || time_ms - drawn_ms < DRAW_MS) return;
  drawn_ms = time_ms;
  const style = getComputedStyle(document.documentElement);
  const colours = Object.fromEntries(["raised", "dim", "measured", "commanded"].map(name => [name, style.getPropertyValue(`--${name}`)]));
  figures.forEach((figure, i) => drawJoint(figure, i + 1, performance.now() / 1000 + offset_s, colours));
}

// ---- Health, once a second.

function receiveHealth(message) {
  health = message;
  showSuggestions([...new Set([...hello.suggestions, ...message.tasks])]);
  showServos(message.servos);
  showDiagnostics(message.diagnostics);
  showRecorder(Object.entries(message.diagnostics).find(([name]) => name.split("/").pop() === "recorder")?.[1], message.counts);
  byId("warnings").replaceChildren(...message.warnings.map(entry => make("li", {},
    make("b", { className: entry.level }, `${(motion ? motion.t - entry.t : 0).toFixed(0)} s ago, ${entry.node}`), entry.text)));
}

function showSuggestions(tasks) {
  const shown = byId("suggestions");
  if (shown.dataset.tasks === tasks.join("\n")) return;
  shown.dataset.tasks = tasks.join("\n");
  shown.replaceChildren(...tasks.map(task => make("button", { type: "button", onclick: () => say("set_task", { task }) }, task)));
  byId("tasks").replaceChildren(...tasks.map(task => new Option(task)));
  showControl();
}

function showServos(servos) {
  const title = make("thead", {}, make("tr", {}, ...["", "°C", "load", "A", "V", "faults"].map(text => make("th", {}, text))));
  const rows = servos.map(servo => make("tr", {}, make("th", {}, servo.name),
    make("td", { className: servo.temperature >= 65 ? "error" : servo.temperature >= 50 ? "warning" : "" }, String(servo.temperature)),
    ...[`${fixed(100 * servo.load, 0)} %`, fixed(servo.current, 2), fixed(servo.voltage, 1)].map(text => make("td", {}, text)),
    make("td", { className: servo.error_bits ? "error" : "" }, servo.error_bits ? `error ${servo.error_bits}` : String(servo.communication_errors))));
  byId("servos").replaceChildren(title, make("tbody", {}, ...rows));
}

function showDiagnostics(diagnostics) {
  const list = byId("diagnostics");
  for (const [name, status] of Object.entries(diagnostics)) {
    let entry = [...list.children].find(child => child.name === name);
    if (!entry) {
      entry = make("details", {}, make("summary", {}, make("b", {}, name), make("span")), make("dl"));
      entry.name = name;
      list.append(entry);
    }
    entry.className = motion && motion.t - status.t > 5 ? "stale" : status.level;
    setText(entry.querySelector("span"), entry.className === "stale" ? "  is silent" : `  ${status.message}`);
    if (entry.open) showFacts(entry.lastChild, status.values);
  }
}

function showRecorder(status, counts) {
  const isRecording = Boolean(status?.message.startsWith("recording"));
  byId("recorder").classList.toggle("recording", isRecording);
  const values = status?.values ?? {};
  setText(byId("recorder"), status ? `${status.message}; ${values.episodes} episodes, ${values["free disk (GB)"]} GB free`
    : "there is no recorder; start the suite with record:=true");
  const rows = Object.entries(counts).map(([task, count]) => make("tr", {}, make("th", {}, task),
    ...["success", "failure", "unmarked"].map(name => make("td", {}, `${count[name] ?? 0} ${name}`))));
  byId("counts").replaceChildren(...rows);
}

// ---- Trials of a protocol: begun, ended and judged by the person.

function receiveTrials(message) {
  const section = byId("evaluate"), hadFocus = section.contains(document.activeElement);
  const { phase, done, total, task, setup, trigger } = trials = message;
  section.hidden = false;
  setText(byId("trial-count"), phase === "done" ? `all ${total} trials are done; outcomes in ${message.log}` : `trial ${done + 1} of ${total}`);
  byId("trial").hidden = phase === "done";
  setText(byId("setup"), setup || "Set up the scene as usual");
  setText(byId("trial-task"), `“${task}” · ${trigger}`);
  showToggles(byId("stages"), Object.entries(message.stages).map(([name, points]) => [name, `${name} ${points}`]));
  showToggles(byId("failures"), message.failures.map(name => [name, name.replace("_", " ")]));
  byId("begin").hidden = phase !== "ready";
  byId("done").hidden = phase !== "running";
  byId("outcome").hidden = phase !== "ended";
  byId("undo").hidden = phase === "running" || !message.can_undo;
  setText(byId("undo"), phase === "ended" ? "Repeat without an outcome" : "Undo the last outcome");
  setText(byId("trial-note"), message.note);
  showResults(message.table);
  showControl();
  if (phase !== "ended")
    for (const button of section.querySelectorAll("[aria-pressed]")) button.setAttribute("aria-pressed", false);
  if (hadFocus && !document.activeElement.offsetParent) section.focus();  // not the next button: a held Enter would press it
}

function showTimer(trial_s) {
  setText(byId("timer"), `${(trial_s ?? 0).toFixed(1)} of ${trials.limit_s} s`);
}

function showToggles(element, entries) {
  const names = entries.map(([name]) => name).join("\n");
  if (element.dataset.names === names) return;
  element.dataset.names = names;
  element.replaceChildren(...entries.map(([value, text]) => {
    const button = make("button", { type: "button", value }, text);
    button.setAttribute("aria-pressed", false);
    button.onclick = () => button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") === "false");
    return button;
  }));
}

function showResults(table) {
  const title = make("thead", {}, make("tr", {}, ...["task", "n", "success", "95 %", "score", "median time", "failures"].map(text => make("th", {}, text))));
  const percent = value => (100 * value).toFixed(0);
  const rows = table.map(row => make("tr", {}, make("th", {}, row.task), ...[
    String(row.n), `${row.successes}`, `${percent(row.low)} … ${percent(row.high)} %`, fixed(row.score, 2),
    row.median_s === null ? "–" : `${row.median_s.toFixed(1)} s`,
    Object.entries(row.failures).filter(([, count]) => count).map(([name, count]) => `${name.replace("_", " ")} ${count}`).join(", "),
  ].map(text => make("td", {}, text))));
  byId("results").replaceChildren(...(rows.length ? [title, make("tbody", {}, ...rows)] : []));
}

function judge(success) {
  const pressed = id => [...byId(id).querySelectorAll("[aria-pressed=true]")].map(button => button.value);
  say("judge_trial", { success, stages: pressed("stages"), failures: pressed("failures") });
}

// ---- What the person does.

byId("login").onsubmit = event => {
  event.preventDefault();
  const form = event.target;
  logIn(form.elements.token.value).then(() => { form.reset(); return connect(); })
    .catch(error => setText(form.querySelector("output"), error.message));
};
byId("stop").onclick = stop;
byId("take").onclick = () => control.is_you ? say("release_control") : say("take_control", { name: byId("name").value.trim() });
byId("name").value = localStorage.getItem("name") ?? "";
byId("name").onchange = event => localStorage.setItem("name", event.target.value.trim());
byId("task").onsubmit = event => {
  event.preventDefault();
  const input = event.target.elements.task;
  if (input.value.trim()) say("set_task", { task: input.value.trim() });
  input.blur();  // so that the space bar stops again
};
byId("no-task").onclick = () => say("set_task", { task: "" });
for (const button of document.querySelectorAll("#modes [data-say]"))
  button.onclick = () => say(button.dataset.say, button.dataset.on ? { on: button.dataset.on === "true" } : {});
for (const button of document.querySelectorAll("#hand button"))
  button.onclick = () => {
    target = null;
    say("take_over", { on: button.dataset.takeOver === "true" });
  };
for (const button of document.querySelectorAll("#verbs button"))
  button.onclick = () => say("record", { verb: button.dataset.verb });
byId("tune").oninput = () => { byId("tune").dataset.changed = "yes"; };
byId("tune").onsubmit = event => {
  event.preventDefault();
  const { fusion, trigger, threshold } = event.target.elements;
  delete event.target.dataset.changed;
  say("tune", { fusion: fusion.value, trigger: trigger.value, threshold: Number(threshold.value) });
};

for (const [id, kind] of [["begin", "begin_trial"], ["done", "end_trial"], ["undo", "undo_trial"]])
  byId(id).onclick = () => say(kind);
byId("trial-success").onclick = () => judge(true);
byId("trial-failure").onclick = () => judge(false);

setInterval(repeatStop, STOP_REPEAT_MS);
setInterval(repeatTarget, TARGET_MS);
setInterval(() => { watchConnection(); showStop(); showRates(); }, 250);
requestAnimationFrame(draw);
connect();
