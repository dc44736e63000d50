// What all sections of the page use.

export const element = (id) => document.getElementById(id);

export const integer = new Intl.NumberFormat("en");

/** The button says for a moment that `text` is on the clipboard. */
export async function copy(button, text) {
  await navigator.clipboard.writeText(text);
  const label = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = label; }, 1500);
}

/** What needs a GPU says so in its section. */
export function unavailable(section) {
  element(`${section}-run`).disabled = true;
  element(`${section}-status`).textContent = "Needs WebGPU, which this browser does not offer here.";
}
