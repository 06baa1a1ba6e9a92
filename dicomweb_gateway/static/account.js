// Who is logged in, and what they may do here.

import { GatewayError, ask, askJson, element, root } from "./gateway.js";

const facts = document.getElementById("facts");

function fact(name, value) {
  facts.append(element("dt", {}, name), element("dd", {}, value || "none"));
}

try {
  const session = await askJson(`${root}/session`);
  fact("User", session.user || "nobody is asked for a login here");
  fact("Login", session.login);
  fact("Groups", session.groups.join(", "));
  fact("May", session.may.join(", "));
  if (session.session) {
    fact("Since", new Date(session.session.began * 1000).toLocaleString());
    fact("Until", new Date(session.session.ends * 1000).toLocaleString());
    document.getElementById("everywhere").hidden = false;
  }
} catch (error) {
  if (!(error instanceof GatewayError)) throw error;
  facts.replaceChildren(element("dd", { class: "bad", role: "alert" }, error.message));
}

// the tab in which somebody logged in again whose page stands open in another
document.getElementById("again").hidden = !new URLSearchParams(location.search).has("again");

document.getElementById("leave").addEventListener("click", async () => {
  try {
    await ask(`${root}/logout`, { method: "POST", body: new URLSearchParams({ everywhere: "1" }) });
    location.assign(`${root}/`);
  } catch (error) {
    document.getElementById("told").textContent = error.message;
  }
});
