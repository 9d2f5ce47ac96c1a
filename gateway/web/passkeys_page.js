// What the page /passkeys does.
import {addPasskey, signIn} from "/passkeys.js";

const say = (text) => { document.querySelector("output").textContent = text; };

async function act(event, what) {
  event.preventDefault();
  say("…");
  try {
    say(await what(new FormData(event.target)));
  } catch (error) {
    say(`No: ${error.message}`);
  }
}

document.querySelector("#add").addEventListener("submit", (event) => act(event, async (form) => {
  const answer = await fetch("/beak/auth", {
    method: "POST", headers: {"Content-Type": "application/json"},
    body: JSON.stringify({email: form.get("email"), password: form.get("password")})});
  const session = await answer.json();
  if (!answer.ok) throw new Error(session.detail);
  const made = await addPasskey(session.token, form.get("name"));
  return `Added ${made.name}.`;
}));

document.querySelector("#sign-in").addEventListener("submit", (event) => act(event, async () => {
  const session = await signIn();
  return `Signed in: ${session.ducklings.length} ducklings. The session ends unused at ${session.expires_at}.`;
}));
