import type { Kit } from "@espalier/shared/contracts/kit";
import type { DeviceProfile } from "@espalier/shared/contracts/profile";
import { EspalierError } from "@espalier/shared/errors";
import type { Queries } from "../store/database.ts";
import type { StoredKit } from "../store/kits.ts";
import { findReference } from "../store/references.ts";
import { hypotheticalProfile } from "./decide/hypothetical-profile.ts";
import type { PlanDevice } from "./decide/make-plan.ts";
import { referenceDevices } from "./decide/reference-devices.ts";

/** Devices that a plan counts in as if they were there. */
export interface WhatIf {
  /** Of an imported profile or of the library. */
  reference: string;
  count: number;
}

/** As many as a plan of a hundred thousand devices takes in seconds. */
const maxDevices = 100_000;

/**
 * The devices to plan for beside the fleet's. An imported profile goes before the library's estimate of the same name.
 * @throws {EspalierError} `what-if.malformed` for a name that nobody knows, an unreasonable count, or a profile of another kit
 */
export async function hypotheticalDevices(
  db: Queries,
  asked: readonly WhatIf[],
  kit: { stored: Pick<StoredKit, "digest">; graphs: Kit },
): Promise<PlanDevice[]> {
  const devices: PlanDevice[] = [];
  for (const { reference, count } of asked) {
    if (!Number.isInteger(count) || count < 1 || devices.length + count > maxDevices) {
      throw malformed(`${reference}=${count}: expected 1 to ${maxDevices} devices in all`);
    }
    const { profile, how } = await profileOf(db, reference, kit);
    for (let n = 1; n <= count; n++) {
      const deviceId = `what-if/${reference}/${String(n).padStart(6, "0")}`;
      devices.push({
        deviceId,
        name: `${reference} ${n} of ${count} (what if, ${how})`,
        labels: { reference },
        profile: { ...profile, deviceId },
        missing: "",
        active: null,
      });
    }
  }
  return devices;
}

async function profileOf(
  db: Queries,
  reference: string,
  kit: { stored: Pick<StoredKit, "digest">; graphs: Kit },
): Promise<{ profile: DeviceProfile; how: "measured" | "estimated" }> {
  const imported = await findReference(db, reference);
  if (imported !== null) {
    if (imported.profile.measurements.kit?.kitDigest === kit.stored.digest)
      return { profile: imported.profile, how: "measured" };
    throw malformed(
      `${reference} was measured with the kit of another model; export it anew where this model is known`,
    );
  }
  const known = referenceDevices.find(({ name }) => name === reference);
  if (known !== undefined) {
    const profile = hypotheticalProfile(known, { kit: kit.graphs, kitDigest: kit.stored.digest });
    return { profile, how: "estimated" };
  }
  throw malformed(`no reference device is called "${reference}"`);
}

function malformed(message: string): EspalierError {
  return new EspalierError("what-if.malformed", message, { remedy: "see `espalier device references`" });
}
