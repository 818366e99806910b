/**
 * Seeded uniform numbers in [0, 1): equal seeds give equal sequences on every machine. Xorshift128 (Marsaglia 2003),
 * whose state is spread from the seed by a 32-bit mixing function so that neighbouring seeds differ at once.
 */
export function seededRandom(seed: number): () => number {
  let mixed = seed >>> 0;
  const nextMixed = (): number => {
    mixed = (mixed + 0x9e3779b9) >>> 0;
    let value = mixed;
    value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
    value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
    return (value ^ (value >>> 16)) >>> 0;
  };
  let x = nextMixed();
  let y = nextMixed();
  let z = nextMixed();
  // Xorshift never leaves the all-zero state.
  let w = nextMixed() | 1;
  return () => {
    const t = x ^ (x << 11);
    x = y;
    y = z;
    z = w;
    w = (w ^ (w >>> 19) ^ t ^ (t >>> 8)) >>> 0;
    return w / 2 ** 32;
  };
}
