import { parseFloor } from "@espalier/shared/contracts/floor";
import { SensitivityReport } from "@espalier/shared/contracts/report";
import { KvCacheFormat } from "@espalier/shared/contracts/shape";
import { EspalierError } from "@espalier/shared/errors";
import type { SearchModelEvent } from "@espalier/shared/generated/espalier/v1/SearchModelEvent";
import type { SearchModelRequest__Output } from "@espalier/shared/generated/espalier/v1/SearchModelRequest";
import { toDocument } from "@espalier/shared/grpc";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { Builds } from "../builds/builds.ts";
import { composeSearch } from "../builds/compose-job.ts";
import { requestResult } from "../builds/request-result.ts";
import type { SearchMethods } from "../grpc/operator.ts";
import { createMessageQueue } from "../grpc/session/message-queue.ts";
import type { Store } from "../store/open.ts";
import { requireTree } from "../store/trees.ts";

/** As a sensitivity job: a recipe is judged in seconds. */
const text = { calibrationTokens: 16_384, evaluationTokens: 2048, sequenceLength: 512, seed: 0 };
const defaults = { methods: ["cfsp-rel+refit", "shortgpt+refit"], mostSparsity: 0.5, alignment: 32, trials: 40 };

/** Has a builder search the most compressed recipe above a floor. The same search asked twice is made once. */
export function searchMethods(parts: {
  store: Store;
  blobs: BlobStore;
  builds: Pick<Builds, "request" | "completed">;
}): SearchMethods {
  async function work(
    request: SearchModelRequest__Output,
    signal: AbortSignal,
    tell: (event: SearchModelEvent) => void,
  ): Promise<void> {
    const { db } = parts.store;
    const floor = parseFloor(request.floor);
    const model = await requireTree(db, "model", request.model);
    const dataset = async (name: string) => (name === "" ? null : (await requireTree(db, "dataset", name)).digest);
    const job = composeSearch(model, {
      ...text,
      calibrationDigest: await dataset(request.calibration),
      evaluationDigest: await dataset(request.evaluation),
      floor,
      methods: request.methods.length > 0 ? request.methods : defaults.methods,
      mostSparsity: request.mostSparsity || defaults.mostSparsity,
      alignment: defaults.alignment,
      trials: request.trials || defaults.trials,
      ...parseKvCache(request.kvCache),
    });
    const front = await requestResult(parts, job, SensitivityReport, signal, tell);
    tell({ message: "searched", fraction: 1, front: toDocument("SensitivityReport", front) });
  }

  return {
    async *searchModel(request, { signal }) {
      const queue = createMessageQueue<SearchModelEvent>();
      work(request, signal, (event) => queue.push(event)).then(
        () => queue.end(),
        (error: unknown) => queue.fail(error),
      );
      yield* queue;
    },
  };
}

/** @throws {EspalierError} `search.kv-cache` */
function parseKvCache(text: string): { kvCache?: KvCacheFormat } {
  if (text === "") return {};
  const format = KvCacheFormat.safeParse(text);
  if (format.success) return { kvCache: format.data };
  throw new EspalierError("search.kv-cache", `"${text}" is no format of a KV cache`, {
    fields: { kvCache: text },
    remedy: "ask for int8, or for none",
  });
}
