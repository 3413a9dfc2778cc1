// Draw every figure of the page with the colours of the page, again when the person changes them.
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const figures = [...document.querySelectorAll("script[data-plot]")].map((element) => ({
    place: document.getElementById(element.dataset.plot),
    ...JSON.parse(element.textContent),
  }));
  const draw = () => {
    const template = dark.matches && !window.matchMedia("print").matches ? WORKBENCH.dark : WORKBENCH.light;
    for (const { place, data, layout } of figures) {
      const height = place.clientHeight;
      Plotly.react(place, data, { ...layout, template, height, autosize: true }, WORKBENCH.config);
    }
    document.documentElement.dataset.figures = "drawn";
  };
  draw();
  dark.addEventListener("change", draw);
})();
