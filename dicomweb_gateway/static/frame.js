// The frame's own part: what happens when the login ends while a page is open.

import { element, renew, root } from "./gateway.js";

let told = null;

document.addEventListener("login-ended", () => {
  if (told?.open) return;
  const here = location.pathname.slice(root.length) + location.search;
  const again = element(
    "a",
    { class: "button main", href: `${root}/login?next=${encodeURIComponent(here)}`, target: "_blank", rel: "noopener" },
    "Log in in a new tab",
  );
  told = element(
    "dialog",
    { "aria-labelledby": "login-ended" },
    element("h2", { id: "login-ended" }, "Your login has ended"),
    element("p", {}, "Nothing on this page is lost. Log in again, come back and go on."),
    element("form", { method: "dialog" }, again, " ", element("button", {}, "Close")),
  );
  told.addEventListener("close", () => {
    told.remove();
    renew().catch(() => {});
  });
  document.body.append(told);
  told.showModal();
});

window.addEventListener("focus", async () => {
  if (told?.open && (await renew().catch(() => false))) told.close();
});
