/** Who a certificate of our authority speaks for; its URI SAN (ARCHITECTURE.md, Identity). */
export type Identity =
  | { readonly kind: "device"; readonly id: string }
  | { readonly kind: "operator"; readonly id: string };

const pattern = /^spiffe:\/\/espalier\/(device|operator)\/([a-z0-9][a-z0-9-]{0,62})$/;

export function spiffeUri(identity: Identity): string {
  return `spiffe://espalier/${identity.kind}/${identity.id}`;
}

/** Null for anything that isn't exactly one of our identities. */
export function parseSpiffeUri(uri: string): Identity | null {
  const match = pattern.exec(uri);
  const [, kind, id] = match ?? [];
  if (id === undefined) return null;
  return kind === "device" ? { kind: "device", id } : { kind: "operator", id };
}

/**
 * The identity in a certificate's `subjectAltName` as Node prints it. A certificate with more than one URI has none:
 * nobody shall choose among identities.
 */
export function identityOfAltNames(subjectAltName: string): Identity | null {
  const uris = subjectAltName.split(", ").filter((name) => name.startsWith("URI:"));
  const [only] = uris;
  return uris.length === 1 && only !== undefined ? parseSpiffeUri(only.slice("URI:".length)) : null;
}
