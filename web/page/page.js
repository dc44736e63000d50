// Functions that all sections of the page use.

export const element = (id) => document.getElementById(id);

export const integer = new Intl.NumberFormat("en");

/** Copies `text` to the clipboard. The button shows that for a moment. */
export async function copy(button, text) {
  await navigator.clipboard.writeText(text);
  const label = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = label; }, 1500);
}

/** Disables a section that needs a GPU, and says why. */
export function unavailable(section) {
  element(`${section}-run`).disabled = true;
  element(`${section}-status`).textContent = "This needs WebGPU, which this browser does not offer here.";
}
