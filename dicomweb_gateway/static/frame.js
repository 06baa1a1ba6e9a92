// The frame's own part: what happens when the login ends while a page is open.

import { element, renew, root } from "./gateway.js";

const logins = new BroadcastChannel(`dicomweb-gateway ${root}`);
let told = null;

document.addEventListener("login-ended", () => {
  if (told?.open) return;
  const again = element(
    "a",
    { class: "button main", href: `${root}/login?next=${encodeURIComponent("/pages/account?again=1")}`, target: "_blank", rel: "noopener" },
    "Log in in a new tab",
  );
  told = element(
    "dialog",
    { "aria-labelledby": "login-ended" },
    element("h2", { id: "login-ended" }, "Your login has ended"),
    element("p", {}, "Nothing on this page is lost. Log in again, come back and go on."),
    element("form", { method: "dialog", class: "actions" }, again, element("button", {}, "Close")),
  );
  told.addEventListener("close", () => {
    told.remove();
    renew().catch(() => {});
  });
  document.body.append(told);
  told.showModal();
});

async function goOn() {
  if (told?.open && (await renew().catch(() => false))) told.close();
}

window.addEventListener("focus", goOn);
// the new login may be seen in a window beside, and this one never loses the focus
logins.addEventListener("message", goOn);
if (document.documentElement.dataset.csrf) logins.postMessage("logged in");
