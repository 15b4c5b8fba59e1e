"use strict";
// The list selects an episode, and the player shows it at one time for all cameras and curves. The time runs by the
// page's own clock; videos follow it, so that one that is missing or slow stops none of the others.

const MAX_DRIFT_S = 0.1; // between a video and the clock
const INTO_FRAME_S = 0.001; // a video that is put exactly between two frames may show the first one
const byId = (id) => document.getElementById(id);
const episodes = JSON.parse(byId("episodes").textContent);
const buttons = [...document.querySelectorAll("#list button")];
const figures = [...document.querySelectorAll("#curves figure")];

let episode = null; // the selected one
let motion = null; // its state and action, once they are loaded
let plan = null; // of the executor, that is drawn
let videos = []; // elements, each with the time at which the episode begins in it
let time_s = 0;
let clock_ms = null; // when time_s was set; null: it stands still

function element(tag, properties = {}, children = []) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// --- selecting

function select(index) {
  pause();
  episode = episodes[index];
  buttons.forEach((button, other) => button.setAttribute("aria-current", other === index));
  buttons[index].scrollIntoView({ block: "nearest" });
  byId("title").textContent = episode.name;
  byId("facts").textContent = [episode.outcome, ...episode.tasks].filter(Boolean).join(" · ");
  byId("time").max = episode.duration_s;
  byId("cameras").replaceChildren(...episode.cameras.map(cameraFigure));
  videos = [...document.querySelectorAll("video")];
  byId("findings").replaceChildren(...episode.findings.map(findingItem));
  showMarks();
  showMotion();
  seek(0);
  document.dispatchEvent(new Event("episode"));
}

function cameraFigure(camera) {
  const picture = camera.src
    ? element("video", { src: camera.src, muted: true, playsInline: true, preload: "auto", from_s: camera.from_s })
    : element("div", { className: "nothing", textContent: "cannot be shown" });
  const caption = element("figcaption", { textContent: camera.name });
  if (camera.src) {
    picture.addEventListener("loadedmetadata", () => place(picture));
    picture.addEventListener("error", () => (caption.textContent += ": this browser cannot play the video"));
  }
  return element("figure", {}, [picture, caption]);
}

function findingItem(finding) {
  const where = finding.where ? `, ${finding.where}` : "";
  const item = element("li", { className: finding.severity }, [
    element("b", { textContent: `${finding.severity}: ${finding.check}${where}` }),
    `: ${finding.message}. `,
    element("i", { textContent: finding.remedy }),
  ]);
  if (finding.time_s !== null) {
    const button = element("button", { type: "button", textContent: `at ${finding.time_s.toFixed(1)} s` });
    button.addEventListener("click", () => seek(finding.time_s));
    item.append(button);
  }
  return item;
}

function showMarks() {
  for (const marks of document.querySelectorAll(".marks")) {
    marks.replaceChildren(
      ...episode.findings
        .filter((finding) => finding.time_s !== null)
        .map((finding) => {
          const mark = element("i", { className: finding.severity });
          mark.style.left = `${(100 * finding.time_s) / episode.duration_s}%`;
          return mark;
        })
    );
  }
}

// --- curves

async function showMotion() {
  const selected = episode;
  motion = null;
  plan = null;
  showSpells();
  figures.forEach((figure, joint) => drawJoint(figure, joint));
  const loaded = selected.motion ? await (await fetch(selected.motion)).json() : null;
  if (selected !== episode) return; // another one was selected meanwhile
  motion = loaded;
  figures.forEach((figure, joint) => drawJoint(figure, joint));
  showSpells();
  showTime();
}

