import { Digest } from "@espalier/shared/contracts/digest";
import { Manifest } from "@espalier/shared/contracts/manifest";
import { EspalierError } from "@espalier/shared/errors";
import type { Variant } from "@espalier/shared/generated/espalier/v1/Variant";
import { toDocument } from "@espalier/shared/grpc";
import type { BlobStore } from "../blobs/blob-store.ts";
import { fileAt, readDocument, readFileChunks } from "../blobs/read-tree.ts";
import type { VariantMethods } from "../grpc/operator.ts";
import { countActiveByArtifact } from "../store/devices.ts";
import type { Store } from "../store/open.ts";
import { findTree } from "../store/trees.ts";
import { findVariant, listVariants, type StoredVariant } from "../store/variants.ts";

/** The operator's view of built variants. */
export function variantMethods({ store, blobs }: { store: Store; blobs: BlobStore }): VariantMethods {
  async function describe(variant: StoredVariant, active: ReadonlyMap<Digest, number>): Promise<Variant> {
    return {
      artifactDigest: variant.artifactDigest,
      name: variant.name,
      modelName: variant.modelName,
      totalBytes: variant.totalBytes,
      wireBytes: variant.wireBytes ?? 0,
      builtAtMs: variant.builtAtMs,
      report: toDocument("EvaluationReport", variant.report),
      manifest: null,
      devicesActive: active.get(variant.artifactDigest) ?? 0,
    };
  }

  return {
    async listVariants({ model, variant: wanted }) {
      const active = await countActiveByArtifact(store.db);
      const ofModel = await variantsOfModel(store, model);
      if (wanted === "") {
        return { variants: await Promise.all(ofModel.map((variant) => describe(variant, active))) };
      }
      const variant = theOne(ofModel, wanted);
      const manifest = await readDocument(blobs, variant.artifactDigest, Manifest);
      return { variants: [{ ...(await describe(variant, active)), manifest: toDocument("Manifest", manifest) }] };
    },
    async *readVariantFile({ artifactDigest, path }) {
      const digest = Digest.safeParse(artifactDigest);
      const variant = digest.success ? await findVariant(store.db, digest.data) : null;
      if (variant === null) throw unknownVariant(artifactDigest);
      const manifest = await readDocument(blobs, variant.artifactDigest, Manifest);
      for await (const data of readFileChunks(blobs, fileAt(manifest.files, path))) yield { data };
    },
  };
}

async function variantsOfModel(store: Store, model: string): Promise<StoredVariant[]> {
  if (model === "") return listVariants(store.db);
  const tree = await findTree(store.db, "model", model);
  if (tree === null) {
    throw new EspalierError("model.unknown", `no model "${model}" is imported`, { fields: { model } });
  }
  return listVariants(store.db, { modelDigest: tree.digest });
}

/** By digest, its unique beginning, or name; of several with one name the newest. */
function theOne(variants: readonly StoredVariant[], wanted: string): StoredVariant {
  const named = variants.find(({ name }) => name === wanted);
  if (named !== undefined) return named;
  const hexDigits = wanted.replace(/^sha256:/, "");
  const matches = variants.filter(({ artifactDigest }) => artifactDigest.startsWith(`sha256:${hexDigits}`));
  const [only, another] = matches;
  if (only === undefined || hexDigits === "") throw unknownVariant(wanted);
  if (another !== undefined) {
    throw new EspalierError("variant.ambiguous", `${matches.length} variants begin with ${wanted}`, {
      fields: { variant: wanted },
      remedy: "give more digits",
    });
  }
  return only;
}

function unknownVariant(variant: string): EspalierError {
  return new EspalierError("variant.unknown", `there is no variant ${variant}`, {
    fields: { variant },
    remedy: "see `espalier variant list`",
  });
}
