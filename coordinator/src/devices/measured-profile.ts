import type { DeviceProfile } from "@espalier/shared/contracts/profile";
import type { Queries } from "../store/database.ts";
import type { StoredDevice } from "../store/devices.ts";
import type { StoredKit } from "../store/kits.ts";
import { findProfileWithKit } from "../store/profiles.ts";
import { staleReason } from "./decide/stale-profile.ts";

/** The newest profile timed with this kit by the hardware and budget that the device has now; null where there is none. */
export async function measuredProfile(
  db: Queries,
  device: Pick<StoredDevice, "id" | "budget" | "inventory">,
  kit: Pick<StoredKit, "digest">,
): Promise<DeviceProfile | null> {
  const profile = await findProfileWithKit(db, device.id, (digest) => digest === kit.digest);
  return profile === null || staleReason(profile, device) !== null ? null : profile;
}
