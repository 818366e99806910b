import type { BlobStore } from "../blobs/blob-store.ts";
import type { ImportMethods } from "../grpc/operator.ts";
import type { Store } from "../store/open.ts";
import { insertTree, listTrees } from "../store/trees.ts";
import type { TreeKind } from "./accepted-files.ts";
import { receiveTree } from "./receive-tree.ts";

/** Imports models and datasets into the blob store, and lists them. */
export function importMethods(parts: {
  store: Store;
  blobs: BlobStore;
  /** On the disk that imports fill. */
  folder: string;
  now: () => number;
}): ImportMethods {
  const { store, blobs, folder, now } = parts;

  const importing =
    (kind: TreeKind): ImportMethods["importModel"] =>
    async (messages) => {
      const { digest, tree, sizeBytes } = await receiveTree(messages, { kind, blobs, folder });
      const isNew = await insertTree(store.db, { digest, kind, name: tree.name, sizeBytes, importedAtMs: now() });
      return { digest, name: tree.name, sizeBytes, alreadyKnown: !isNew };
    };

  return {
    importModel: importing("model"),
    importDataset: importing("dataset"),
    listModels: async () => ({ trees: await listTrees(store.db) }),
  };
}
