// Buttons that copy the text of another element. Without this script they stay hidden.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const write = async (element) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(element.textContent);
    // Without https there is no clipboard API.
    const before = document.activeElement;
    document.getSelection().selectAllChildren(element);
    const done = document.execCommand("copy");
    before?.focus();
    if (!done) throw new Error("not copied");
  };
  document.querySelectorAll("button[data-copies]").forEach((button) => {
    const element = document.getElementById(button.dataset.copies);
    // A live region must exist before its text changes, or screen readers do not announce it.
    const status = document.createElement("span");
    status.setAttribute("role", "status");
    status.className = "at-jwt-copied";
    button.after(status);
    button.hidden = false;
    button.addEventListener("click", async () => {
      status.textContent = "";
      try {
        await write(element);
        status.textContent = button.dataset.done;
      } catch {
        document.getSelection().selectAllChildren(element);
        status.textContent = button.dataset.failed;
      }
    });
  });
});
