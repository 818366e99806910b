/**
 * Patterns for the formats of JSON Schema 2020-12, section 7.3, that an answer may have. Each allows a part of what its RFC allows:
 * the plain spellings, without what would need a calendar (29 February).
 */
const day = String.raw`\d{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)`;
const time = String.raw`(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)`;
const label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?";
const host = String.raw`${label}(?:\.${label}){0,3}`;
const byte = String.raw`(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`;

export const stringFormats: ReadonlyMap<string, string> = new Map([
  ["date", day],
  ["time", time],
  ["date-time", `${day}T${time}`],
  // RFC 3339, appendix A: weeks alone, or days and times in order.
  [
    "duration",
    String.raw`P(?:\d{1,4}W|\d{1,4}D(?:T\d{1,4}H)?|T\d{1,4}(?:H(?:\d{1,2}M(?:\d{1,2}S)?)?|M(?:\d{1,2}S)?|S))`,
  ],
  [
    "email",
    String.raw`[A-Za-z0-9_+-]{1,32}(?:\.[A-Za-z0-9_+-]{1,16}){0,3}@${label}(?:\.${label}){0,2}\.[A-Za-z]{2,12}`,
  ],
  ["hostname", host],
  ["ipv4", `${byte}(?:\\.${byte}){3}`],
  ["ipv6", "[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){7}"],
  ["uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-5][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"],
  ["uri", `https?://${host}(?::[1-9]\\d{0,3})?(?:/[A-Za-z0-9._~-]{0,64}){0,8}`],
]);
