// What the page offers beyond what it says: values by pointer and keyboard, one block in all figures and tables, networks
// that can be hidden, sorted tables, figures as files. Everything is read from the page itself.
(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const tip = make("div", { id: "tip", hidden: true, ariaHidden: "true" });
  document.body.append(tip);

  // The browser's own hints are slow and cannot be had by keyboard: labels take their place.
  for (const title of all(".panel .m > title, .panel image > title")) {
    title.parentNode.setAttribute("aria-label", title.textContent);
    title.remove();
  }

  // ---- One mark, and everything about its block.
  let shown = null;
  let blocks = "";
  const visible = (element) => element.getClientRects().length > 0;
  const anchor = (mark) => (mark.querySelector("path:last-of-type, rect") || mark).getBoundingClientRect();
  const highlight = (names) => {
    if (names === blocks) return;
    for (const element of all(".on")) element.classList.remove("on");
    for (const name of names ? names.split(" ") : [])
      for (const element of all(`[data-b~="${CSS.escape(name)}"]`)) element.classList.add("on");
    blocks = names;
  };
  const show = (mark) => {
    if (mark === shown) return;
    if (shown) shown.classList.remove("at");
    shown = mark;
    highlight((mark && mark.dataset.b) || "");
    tip.hidden = !mark;
    if (!mark) return;
    mark.classList.add("at");
    tip.textContent = mark.getAttribute("aria-label");
    place();
  };
  const place = () => {
    if (!shown) return;
    const at = anchor(shown);
    const size = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, at.left + at.width / 2 - size.width / 2), innerWidth - size.width - 8);
    const above = at.top - size.height - 10;
    tip.style.transform = `translate(${left}px, ${above > 4 ? above : at.bottom + 10}px)`;
  };

  // The nearest mark within reach, so that small points need no steady hand.
  const nearest = (marks, x, y) => {
    let best = null;
    let least = 18;
    for (const mark of marks) {
      const r = mark.getBoundingClientRect();
      const dx = Math.max(r.left - x, 0, x - r.right);
      const dy = Math.max(r.top - y, 0, y - r.bottom);
      if (Math.hypot(dx, dy) > least) continue;
      const at = anchor(mark);
      const middle = Math.hypot(x - at.left - at.width / 2, y - at.top - at.height / 2);
      const distance = Math.hypot(dx, dy) + 0.01 * Math.min(middle, 100);
      if (distance < least) [best, least] = [mark, distance];
    }
    return best;
  };
  const marks = (panel) => all(".m, image", panel).filter(visible);
  for (const panel of all(".panel")) {
    if (!panel.querySelector(".m, image")) continue;
    panel.tabIndex = 0;
    const point = (event) => show(nearest(marks(panel), event.clientX, event.clientY));
    panel.addEventListener("pointermove", point);
    panel.addEventListener("pointerdown", point);
    panel.addEventListener("pointerleave", () => show(null));
    panel.addEventListener("focusout", () => show(null));
    panel.addEventListener("keydown", (event) => {
      const to = step(panel, event.key);
      if (!to) return;
      event.preventDefault();
      to.setAttribute("tabindex", "-1");
      to.focus();
      show(to === panel ? null : to);
    });
  }

  // Where a key leads from the mark that has the focus: left and right along a series, up and down to the next one.
  const step = (panel, key) => {
    const list = marks(panel);
    const from = list.indexOf(document.activeElement);
    if (key === "Escape") return from >= 0 ? panel : null;
    if (key === "Home") return list[0];
    if (key === "End") return list[list.length - 1];
    if (key === "ArrowRight") return list[Math.min(from + 1, list.length - 1)];
    if (key === "ArrowLeft") return list[Math.max(from - 1, 0)];
    if (key !== "ArrowUp" && key !== "ArrowDown") return null;
    if (from < 0) return list[0];
    const here = anchor(list[from]);
    const sign = key === "ArrowUp" ? -1 : 1;
    const series = [...new Set(list.map((mark) => mark.parentNode))];
    const distance = (mark) => Math.abs(anchor(mark).left - here.left);
    let others;
    if (series.length > 1) {
      const place = series.indexOf(list[from].parentNode) + sign;
      others = list.filter((mark) => mark.parentNode === series[(place + series.length) % series.length]);
    } else {
      const beyond = list.filter((mark) => sign * (anchor(mark).top - here.top) > 1 && distance(mark) < 1 + here.width / 2);
      others = beyond.sort((a, b) => sign * (anchor(a).top - anchor(b).top)).slice(0, 1);
    }
    return others.sort((a, b) => distance(a) - distance(b))[0] || list[from];
  };

  for (const row of all("tr[data-b]")) {
    row.addEventListener("pointerenter", () => highlight(row.dataset.b));
    row.addEventListener("pointerleave", () => highlight(""));
  }

  // ---- Networks that can be hidden.
  for (const item of all(".networks li")) {
    const place = item.dataset.network;
    const button = make("button", { type: "button", title: "Hide or show this network" }, ...item.childNodes);
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      const isShown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", isShown);
      for (const element of all(`[data-n="${place}"]`)) element.classList.toggle("off", !isShown);
    });
    item.append(button);
  }

  // ---- Tables that can be sorted: up, down, and as they were.
  const collator = new Intl.Collator("en", { numeric: true });
  const number = (text) => {
    const plain = text.trim().replace(/\u2212/g, "-").replace(/,/g, "").replace("\u221e", "Infinity");
    return parseFloat(plain);
  };
  for (const table of all("table")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      const isNumber = head.classList.contains("n");
      const text = (row) => row.cells[column].textContent;
      const compare = (a, b, sign) => {
        if (!isNumber) return sign * collator.compare(text(a), text(b));
        const [x, y] = [number(text(a)), number(text(b))];
        // What has no number stands last, either way.
        return Number.isNaN(x) || Number.isNaN(y) ? Number.isNaN(x) - Number.isNaN(y) : sign * (x - y || 0);
      };
      const button = make("button", { type: "button" }, ...head.childNodes);
      button.addEventListener("click", () => {
        const next = { ascending: "descending", descending: null }[head.ariaSort] ?? (head.ariaSort ? null : "ascending");
        for (const other of heads) other.removeAttribute("aria-sort");
        if (next) head.setAttribute("aria-sort", next);
        const sign = next === "descending" ? -1 : 1;
        body.append(...(next ? [...rows].sort((a, b) => compare(a, b, sign)) : rows));
      });
      head.append(button);
    });
  }

  // ---- Figures as files, as they are on the screen.
  const escape = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
  const text = (element, box, size, weight) => {
    const r = element.getBoundingClientRect();
    const style = `font-size="${size}" font-weight="${weight}" fill="var(--ink)"`;
    return `<text x="${r.left - box.left}" y="${r.top - box.top + 0.74 * r.height}" ${style}>${escape(element.textContent)}</text>`;
  };
  const nested = (svg, box) => {
    const copy = svg.cloneNode(true);
    const r = svg.getBoundingClientRect();
    for (const element of all(".off", copy)) element.remove();
    for (const element of all("[aria-label]", copy)) {
      const title = document.createElementNS(copy.namespaceURI, "title");
      title.textContent = element.getAttribute("aria-label");
      element.prepend(title);
    }
    for (const element of [copy, ...all("*", copy)])
      for (const name of ["class", "style", "role", "tabindex", "data-b", "data-n", "aria-label", "aria-hidden"])
        if (element.localName !== "image" || name !== "style") element.removeAttribute(name);
    const place = { x: r.left - box.left, y: r.top - box.top, width: r.width, height: r.height };
    for (const [name, value] of Object.entries(place)) copy.setAttribute(name, value.toFixed(1));
    return new XMLSerializer().serializeToString(copy);
  };
  const drawing = (figure) => {
    const box = figure.getBoundingClientRect();
    const panels = all(".panel", figure).filter(visible);
    const body = [
      ...all("h3", figure).map((element) => text(element, box, 15, 600)),
      ...all(".legend .name", figure).filter(visible).map((element) => text(element, box, 12, 400)),
      ...[...all(".key", figure).filter(visible), ...panels].map((svg) => nested(svg, box)),
    ].join("\n");
    const edges = panels.map((panel) => panel.getBoundingClientRect());
    const width = Math.ceil(Math.max(...edges.map((r) => r.right)) - box.left) + 24;
    const height = Math.ceil(Math.max(...edges.map((r) => r.bottom)) - box.top) + 24;
    const colours = getComputedStyle(document.documentElement);
    const font = escape(getComputedStyle(document.body).fontFamily);
    return (
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="-12 -12 ${width} ${height}" ` +
      `font-family="${font}" font-size="12"><rect x="-12" y="-12" width="${width}" height="${height}" fill="var(--paper)"/>\n${body}</svg>\n`
    ).replace(/var\((--\w+)\)/g, (_, name) => colours.getPropertyValue(name).trim());
  };
  for (const figure of all("figure[data-file]")) {
    const button = make("button", { type: "button", className: "save" }, "SVG");
    button.setAttribute("aria-label", "Figure as SVG");
    button.addEventListener("click", () => {
      const url = URL.createObjectURL(new Blob([drawing(figure)], { type: "image/svg+xml" }));
      make("a", { href: url, download: `${figure.dataset.file}.svg` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
    });
    figure.querySelector(".tools").prepend(button);
  }

  // ---- Where the reader is, what can be scrolled, and what paper shows.
  const links = new Map(all(".contents a").map((link) => [link.hash.slice(1), link]));
  const current = () => {
    const sections = all("section").filter((section) => links.has(section.id));
    const here = sections.filter((section) => section.getBoundingClientRect().top < innerHeight / 3).pop();
    for (const [id, link] of links)
      if (here && id === here.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
  };
  const scrollers = () => {
    for (const region of all(".scroll")) {
      const scrolls = region.scrollWidth > region.clientWidth + 1 || region.scrollHeight > region.clientHeight + 1;
      for (const [name, value] of [["tabindex", "0"], ["role", "region"]])
        if (scrolls) region.setAttribute(name, value);
        else region.removeAttribute(name);
    }
  };
  addEventListener("scroll", () => { place(); current(); }, { passive: true, capture: true });
  addEventListener("resize", scrollers);
  for (const details of all("details")) details.addEventListener("toggle", scrollers);
  // Browsers that know `::details-content` print what is folded away by the style sheet.
  if (!CSS.supports("selector(::details-content)")) {
    let closed = [];
    addEventListener("beforeprint", () => {
      closed = all("details:not([open])");
      for (const details of closed) details.open = true;
    });
    addEventListener("afterprint", () => {
      for (const details of closed) details.open = false;
    });
  }
  current();
  scrollers();
})();
