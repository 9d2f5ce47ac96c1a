// Reads exports, one JSON document a line: {jwks, jwk, did, jws}. Says of each what jose and key-did-resolver
// make of them, and whether they refuse the JWS when anything about it is changed.
import { createInterface } from "node:readline";
import { createLocalJWKSet, calculateJwkThumbprint, importJWK, jwtVerify } from "jose";
import { getResolver } from "key-did-resolver";

const options = { algorithms: ["EdDSA"], typ: "duck-certificate+jwt" };

async function takes(jws, key) {
  try {
    await jwtVerify(jws, key, options);
    return true;
  } catch {
    return false;
  }
}

// A letter of each part, in turn.
function changed(jws) {
  const parts = jws.split(".");
  const turned = (part) => part.slice(0, 5) + (part[5] === "A" ? "B" : "A") + part.slice(6);
  return parts.map((_, at) => parts.map((part, i) => (i === at ? turned(part) : part)).join("."));
}

async function keyOf(did) {
  const parsed = { did, id: did.slice("did:key:".length), method: "key", didUrl: did };
  const { didDocument } = await getResolver().key(did, parsed, { resolve: null }, { accept: "application/did+json" });
  return didDocument.verificationMethod[0];
}

for await (const line of createInterface({ input: process.stdin })) {
  const { jwks, jwk, did, jws } = JSON.parse(line);
  const key = jwks ? createLocalJWKSet(jwks) : await importJWK(jwk, "EdDSA");
  const { payload, protectedHeader } = await jwtVerify(jws, key, options);
  const refusals = await Promise.all(changed(jws).map((other) => takes(other, key)));
  console.log(JSON.stringify({
    payload, header: protectedHeader, refuses: refusals.every((taken) => !taken),
    thumbprint: await calculateJwkThumbprint(jwk), method: await keyOf(did),
  }));
}
