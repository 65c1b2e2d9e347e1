// Dragging a card to a column sends the form that its button sends.
let held = null;
for (const card of document.querySelectorAll(".card-lead")) {
  card.addEventListener("dragstart", (event) => {
    held = card;
    card.classList.add("held");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", card.dataset.lead);
  });
  card.addEventListener("dragend", () => {
    card.classList.remove("held");
    held = null;
  });
}
for (const column of document.querySelectorAll(".column")) {
  column.addEventListener("dragover", (event) => {
    if (!held) return;
    event.preventDefault();
    column.classList.add("over");
  });
  column.addEventListener("dragleave", () => column.classList.remove("over"));
  column.addEventListener("drop", (event) => {
    event.preventDefault();
    column.classList.remove("over");
    if (!held || held.closest(".column") === column) return;
    const form = held.querySelector(".card-move");
    form.querySelector("select").value = column.dataset.stage;
    column.querySelector(".cards").prepend(held);
    form.requestSubmit();
  });
}
