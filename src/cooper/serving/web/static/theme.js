// Sets the colours before the page is painted. The choice is kept in this browser.
(() => {
  const KEY = "cooper.theme";
  const known = ["system", "light", "dark"];
  const read = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is switched off
    }
  };
  const apply = (name) => {
    if (name === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
  };
  const chosen = known.includes(read()) ? read() : "system";
  apply(chosen);
  document.addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = chosen;
    select.addEventListener("change", () => {
      apply(select.value);
      try {
        localStorage.setItem(KEY, select.value);
      } catch {
        // the choice then lasts until the page is left
      }
    });
  });
})();
