// Passkeys in a browser: addPasskey for an operator who has a session, signIn for everybody.
//
//     import {addPasskey, signIn} from "/passkeys.js";
//     await addPasskey(token, "my laptop");   // token: of a session that began within ten minutes
//     const {token, ducklings} = await signIn();

const toText = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const toBytes = (text) => Uint8Array.from(
  atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

export class Refused extends Error {
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

async function post(path, body, token) {
  const headers = {"Content-Type": "application/json"};
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, {method: "POST", headers, body: JSON.stringify(body)});
  const said = await answer.json();
  if (!answer.ok) throw new Refused(said);
  return said;
}

const credential = (one) => ({...one, id: toBytes(one.id)});

export async function addPasskey(token, name, base = "") {
  const asked = await post(`${base}/beak/passkeys/challenge`, {}, token);
  const made = await navigator.credentials.create({publicKey: {
    ...asked,
    challenge: toBytes(asked.challenge),
    user: {...asked.user, id: toBytes(asked.user.id)},
    excludeCredentials: asked.excludeCredentials.map(credential),
  }});
  const passkey = {id: made.id, type: made.type, response: {
    clientDataJSON: toText(made.response.clientDataJSON),
    attestationObject: toText(made.response.attestationObject),
  }};
  return post(`${base}/beak/passkeys`, {name, passkey}, token);
}

export async function signIn(base = "") {
  const asked = await post(`${base}/beak/passkeys/challenge`, {});
  const said = await navigator.credentials.get({publicKey: {
    ...asked,
    challenge: toBytes(asked.challenge),
    allowCredentials: asked.allowCredentials.map(credential),
  }});
  const response = {
    clientDataJSON: toText(said.response.clientDataJSON),
    authenticatorData: toText(said.response.authenticatorData),
    signature: toText(said.response.signature),
  };
  if (said.response.userHandle) response.userHandle = toText(said.response.userHandle);
  return post(`${base}/beak/auth`, {passkey: {id: said.id, type: said.type, response}});
}
