/**
 * An error that Espalier raises itself. `code` is stable and documented; `fields` name the subject (deviceId, path, ...)
 * so that callers never parse messages; `remedy` says what the reader can do. A foreign error is kept as `cause`.
 */
export class EspalierError extends Error {
  readonly code: string;
  readonly fields: Readonly<Record<string, string | number>>;
  readonly remedy: string | undefined;

  constructor(
    code: string,
    message: string,
    options: { fields?: Record<string, string | number>; remedy?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "EspalierError";
    this.code = code;
    this.fields = options.fields ?? {};
    this.remedy = options.remedy;
  }
}
