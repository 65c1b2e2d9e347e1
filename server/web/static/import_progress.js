// How far a file is: the server tells it whenever that changed; at its end the page is read once more.
import { Live } from "./live.js";

const progress = document.getElementById("import-progress");
const bar = progress.querySelector("progress");
const word = document.getElementById("import-word");
const counts = document.getElementById("import-counts");

new Live(progress.dataset.url, {
  import: (view) => {
    if (!view.goes_on) {
      location.reload();
      return;
    }
    if (view.total) {
      bar.max = view.total;
      bar.value = view.taken;
    }
    word.textContent = view.word;
    counts.textContent = view.counts;
  },
});
