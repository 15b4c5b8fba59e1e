"use strict";
// Edits are chosen for the selected episode, at the time that is shown, and kept for all episodes. They become the
// words of a command line of edit_dataset, which the server runs, or which a page without a server shows.

const editing = JSON.parse(byId("editing").textContent);
const edits = episodes.map(noEdits);

function noEdits() {
  return { dropped: false, begin: 0, end: null, splits: [], task: "", outcome: "" }; // begin, end, splits: frames
}

function selectedEdits() {
  return edits[episodes.indexOf(episode)];
}

function isCut(edit) {
  return edit.begin > 0 || edit.end !== null;
}

function isEdited(edit) {
  return edit.dropped || isCut(edit) || edit.splits.length > 0 || edit.task !== "" || edit.outcome !== "";
}

function shownFrame() {
  return Math.floor((time_s + INTO_FRAME_S) / episode.frame_s); // times of a dataset are rounded
}

function seconds(frame, frame_s) {
  // rounded down: edit_dataset cuts at the first frame that is not before this time
  return String(Math.floor(frame * frame_s * 1e4) / 1e4);
}

// --- the command line

function numberRanges(numbers) {
  // [3, 7, 8, 9] -> "3,7-9"
  const ranges = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}

function groupedWords(pairs) {
  // [[0, "success"], [1, "success"]] -> ["0-1=success"]
  const groups = new Map();
  for (const [number, value] of pairs) groups.set(value, [...(groups.get(value) ?? []), number]);
  return [...groups].map(([value, numbers]) => `${numberRanges(numbers)}=${value}`);
}

function commandWords() {
  const all = episodes.map(({ number, frame_s }, index) => ({ number, frame_s, ...edits[index] }));
  const known = all.filter(({ number }) => number !== null);
  const kept = known.filter(({ dropped }) => !dropped);
  const numbers = (list) => numberRanges(list.map(({ number }) => number));
  const options = {
    "--drop": kept.length >= known.length / 2 && kept.length < known.length
      ? [numbers(known.filter(({ dropped }) => dropped))] : [],
    "--keep": kept.length < known.length / 2 && kept.length > 0 ? [numbers(kept)] : [],
    "--trim": groupedWords(kept.filter(isCut).map(({ number, frame_s, begin, end }) =>
      [number, `${begin ? seconds(begin, frame_s) : ""}..${end === null ? "" : seconds(end, frame_s)}`])),
    "--split": groupedWords(kept.filter(({ splits }) => splits.length).map(({ number, frame_s, splits }) =>
      [number, splits.map((frame) => seconds(frame, frame_s)).join(",")])),
    "--task": groupedWords(kept.filter(({ task }) => task).map(({ number, task }) => [number, task])),
    "--outcome": groupedWords(kept.filter(({ outcome }) => outcome).map(({ number, outcome }) => [number, outcome])),
  };
  return Object.entries(options).flatMap(([option, words]) => (words.length ? [option, ...words] : []));
}

function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function command() {
  const name = byId("folder").value;
  const output = editing.folder === "." ? name : `${editing.folder}/${name}`;
  const words = ["edit_dataset", ...editing.inputs, "--output", output, ...commandWords()];
  return ["ros2 run smolvla_ros", ...words.map(quoted)].join(" ");
}

// --- what is shown

function showEdits() {
  const edit = selectedEdits();
  const canBeCut = episode.frame_s !== undefined; // an episode that cannot be read can only be left out
  byId("drop").setAttribute("aria-pressed", edit.dropped);
  for (const id of ["begin", "end", "split", "task", "outcome"]) byId(id).disabled = !canBeCut || edit.dropped;
  byId("task").value = edit.task;
  byId("task").placeholder = episode.tasks.join(", ");
  byId("outcome").value = edit.outcome;
  byId("undo").disabled = !isEdited(edit);
  showCuts(edit);
  buttons.forEach((button, index) => {
    button.classList.toggle("dropped", edits[index].dropped);
    button.classList.toggle("edited", isEdited(edits[index]) && !edits[index].dropped);
  });
  showCommand();
}

function showCuts(edit) {
  const share = (frame) => `${(100 * frame * episode.frame_s) / episode.duration_s}%`;
  const parts = [];
  if (edit.begin > 0) parts.push({ left: "0", width: share(edit.begin) });
  if (edit.end !== null) parts.push({ left: share(edit.end), right: "0" });
  if (edit.dropped) parts.push({ left: "0", right: "0" });
  for (const marks of document.querySelectorAll(".cuts")) {
    marks.replaceChildren(
      ...parts.map((style) => Object.assign(element("i", { className: "left_out" }), { style: cssText(style) })),
      ...edit.splits.map((frame) => Object.assign(element("i", { className: "split" }), { style: `left: ${share(frame)}` }))
    );
  }
  const at = (frame) => `${(frame * episode.frame_s).toFixed(2)} s`;
  const said = [];
  if (edit.dropped) said.push("left out");
  if (edit.begin > 0) said.push(`from ${at(edit.begin)}`);
  if (edit.end !== null) said.push(`to ${at(edit.end)}`);
  if (edit.splits.length) said.push(`split at ${edit.splits.map(at).join(", ")}`);
  byId("cut").textContent = said.join(", ");
}

