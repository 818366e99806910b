import type { EnrollmentHandlers } from "@espalier/shared/generated/espalier/v1/Enrollment";
import type { EnrollRequest__Output } from "@espalier/shared/generated/espalier/v1/EnrollRequest";
import type { EnrollResponse } from "@espalier/shared/generated/espalier/v1/EnrollResponse";
import type { Logger } from "@espalier/shared/logging";
import type { Enroll } from "../identity/enroll.ts";
import type { Renewal } from "../identity/renew.ts";
import { peerAddress } from "./caller.ts";
import { toServiceError } from "./status-of.ts";

/** Serves the calls that a machine without a valid certificate may make. */
export function enrollmentHandlers(parts: {
  enroll: Enroll;
  renewal: Pick<Renewal, "readmit">;
  /** Where an enrolled device finds the coordinator. */
  endpoints: () => { natsUrls: string[]; sessionAddress: string };
  authorityPem: string;
  log: Logger;
}): EnrollmentHandlers {
  const { enroll, renewal, endpoints, authorityPem, log } = parts;

  async function answer(request: EnrollRequest__Output, peer: string): Promise<EnrollResponse> {
    const enrolled = await enroll(
      {
        token: request.token,
        csrPem: request.csrPem,
        requestedName: request.requestedName,
        labels: request.labels,
        natsPublicKey: request.natsPublicKey,
      },
      peer,
    );
    return { ...enrolled, authorityPem, ...endpoints() };
  }

  return {
    Enroll(call, callback) {
      answer(call.request, peerAddress(call)).then(
        (response) => callback(null, response),
        (error: unknown) => callback(toServiceError(error, log)),
      );
    },
    Readmit(call, callback) {
      renewal.readmit(call.request, peerAddress(call)).then(
        (renewed) => callback(null, renewed),
        (error: unknown) => callback(toServiceError(error, log)),
      );
    },
  };
}