function drawJoint(figure, joint) {
  const curves = ["state", "action"].map((name) => ({ name, values: motion?.[name]?.joints[joint] ?? [] }));
  const plans = (motion?.plans ?? []).map(({ joints }) => joints[joint] ?? []);
  let low = Infinity;
  let high = -Infinity;
  for (const values of [...curves.map(({ values }) => values), ...plans]) {
    for (const value of values) {
      if (value === null) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  const known = low <= high;
  const margin = Math.max(1, 0.05 * (high - low));
  [figure.low, figure.high] = [low, high] = [low - margin, high + margin];
  for (const { name, values } of curves) {
    figure.querySelector(`path.${name}`).setAttribute("d", path(figure, motion?.[name]?.times, values));
  }
  figure.querySelector("path.plan").setAttribute("d", "");
  figure.querySelector(".high").textContent = known ? `${high.toFixed(0)}°` : "";
  figure.querySelector(".low").textContent = known ? `${low.toFixed(0)}°` : "";
  figure.querySelector(".to").textContent = `${episode.duration_s.toFixed(1)} s`;
  const text = motion && !known ? "unknown without the arm's --calibration" : "";
  figure.querySelector("figcaption output").textContent = text;
}

function path({ low, high }, times, values) {
  let drawn = "";
  let begins = true;
  values.forEach((value, index) => {
    if (value !== null) {
      const x = (1000 * times[index]) / episode.duration_s;
      drawn += `${begins ? "M" : "L"}${x.toFixed(1)} ${((100 * (high - value)) / (high - low)).toFixed(1)}`;
    }
    begins = value === null;
  });
  return drawn;
}

// --- the executor: a band of its states, and of its plans the one that was known at the time that is shown

function showSpells() {
  const spells = motion?.spells ?? [];
  byId("executor").hidden = byId("spell").hidden = !spells.length;
  byId("plan_legend").hidden = !motion?.plans.length;
  byId("executor").replaceChildren(
    ...spells.map(({ begin_s, state, reason }, index) => {
      const [from_s, to_s] = [Math.max(begin_s, 0), spells[index + 1]?.begin_s ?? episode.duration_s];
      const band = element("span", { className: state, textContent: state, title: reason ? `${state}: ${reason}` : state });
      band.style.left = `${(100 * from_s) / episode.duration_s}%`;
      band.style.width = `${Math.max(0, (100 * (to_s - from_s)) / episode.duration_s)}%`;
      return band;
    })
  );
}

function showExecutor() {
  const spell = motion.spells[newest(motion.spells.map(({ begin_s }) => begin_s))];
  if (spell) byId("spell").textContent = spell.reason ? `${spell.state}: ${spell.reason}` : spell.state;
  let known = motion.plans[newest(motion.plans.map(({ known_s }) => known_s))] ?? null;
  if (known && (known.known_s > time_s || !(known.times.at(-1) >= time_s))) known = null; // it ended before
  if (known === plan) return;
  plan = known;
  figures.forEach((figure, joint) => {
    const drawn = plan ? path(figure, plan.times, plan.joints[joint]) : "";
    figure.querySelector("path.plan").setAttribute("d", drawn);
  });
}

function newest(times) {
  // the number of the last sample at time_s, the first one before it
  let [first, end] = [0, times.length];
  while (end - first > 1) {
    const middle = (first + end) >> 1;
    if (times[middle] <= time_s) first = middle;
    else end = middle;
  }
  return first;
}

// --- time

function showTime() {
  byId("time").value = time_s;
  byId("clock").textContent = `${time_s.toFixed(2)} / ${episode.duration_s.toFixed(2)} s`;
  byId("player").style.setProperty("--at", episode.duration_s ? time_s / episode.duration_s : 0);
  if (!motion) return;
  showExecutor();
  const samples = ["state", "action"]
    .filter((name) => motion[name])
    .map((name) => [name, newest(motion[name].times)]);
  figures.forEach((figure, joint) => {
    const values = samples.map(([name, index]) => [name, motion[name].joints[joint][index] ?? null]);
    if (values.some(([, value]) => value !== null)) {
      figure.querySelector("figcaption output").textContent = values
        .map(([name, value]) => `${name} ${value === null ? "none" : value.toFixed(1) + "°"}`)
        .join("  ");
    }
  });
}

function place(video) {
  video.currentTime = video.from_s + time_s + INTO_FRAME_S;
}

function seek(to_s) {
  time_s = Math.min(Math.max(to_s, 0), episode.duration_s);
  videos.forEach(place);
  showTime();
}

function play() {
  if (time_s >= episode.duration_s) seek(0);
  clock_ms = performance.now();
  byId("play").textContent = "❚❚";
  videos.forEach((video) => video.play().catch(() => {})); // one that cannot be played stays as it is
  requestAnimationFrame(tick);
}

function pause() {
  clock_ms = null;
  byId("play").textContent = "▶";
  videos.forEach((video) => video.pause());
}

function playOrPause() {
  if (clock_ms === null) {
    play();
  } else {
    pause();
    seek(time_s);
  }
}

function tick() {
  if (clock_ms === null) return;
  const now_ms = performance.now();
  time_s += (now_ms - clock_ms) / 1000;
  clock_ms = now_ms;
  if (time_s >= episode.duration_s) {
    pause();
    seek(episode.duration_s);
    return;
  }
  for (const video of videos) {
    if (!video.seeking && Math.abs(video.currentTime - video.from_s - time_s) > MAX_DRIFT_S) place(video);
  }
  showTime();
  requestAnimationFrame(tick);
}

// --- filters

function passes({ tasks, outcome, findings }, filters) {
  const { finding, task } = filters;
  const checks = findings.map(({ check }) => check);
  return (
    (!finding || (finding === "*" ? checks.length > 0 : checks.includes(finding))) &&
    (!task || tasks.includes(task)) &&
    (!filters.outcome || outcome === filters.outcome)
  );
}

function filter() {
  const filters = Object.fromEntries(new FormData(byId("filters")));
  buttons.forEach((button, index) => (button.parentElement.hidden = !passes(episodes[index], filters)));
  byId("count").textContent = `${shownButtons().length} of ${episodes.length}`;
}

function shownButtons() {
  return buttons.filter((button) => !button.parentElement.hidden);
}

// --- input

function selectNeighbour(step) {
  const shown = shownButtons();
  const next = shown[shown.indexOf(buttons[episodes.indexOf(episode)]) + step];
  if (next) {
    select(buttons.indexOf(next));
    next.focus();
  }
}

buttons.forEach((button, index) =>
  button.addEventListener("click", () => {
    if (episodes[index] === episode) {
      playOrPause();
    } else {
      select(index);
      byId("player").scrollIntoView(); // where it is below the list
    }
  })
);
byId("play").addEventListener("click", playOrPause);
byId("time").addEventListener("input", (event) => seek(Number(event.target.value)));
byId("filters").addEventListener("change", filter);
for (const area of document.querySelectorAll(".area")) {
  area.addEventListener("pointerdown", (event) => {
    const { left, width } = area.getBoundingClientRect();
    seek(((event.clientX - left) / width) * episode.duration_s);
  });
}
document.addEventListener("keydown", (event) => {
  if (!episode || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("select, input[type=text]")) return;
  const step_s = event.shiftKey ? 1 : episode.frame_s ?? 1;
  const actions = {
    ArrowLeft: () => seek(time_s - step_s),
    ArrowRight: () => seek(time_s + step_s),
    ArrowUp: () => selectNeighbour(-1),
    ArrowDown: () => selectNeighbour(1),
  };
  // the focused button does by itself what space is to do there
  if (!event.target.closest("button, summary")) actions[" "] = playOrPause;
  if (!(event.key in actions)) return;
  event.preventDefault();
  actions[event.key]();
});

filter();
if (episodes.length) select(0);
