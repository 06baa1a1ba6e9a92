// Who is logged in, and what they may do here.

import { GatewayError, askJson, element, root } from "./gateway.js";

const facts = document.getElementById("facts");

function fact(name, value) {
  facts.append(element("dt", {}, name), element("dd", {}, value || "none"));
}

try {
  const session = await askJson(`${root}/session`);
  fact("User", session.user ?? "nobody is asked for a login here");
  fact("Login", session.login);
  fact("Groups", session.groups.join(", "));
  fact("May", session.may.join(", "));
} catch (error) {
  if (!(error instanceof GatewayError)) throw error;
  facts.replaceChildren(element("dd", { class: "bad", role: "alert" }, error.message));
}
