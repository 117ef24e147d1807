"use strict";
// Keeps the page up to date. The server renders all of it; this fetches it again and changes only
// what is new, so that focus, selection and scrolling stay where they are.
(() => {
  const EVERY = 5000;
  const trouble = document.getElementById("trouble");
  let newest = 0;

  /** Makes `node` like `fresh`, and touches only what differs. */
  function become(node, fresh) {
    if (node.nodeType !== fresh.nodeType || node.nodeName !== fresh.nodeName) {
      node.replaceWith(document.importNode(fresh, true));
    } else if (node.nodeType !== Node.ELEMENT_NODE) {
      if (node.data !== fresh.data) node.data = fresh.data;
    } else {
      for (const { name } of [...node.attributes]) if (!fresh.hasAttribute(name)) node.removeAttribute(name);
      for (const { name, value } of fresh.attributes) {
        if (node.getAttribute(name) !== value) node.setAttribute(name, value);
      }
      // What somebody is typing or choosing is theirs.
      if (node === document.activeElement && node.matches("input, select")) return;
      if (node.matches("input") && node.value !== fresh.value) node.value = fresh.value;
      const [mine, theirs] = [[...node.childNodes], [...fresh.childNodes]];
      mine.slice(theirs.length).forEach((child) => child.remove());
      theirs.forEach((child, at) => {
        if (at < mine.length) become(mine[at], child);
        else node.append(document.importNode(child, true));
      });
      if (node.matches("select")) node.value = fresh.value;
    }
  }

  /** Fetches the page at the present address; only the newest of several requests counts. */
  async function refresh() {
    const mine = ++newest;
    try {
      const answer = await fetch(location.pathname + location.search, { cache: "no-store" });
      // An address that is refused has a page, too: it says why.
      if (!answer.ok && answer.status !== 400) throw new Error(`it answers ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (mine !== newest) return;
      const live = (page) => page.querySelectorAll("[data-live]");
      live(document).forEach((region, at) => become(region, live(fresh)[at]));
      trouble.hidden = true;
    } catch (error) {
      if (mine !== newest) return;
      trouble.textContent = `This page is not up to date, since the exporter cannot be reached: ${error.message}`;
      trouble.hidden = false;
    }
  }

  function go(search, change) {
    history[change](null, "", location.pathname + search);
    return refresh();
  }

  /** What the form says, without what says nothing. */
  function chosen(form) {
    const said = [...new FormData(form)].filter(([, value]) => value !== "");
    return said.length ? `?${new URLSearchParams(said)}` : "";
  }

  /** Waits until typing pauses; what is on its way meanwhile does not know what was typed. */
  let typing = null;
  function typed({ target }) {
    if (target.form?.id !== "choose") return;
    newest++;
    clearTimeout(typing);
    typing = setTimeout(() => choose(target.form, "replaceState"), 200);
  }
  document.addEventListener("input", typed);
  document.addEventListener("change", typed);
  document.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    choose(event.target, "pushState");
  });
  function choose(form, change) {
    typing = null;
    go(chosen(form), change);
  }

  document.addEventListener("click", async (event) => {
    const link = event.target.closest?.("a[data-nav]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const { search, hash } = new URL(link.href);
    await go(search, "pushState");
    if (link.closest(".totals, tbody")) document.querySelector(hash)?.focus();
  });
  addEventListener("popstate", refresh);
  const look = () => document.hidden || typing || refresh();
  document.addEventListener("visibilitychange", look);
  setInterval(look, EVERY);
})();
