// Reads deliveries, one JSON document a line: {secret, body, headers}. Says of each whether the two
// official packages take it, and whether they refuse it when anything about it is changed.
import { createInterface } from "node:readline";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

function takes(kind, { secret, body, headers }) {
  try {
    new kind(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

function changed({ secret, body, headers }) {
  const late = String(Number(headers["webhook-timestamp"]) - 301);
  return [
    { secret, body: body + " ", headers },
    { secret, body, headers: { ...headers, "webhook-id": headers["webhook-id"] + "x" } },
    { secret, body, headers: { ...headers, "webhook-timestamp": late } },
    { secret: "whsec_" + Buffer.alloc(32).toString("base64"), body, headers },
  ];
}

for await (const line of createInterface({ input: process.stdin })) {
  const told = JSON.parse(line);
  const verdicts = [Standard, Svix].map((kind) => ({
    takes: takes(kind, told),
    refuses: changed(told).every((other) => !takes(kind, other)),
  }));
  console.log(JSON.stringify({ standardwebhooks: verdicts[0], svix: verdicts[1] }));
}
