import { isIP } from "node:net";
import { EspalierError } from "@espalier/shared/errors";
import type { AuthContext } from "@grpc/grpc-js/build/src/auth-context.js";
import { type Identity, identityOfAltNames } from "../identity/spiffe.ts";
import { findDevice } from "../store/devices.ts";
import type { Store } from "../store/open.ts";

/** What every gRPC call lets us know of its peer. */
export interface PeerCall {
  getPeer(): string;
  getAuthContext(): AuthContext | null;
}

/**
 * Who calls, off the verified peer certificate and never off a message.
 * @throws {EspalierError} `caller.unauthenticated`
 */
export function callerOf(call: PeerCall): Identity & { readonly serial: string } {
  const certificate = call.getAuthContext()?.sslPeerCertificate;
  const identity = identityOfAltNames(certificate?.subjectaltname ?? "");
  if (certificate === undefined || identity === null) {
    throw new EspalierError("caller.unauthenticated", "the certificate names no identity of this fleet");
  }
  return { ...identity, serial: certificate.serialNumber.toLowerCase() };
}

/** @throws {EspalierError} `caller.unauthenticated`, `caller.forbidden` for another kind of certificate */
export function requireOperator(call: PeerCall): { readonly id: string; readonly serial: string } {
  const caller = callerOf(call);
  if (caller.kind !== "operator") {
    throw new EspalierError("caller.forbidden", `${caller.kind} ${caller.id} is no operator`);
  }
  return caller;
}

/**
 * The device behind a call, enrolled here and not revoked. Any certificate that was issued to it counts until it
 * expires: after a renewal the device may not have stored the newer one, and a restored database may not know it.
 * @throws {EspalierError} `caller.unauthenticated`, `caller.forbidden`
 */
export async function requireDevice(call: PeerCall, store: Store): Promise<string> {
  const caller = callerOf(call);
  if (caller.kind !== "device") {
    throw new EspalierError("caller.forbidden", `${caller.kind} ${caller.id} is no device`);
  }
  const device = await findDevice(store.db, caller.id);
  if (device === null || device.revokedAtMs !== null) {
    throw new EspalierError("caller.forbidden", `device ${caller.id} was revoked or never enrolled here`, {
      fields: { deviceId: caller.id },
      remedy: "enroll it anew with a fresh token",
    });
  }
  return caller.id;
}

/** The peer's address without its port. */
export function peerAddress(call: Pick<PeerCall, "getPeer">): string {
  const peer = call.getPeer();
  const address = peer.slice(0, peer.lastIndexOf(":"));
  const bare = address.replace(/^\[|\]$/g, "");
  return isIP(bare) === 0 ? peer : bare;
}
