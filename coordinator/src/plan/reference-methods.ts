import { DeviceProfile } from "@espalier/shared/contracts/profile";
import { EspalierError } from "@espalier/shared/errors";
import { fromDocument } from "@espalier/shared/grpc";
import type { ReferenceMethods } from "../grpc/operator.ts";
import type { Store } from "../store/open.ts";
import { listReferences, saveReference } from "../store/references.ts";
import { referenceDevices } from "./decide/reference-devices.ts";

const names = /^[a-z0-9][a-z0-9-]{0,40}$/;

/** Devices that a plan can count in before they are owned: the library's, and profiles measured elsewhere. */
export function referenceMethods({ store, now }: { store: Store; now: () => number }): ReferenceMethods {
  return {
    async listReferences() {
      const imported = (await listReferences(store.db)).map(({ name, importedBy, profile }) => ({
        name,
        title: `${profile.inventory.cpuModel}, ${profile.budget.threads} threads`,
        source: `measured, imported by ${importedBy}`,
        measured: true,
      }));
      const taken = new Set(imported.map(({ name }) => name));
      const library = referenceDevices
        .filter(({ name }) => !taken.has(name))
        .map(({ name, title, source }) => ({ name, title, source: `estimated from ${source}`, measured: false }));
      return { references: [...imported, ...library] };
    },
    async importReference({ name, profile }, { operator }) {
      if (!names.test(name)) {
        throw new EspalierError("reference.malformed", `"${name}" is no name: lower-case letters, digits and dashes`);
      }
      const parsed = profile === null ? null : fromDocument(profile, DeviceProfile);
      if (parsed === null || parsed.measurements.kit === null) {
        throw new EspalierError("reference.malformed", "the profile has no timings of a kit", {
          remedy: "export one that was measured: espalier device export NAME",
        });
      }
      await saveReference(store.db, { name, importedAtMs: now(), importedBy: operator, profile: parsed });
      return {};
    },
  };
}
