// Runs inside the page: the text whose contrast against what lies behind it is below WCAG AA.
export function dimTexts() {
  const rgba = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const over = ([r, g, b, a], under) =>
    [r, g, b].map((value, i) => value * a + under[i] * (1 - a)).concat(1);
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  // What lies behind an element, and how opaque it is, follow from its parent's.
  const known = new Map([[null, { ground: [255, 255, 255, 1], opacity: 1 }]]);
  const standing = (element) => {
    if (!known.has(element)) {
      const under = standing(element.parentElement);
      const style = getComputedStyle(element);
      const ground = over(rgba(style.backgroundColor), under.ground);
      known.set(element, { ground, opacity: under.opacity * style.opacity });
    }
    return known.get(element);
  };
  // What stands in a form's controls is no text of the document.
  const found = [...document.querySelectorAll("input, select, textarea")].map((one) => [one, one.value]);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) found.push([texts.currentNode.parentElement, texts.currentNode.data]);
  const dim = new Set();
  let seen = 0;
  for (const [element, text] of found) {
    const style = getComputedStyle(element);
    if (!text.trim() || style.visibility === "hidden") continue;
    if (!element.getClientRects().length || element.closest("option, noscript")) continue;
    const { ground, opacity } = standing(element);
    const [r, g, b, a] = rgba(style.color);
    const pair = [over([r, g, b, a * opacity], ground), ground].map(luminance).sort((x, y) => y - x);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    const size = Number.parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    seen += 1;
    if (ratio < (large ? 3 : 4.5)) {
      dim.add(`${ratio.toFixed(2)} ${element.tagName}.${element.className}: ${style.color} on ${ground.slice(0, 3).map(Math.round)}`);
    }
  }
  return { seen, dim: [...dim], ground: standing(document.body).ground.slice(0, 3).map(Math.round) };
}
