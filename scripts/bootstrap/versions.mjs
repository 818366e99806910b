/**
 * The first dotted number in a text, as numbers: "nats-server: v2.15.1" gives [2, 15, 1].
 * @param {string} text
 * @returns {number[] | undefined} undefined where there is none
 */
export function parseVersion(text) {
  const found = /(\d+(?:\.\d+)+)/.exec(text);
  return found?.[1]?.split(".").map(Number);
}

/**
 * Missing places count as zero: 2.12 is at least 2.12.0.
 * @param {number[]} version
 * @param {number[]} minimum
 */
export function atLeast(version, minimum) {
  for (let place = 0; place < Math.max(version.length, minimum.length); place++) {
    const difference = (version[place] ?? 0) - (minimum[place] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
