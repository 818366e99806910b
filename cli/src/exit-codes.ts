import { EspalierError } from "@espalier/shared/errors";

/** What the exit code of `espalier` says; docs/cli.md is written from this. */
export const exitCodes = {
  done: { code: 0, meaning: "done" },
  failed: { code: 1, meaning: "it failed, or `doctor` found an error; stderr says why and what to do" },
  usage: { code: 2, meaning: "wrong usage: a command, option or specification that can't be understood" },
  incomplete: { code: 3, meaning: "a rollout that was watched is paused, or ended otherwise than complete" },
  denied: { code: 4, meaning: "this operator may not do that: unknown, revoked, expired, or of too small a role" },
  unreachable: { code: 5, meaning: "no coordinator answers, or there is no context that names one" },
} as const;

const byErrorCode: Readonly<Record<string, number>> = {
  "caller.forbidden": exitCodes.denied.code,
  "caller.unauthenticated": exitCodes.denied.code,
  "context.missing": exitCodes.unreachable.code,
  "rpc.unavailable": exitCodes.unreachable.code,
  "rollout-spec.invalid": exitCodes.usage.code,
  "selector.malformed": exitCodes.usage.code,
  "spec.invalid": exitCodes.usage.code,
  "spec.unreadable": exitCodes.usage.code,
};

/** The exit code for an error that ends a command. */
export function exitCodeOf(error: unknown): number {
  const known = error instanceof EspalierError ? byErrorCode[error.code] : undefined;
  return known ?? exitCodes.failed.code;
}
