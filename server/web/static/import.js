// The chosen file goes up as it is; the server says where it can be looked at.
const form = document.getElementById("import");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = form.querySelector("[role=alert]");
  const button = form.querySelector("button");
  // The server stops reading there, and a browser that is cut off shows no answer.
  if (form.elements.file.files[0]?.size > Number(form.dataset.most)) {
    said.textContent = form.dataset.tooLarge;
    said.hidden = false;
    return;
  }
  button.disabled = true;
  let told = { message: form.dataset.failed };
  try {
    const answer = await fetch("/leads/import", {
      method: "POST",
      headers: { "X-CSRF-Token": form.dataset.token },
      body: new FormData(form),
    });
    told = await answer.json();
  } catch {
    // What went wrong is said below, in the page's language.
  }
  if (told.to) location.assign(told.to);
  said.textContent = told.message || "";
  said.hidden = !told.message;
  button.disabled = false;
});
