// Before the first paint: the colours that were chosen last time; none: the system's.
{
  const apply = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  apply(localStorage.getItem("theme"));
  addEventListener("DOMContentLoaded", () => {
    const chosen = document.getElementById("theme");
    chosen.value = localStorage.getItem("theme") ?? "";
    chosen.addEventListener("change", () => {
      localStorage.setItem("theme", chosen.value);
      apply(chosen.value);
      dispatchEvent(new Event("themechange"));
    });
  });
}
