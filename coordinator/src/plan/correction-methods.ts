import { EspalierError } from "@espalier/shared/errors";
import { toDocument } from "@espalier/shared/grpc";
import type { CorrectionMethods } from "../grpc/operator.ts";
import { resetCorrections } from "../store/correction-resets.ts";
import type { Store } from "../store/open.ts";
import { presentCorrections } from "./corrections.ts";

/** How predictions are corrected by what devices measured. */
export function correctionMethods({ store, now }: { store: Store; now: () => number }): CorrectionMethods {
  return {
    async listCorrections() {
      const corrections = await presentCorrections(store.db);
      return { corrections: corrections.map((correction) => toDocument("ClassCorrection", correction)) };
    },
    async resetCorrections({ hardwareClass }) {
      const known = (await presentCorrections(store.db)).map((correction) => correction.hardwareClass);
      if (hardwareClass !== "" && !known.includes(hardwareClass)) {
        throw new EspalierError("correction.unknown", `no predictions of "${hardwareClass}" are corrected`, {
          fields: { hardwareClass },
          remedy: "see `espalier correction list`",
        });
      }
      await resetCorrections(store.db, hardwareClass, now());
      return { hardwareClasses: hardwareClass === "" ? known : [hardwareClass] };
    },
  };
}
