// The form of a claim mapper: show only the fields of the chosen source.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const kind = document.getElementById("id_source_kind");
  if (!kind) return;
  const byId = (id) => document.getElementById(id);
  const show = (name, isShown) => {
    const row = document.querySelector(`.form-row.field-${name}`);
    // Rows with an error stay visible.
    if (row) row.hidden = !isShown && !row.querySelector(".errorlist");
  };

  const kinds = [...document.querySelectorAll('.form-row[class*="field-source_"]')]
    .map((row) => [...row.classList].find((name) => name.startsWith("field-source_")).slice("field-source_".length))
    .filter((name) => name !== "kind");
  const type = byId("id_type");
  const registered = byId("id_source_registered");
  const types = JSON.parse(kind.dataset.types);
  const registeredTypes = JSON.parse(registered?.dataset.types || "{}");

  const showSource = () => kinds.forEach((each) => show(`source_${each}`, each === kind.value));

  // Follow the source with the type, and announce it, until the user chooses a type.
  const notice = document.createElement("div");
  notice.className = "help at-jwt-notice";
  notice.setAttribute("role", "status");
  type.closest(".form-row").append(notice);
  const say = (text, value) => {
    const name = [...type.options].find((option) => option.value === value).text;
    notice.textContent = text.replace("{type}", name);
  };
  const original = type.value;
  let isChosen = "typeIsChosen" in kind.dataset;
  const suggestType = () => {
    const returned = kind.value === "registered" ? registeredTypes[registered.value] : types[kind.value];
    const suggested = returned || (isChosen || kind.value === "constant" ? type.value : original);
    notice.textContent = "";
    if (suggested === type.value) return;
    if (isChosen) { say(kind.dataset.differs, suggested); return; }
    type.value = suggested;
    if (returned) say(kind.dataset.changed, suggested);
    else say(kind.dataset.reset, suggested);
  };
  type.addEventListener("change", () => { isChosen = true; suggestType(); });
  kind.addEventListener("change", () => { showSource(); suggestType(); });
  registered?.addEventListener("change", suggestType);
  showSource();
  document.querySelectorAll("fieldset .description").forEach((text) => {
    if (kind.closest("fieldset").contains(text)) text.hidden = true;
  });

  const whenMissing = byId("id_when_missing");
  const showDefault = () => show("default", whenMissing.value === "default");
  whenMissing.addEventListener("change", showDefault);
  showDefault();

  const scopes = [...document.querySelectorAll('input[name="scopes"]')];
  const showMatch = () => show("scopes_match", scopes.filter((box) => box.checked).length > 1);
  scopes.forEach((box) => box.addEventListener("change", showMatch));
  showMatch();

  const steps = [...document.querySelectorAll(".at-jwt-step")];
  const dress = (step) => {
    const choice = step.querySelector("select");
    const text = step.querySelector("textarea");
    const hint = choice.selectedOptions[0]?.dataset.hint || "";
    text.placeholder = hint;
    text.hidden = !hint && !text.value;
  };
  // Show one empty row at a time.
  const showSteps = () => {
    const isUsed = (step) => step.querySelector("select").value || step.querySelector("textarea").value;
    const lastUsed = steps.findLastIndex(isUsed);
    steps.forEach((step, place) => { step.hidden = place > lastUsed + 1; dress(step); });
  };
  steps.forEach((step) => ["input", "change"].forEach((event) => step.addEventListener(event, showSteps)));
  showSteps();
});
