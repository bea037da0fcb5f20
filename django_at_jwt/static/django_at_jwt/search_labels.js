// Name Django's search boxes: the script that makes them leaves them without the label of their field.
"use strict";
const nameSearchBoxes = () => {
  for (const select of document.querySelectorAll("select.admin-autocomplete")) {
    const [label] = select.labels;
    const box = select.nextElementSibling;
    if (!label || !box?.classList.contains("select2-container")) continue;
    label.id ||= `${select.id}_label`;
    for (const field of box.querySelectorAll('[role="combobox"], [role="textbox"], input')) {
      // A search box for one row is also named by the chosen row.
      field.setAttribute("aria-labelledby", [label.id, field.getAttribute("aria-labelledby")].filter(Boolean).join(" "));
      const described = select.getAttribute("aria-describedby");
      if (described) field.setAttribute("aria-describedby", described);
    }
  }
};
// After the boxes are made: jQuery calls what waits for the document in this order, maybe after "load".
window.addEventListener("load", () => django.jQuery(nameSearchBoxes));
