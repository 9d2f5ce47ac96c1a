// The proof of work that GET /beak/captcha asks for with provider "pow": finds a number so that the SHA-256 of
// "<challenge>.<number>" begins with `bits` zero bits. That text is the captcha_token.
//
//     import {captchaToken} from "/pow.js";
//     await fetch("/beak/hatch", {method: "POST", headers: {"Content-Type": "application/json"},
//       body: JSON.stringify({email, display_name, captcha_token: await captchaToken()})});

const primes = Array.from({length: 310}, (_, i) => i + 2)
  .filter((n, _, all) => all.every((d) => d >= n || n % d));
const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;
const START = Int32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)));
const K = Int32Array.from(primes, (p) => fraction(Math.cbrt(p)));
const w = new Int32Array(64);

// One block of FIPS 180-4, section 6.2.2: `bytes` from `at`, into `state`.
function compress(state, bytes, at) {
  for (let i = 0; i < 16; i++, at += 4)
    w[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15], y = w[i - 2];
    w[i] = (w[i - 16] + w[i - 7] + (((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3))
      + (((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10))) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const one = (h + (((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7)))
      + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
    const two = ((((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10)))
      + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + one) | 0; d = c; c = b; b = a; a = (one + two) | 0;
  }
  state[0] += a; state[1] += b; state[2] += c; state[3] += d;
  state[4] += e; state[5] += f; state[6] += g; state[7] += h;
}

export function sha256(text) {
  const bytes = new TextEncoder().encode(text), size = bytes.length;
  const padded = new Uint8Array(Math.ceil((size + 9) / 64) * 64), state = START.slice();
  padded.set(bytes);
  padded[size] = 0x80;
  new DataView(padded.buffer).setUint32(padded.length - 4, size * 8);
  for (let at = 0; at < padded.length; at += 64) compress(state, padded, at);
  return state;
}

function isGood(state, bits) {
  return bits <= 32 ? Math.clz32(state[0]) >= bits
    : state[0] === 0 && Math.clz32(state[1]) >= bits - 32;
}

// Lets the page breathe every few thousand tries.
export async function solve(challenge, bits) {
  for (let number = 0; ; number++) {
    const token = `${challenge}.${number}`;
    if (isGood(sha256(token), bits)) return token;
    if (number % 8192 === 8191) await new Promise((go) => setTimeout(go));
  }
}

// What to send as captcha_token; undefined when nothing is asked. A turnstile token comes from its own widget.
export async function captchaToken(base = "") {
  const question = await (await fetch(`${base}/beak/captcha`)).json();
  if (question.provider === "pow") return solve(question.challenge, question.bits);
  if (question.provider === "none") return undefined;
  throw new Error(`captcha_token comes from the widget of ${question.provider}`);
}
