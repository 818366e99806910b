/** Values that name what an error is about, e.g. `{ deviceId, limitBytes }`. Never secrets. */
export type ErrorFields = Readonly<Record<string, string | number | boolean | null>>;

/**
 * An error that a caller may act on. `code` is stable (`<subject>.<problem>`, e.g. `token.expired`) and is what
 * callers compare; the message says what happened to what; `remedy` says what the reader can do. A foreign error is
 * kept as `cause`.
 */
export class EspalierError extends Error {
  override readonly name = "EspalierError";
  readonly code: string;
  readonly fields: ErrorFields;
  readonly remedy: string | undefined;

  constructor(code: string, message: string, options: { fields?: ErrorFields; remedy?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fields = options.fields ?? {};
    this.remedy = options.remedy;
  }
}

/** Whether an unknown thrown value is an EspalierError with this code. */
export function hasCode(error: unknown, code: string): error is EspalierError {
  return error instanceof EspalierError && error.code === code;
}

/** The text of an unknown thrown value, for logs and reasons shown to people. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
