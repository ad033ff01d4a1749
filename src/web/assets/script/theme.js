// Light, dark, or as the system has it.

const KEY = "marketrank.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

export function startTheme(button) {
  apply(read());
  button.addEventListener("click", () => {
    const next = (read() ?? (dark.matches ? "dark" : "light")) === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // Storage may be forbidden; then it lasts until the page is left.
    }
    apply(next);
  });
}

function read() {
  const current = document.documentElement.dataset.theme;
  if (current) return current;
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function apply(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
