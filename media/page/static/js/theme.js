// Light, dark, or as the system has it.

import {byId, forgetColours} from "./dom.js";

const KEY = "strep-theme";
const CHOICES = ["system", "light", "dark"];
const SAYS = {system: "Auto", light: "Light", dark: "Dark"};

function chosen() {
  const found = localStorage.getItem(KEY);
  return CHOICES.includes(found) ? found : "system";
}

function apply() {
  const theme = chosen();
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = SAYS[theme];
  byId("theme").setAttribute("aria-label", `Theme: ${SAYS[theme]}`);
  forgetColours();
}

export function nextTheme() {
  localStorage.setItem(KEY, CHOICES[(CHOICES.indexOf(chosen()) + 1) % CHOICES.length]);
  apply();
}

export function startTheme() {
  apply();
  byId("theme").addEventListener("click", nextTheme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", forgetColours);
}
