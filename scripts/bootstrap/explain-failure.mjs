import { Problem } from "./problem.mjs";

/** What npm, pip and apt print when the cause lies outside of them, most specific first. */
const CAUSES = [
  {
    signs: /ENOSPC|No space left on device|Disk quota exceeded/i,
    cause: "the disk is full",
    remedy: "free disk space (also in the temporary folder, $TMPDIR), then run the command again",
  },
  {
    signs: /EACCES|EPERM|EROFS|Permission denied|Read-only file system/,
    cause: "a file or folder is not writable",
    remedy:
      "make the checkout and its .espalier and node_modules folders writable for this user (were they made by root?)",
  },
  {
    signs:
      /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|fetch failed|Temporary failure (in name resolution|resolving)|Could not resolve|Name or service not known|Network is unreachable|NewConnectionError|ConnectTimeoutError|Connection (refused|timed out)|Could not connect to/i,
    cause: "the network or the package server cannot be reached",
    remedy:
      "check the network connection and the proxy and mirror settings (https_proxy, npm's registry, pip's index-url), then run the command again",
  },
  {
    signs: /CERT_|self.signed certificate|certificate verify failed|UNABLE_TO_GET_ISSUER/i,
    cause: "the package server's TLS certificate is not trusted here",
    remedy:
      "tell npm and pip about this network's certificate authority (npm's cafile, pip's cert, NODE_EXTRA_CA_CERTS)",
  },
  {
    signs: /npm ci.{0,40} can only install packages when/i,
    cause: "package.json and package-lock.json disagree",
    remedy: "run `npm install` to bring the lock file up to date and commit it",
  },
];

/**
 * @param {{ what: string, code: number, output: string, log?: string | undefined }} failure
 * @returns {Problem}
 */
export function explainFailure({ what, code, output, log }) {
  const known = CAUSES.find(({ signs }) => signs.test(output));
  const end = output
    .trimEnd()
    .split("\n")
    .slice(-8)
    .map((line) => `  | ${line}`)
    .join("\n");
  const whole = log === undefined ? "" : `\n  whole output: ${log}`;
  return new Problem(
    `${what} failed (exit ${code})${known === undefined ? "" : `: ${known.cause}`}\n${end}${whole}`,
    known?.remedy ?? "read the lines above; run the command again once their cause is gone",
  );
}
