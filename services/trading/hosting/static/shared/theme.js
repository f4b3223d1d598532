// Applies the stored colour theme before the first paint; without one the system's theme applies.
{
  const apply = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  apply(localStorage.getItem("theme"));
  addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = localStorage.getItem("theme") ?? "";
    select.addEventListener("change", () => {
      localStorage.setItem("theme", select.value);
      apply(select.value);
      dispatchEvent(new Event("themechange"));
    });
  });
}
