"use strict";
// Keeps the page up to date. The server renders all of it. This script fetches it again and updates
// only what changed, which preserves focus, selection and scroll position.
(() => {
  const INTERVAL_MS = 5000;
  const alert = document.getElementById("alert");
  let latestRequest = 0;

  /** Updates `node` to equal `fresh`, and changes only what differs. */
  function update(node, fresh) {
    if (node.nodeType !== fresh.nodeType || node.nodeName !== fresh.nodeName) {
      node.replaceWith(document.importNode(fresh, true));
    } else if (node.nodeType !== Node.ELEMENT_NODE) {
      if (node.data !== fresh.data) node.data = fresh.data;
    } else {
      for (const { name } of [...node.attributes]) if (!fresh.hasAttribute(name)) node.removeAttribute(name);
      for (const { name, value } of fresh.attributes) {
        if (node.getAttribute(name) !== value) node.setAttribute(name, value);
      }
      // Keeps the input that the user is editing.
      if (node === document.activeElement && node.matches("input, select")) return;
      if (node.matches("input") && node.value !== fresh.value) node.value = fresh.value;
      const [current, wanted] = [[...node.childNodes], [...fresh.childNodes]];
      current.slice(wanted.length).forEach((child) => child.remove());
      wanted.forEach((child, at) => {
        if (at < current.length) update(current[at], child);
        else node.append(document.importNode(child, true));
      });
      if (node.matches("select")) node.value = fresh.value;
    }
  }

  /** Fetches the page at the current address. Only the latest of several requests has an effect. */
  async function refresh() {
    const request = ++latestRequest;
    try {
      const response = await fetch(location.pathname + location.search, { cache: "no-store" });
      // An invalid query has a page, too, with the error.
      if (!response.ok && response.status !== 400) throw new Error(`status ${response.status}`);
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      if (request !== latestRequest) return;
      const live = (page) => page.querySelectorAll("[data-live]");
      live(document).forEach((region, at) => update(region, live(fresh)[at]));
      alert.hidden = true;
    } catch (error) {
      if (request !== latestRequest) return;
      alert.textContent = `This page is out of date because the exporter cannot be reached: ${error.message}`;
      alert.hidden = false;
    }
  }

  function go(search, change) {
    history[change](null, "", location.pathname + search);
    return refresh();
  }

  /** The query string of the form, without empty values. */
  function queryOf(form) {
    const fields = [...new FormData(form)].filter(([, value]) => value !== "");
    return fields.length ? `?${new URLSearchParams(fields)}` : "";
  }

  /** Waits for a pause in typing, and ignores responses to earlier queries. */
  let typing = null;
  function typed({ target }) {
    if (target.form?.id !== "choose") return;
    latestRequest++;
    clearTimeout(typing);
    typing = setTimeout(() => submit(target.form, "replaceState"), 200);
  }
  document.addEventListener("input", typed);
  document.addEventListener("change", typed);
  document.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    submit(event.target, "pushState");
  });
  function submit(form, change) {
    typing = null;
    go(queryOf(form), change);
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
  const poll = () => document.hidden || typing || refresh();
  document.addEventListener("visibilitychange", poll);
  setInterval(poll, INTERVAL_MS);
})();
