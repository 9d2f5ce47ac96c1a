// BLAKE2b of 32 bytes (RFC 7693, section 3), which neither WebCrypto nor Node 18 has: the hash that
// names things in a duck network. Unkeyed, for messages in memory.

const IV = new BigUint64Array([
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
]);
const SIGMA = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
const COLUMNS = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
  [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]];
const BLOCK = 128;

const rotated = (word, bits) => BigInt.asUintN(64, (word >> bits) | (word << (64n - bits)));

function mix(v, [a, b, c, d], x, y) {
  v[a] = v[a] + v[b] + x; // a BigUint64Array keeps 64 bits by itself
  v[d] = rotated(v[d] ^ v[a], 32n);
  v[c] = v[c] + v[d];
  v[b] = rotated(v[b] ^ v[c], 24n);
  v[a] = v[a] + v[b] + y;
  v[d] = rotated(v[d] ^ v[a], 16n);
  v[c] = v[c] + v[d];
  v[b] = rotated(v[b] ^ v[c], 63n);
}

function compress(h, block, count, isLast) {
  const v = new BigUint64Array(16);
  const m = Array.from({length: 16}, (_, i) => block.getBigUint64(i * 8, true));
  v.set(h);
  v.set(IV, 8);
  v[12] ^= BigInt(count);
  if (isLast) v[14] = ~v[14];
  for (let round = 0; round < 12; round++)
    COLUMNS.forEach((column, i) =>
      mix(v, column, m[SIGMA[round % 10][2 * i]], m[SIGMA[round % 10][2 * i + 1]]));
  for (let i = 0; i < 8; i++) h[i] ^= v[i] ^ v[i + 8];
}

export function blake2b(data, size = 32) {
  const h = BigUint64Array.from(IV);
  const blocks = Math.max(1, Math.ceil(data.length / BLOCK));
  h[0] ^= 0x01010000n ^ BigInt(size);
  for (let i = 0; i < blocks; i++) {
    const block = new Uint8Array(BLOCK);
    block.set(data.subarray(i * BLOCK, (i + 1) * BLOCK));
    const isLast = i === blocks - 1;
    compress(h, new DataView(block.buffer), isLast ? data.length : (i + 1) * BLOCK, isLast);
  }
  const out = new DataView(new ArrayBuffer(64));
  h.forEach((word, i) => out.setBigUint64(i * 8, word, true));
  return new Uint8Array(out.buffer, 0, size);
}
