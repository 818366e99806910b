/** Progress goes to stderr, so that stdout stays free for what a command answers. */
export function say(line) {
  process.stderr.write(`espalier setup: ${line}\n`);
}
