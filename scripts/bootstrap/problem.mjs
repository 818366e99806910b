/** What stops the bootstrap, said so that a reader can act: `what` names the thing, `remedy` the way out. */
export class Problem extends Error {
  /**
   * @param {string} what
   * @param {string} remedy
   * @param {{ cause?: unknown }} [options]
   */
  constructor(what, remedy, options) {
    super(`${what}\n  fix: ${remedy}`, options);
    this.name = "Problem";
    this.what = what;
    this.remedy = remedy;
  }
}