function cssText(style) {
  return Object.entries(style).map(([name, value]) => `${name}: ${value}`).join("; ");
}

function showCommand() {
  const words = commandWords();
  const dropped = edits.filter((edit) => edit.dropped).length;
  const changed = edits.filter((edit) => isEdited(edit) && !edit.dropped).length;
  byId("chosen").textContent = words.length
    ? `${dropped} left out, ${changed} changed`
    : dropped ? "all episodes are left out" : "no edits are chosen";
  byId("command").textContent = words.length ? command() : "";
  byId("copy").disabled = byId("undo_all").disabled = words.length === 0 && dropped === 0;
  if (editing.is_served) byId("write_it").disabled = words.length === 0 || isWriting;
}

// --- choosing

function change(edit, changes) {
  Object.assign(edit, changes);
  const end = edit.end ?? Infinity;
  edit.splits = edit.splits.filter((frame) => frame > edit.begin && frame < end);
  showEdits();
}

function beginHere() {
  const edit = selectedEdits();
  const begin = shownFrame();
  change(edit, { begin, end: edit.end !== null && edit.end <= begin ? null : edit.end });
}

function endHere() {
  // the frame that is shown is the last one
  const edit = selectedEdits();
  const end = shownFrame() + 1;
  const isLast = end * episode.frame_s > episode.duration_s + INTO_FRAME_S;
  change(edit, { end: isLast ? null : end, begin: edit.begin >= end ? 0 : edit.begin });
}

function splitHere() {
  // the frame that is shown begins an episode; a second time takes it back
  const edit = selectedEdits();
  const splits = new Set(edit.splits);
  if (!splits.delete(shownFrame())) splits.add(shownFrame());
  change(edit, { splits: [...splits].sort((a, b) => a - b) });
}

function choose(isDropped) {
  // of the episodes that are listed, and of the others
  buttons.forEach((button, index) => {
    if (episodes[index].number !== null) edits[index].dropped = isDropped(!button.parentElement.hidden, edits[index]);
  });
  showEdits();
}

// --- writing

let isWriting = false;

async function write(event) {
  event.preventDefault();
  isWriting = true;
  showCommand();
  byId("progress").removeAttribute("value");
  byId("progress").hidden = false;
  let result = { ok: false, text: "the server has ended before the dataset was written" };
  try {
    const request = { method: "POST", body: JSON.stringify({ output: byId("folder").value, words: commandWords() }) };
    const answer = await fetch("edit", request);
    if (answer.ok) result = (await readSteps(answer.body)) ?? result;
    else result = { ok: false, text: await answer.text() };
  } catch (error) {
    result = { ok: false, text: `${result.text} (${error.message})` };
  }
  isWriting = false;
  byId("progress").hidden = true;
  byId("result").textContent = result.text;
  byId("result").className = result.ok ? "" : "finding error";
  showCommand();
}

async function readSteps(stream) {
  // the last step, after all have been shown
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let [rest, step] = ["", null];
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      step = JSON.parse(line);
      if ("of" in step) {
        byId("progress").max = step.of;
        byId("progress").value = step.done;
        byId("result").className = "";
        byId("result").textContent = `${step.phase}: ${step.done} of ${step.of}`;
      }
    }
  }
  return step && "ok" in step ? step : null;
}

// --- input

document.querySelectorAll(".marks").forEach((marks) => marks.before(element("div", { className: "cuts" })));
byId("drop").addEventListener("click", () => change(selectedEdits(), { dropped: !selectedEdits().dropped }));
byId("begin").addEventListener("click", beginHere);
byId("end").addEventListener("click", endHere);
byId("split").addEventListener("click", splitHere);
byId("task").addEventListener("input", (event) => change(selectedEdits(), { task: event.target.value.trim() && event.target.value }));
byId("outcome").addEventListener("change", (event) => change(selectedEdits(), { outcome: event.target.value }));
byId("undo").addEventListener("click", () => change(selectedEdits(), noEdits()));
byId("undo_all").addEventListener("click", () => {
  edits.forEach((edit) => Object.assign(edit, noEdits()));
  showEdits();
});
byId("drop_listed").addEventListener("click", () => choose((isListed, { dropped }) => dropped || isListed));
byId("keep_listed").addEventListener("click", () => choose((isListed) => !isListed));
byId("folder").addEventListener("input", showCommand);
byId("copy").addEventListener("click", () => {
  getSelection().selectAllChildren(byId("command"));
  document.execCommand("copy"); // also where a page from a file may not use the clipboard
});
byId("write").addEventListener("submit", editing.is_served ? write : (event) => event.preventDefault());
byId("edit").addEventListener("submit", (event) => event.preventDefault()); // Enter would load the page anew
document.addEventListener("episode", showEdits);
if (episode) showEdits();
