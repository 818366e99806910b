import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { temporarySuffix } from "./write-durably.ts";

/** Where an agent keeps everything. Deleting the folder makes the device a new one. */
export interface DataFolder {
  readonly root: string;
  /** Keys, certificate and NATS credentials; mode 0700. */
  readonly identity: string;
  readonly stateFile: string;
  /** Reports that the coordinator has not acknowledged. */
  readonly reportsFile: string;
  /** For people and tools on the machine: pid, device id, API address. */
  readonly endpointsFile: string;
  /** Content-addressed pieces of variants. */
  readonly chunks: string;
  /** Assembled variants, `variants/<hex of the artifact digest>/`. */
  readonly variants: string;
  /** Measurement kits and disk tests; emptied at start. */
  readonly scratch: string;
}

/** Creates what is missing and removes what a killed predecessor left half-written. */
export async function openDataFolder(root: string): Promise<DataFolder> {
  const folder: DataFolder = {
    root,
    identity: join(root, "identity"),
    stateFile: join(root, "state.json"),
    reportsFile: join(root, "reports.json"),
    endpointsFile: join(root, "agent.json"),
    chunks: join(root, "chunks"),
    variants: join(root, "variants"),
    scratch: join(root, "scratch"),
  };
  await rm(folder.scratch, { recursive: true, force: true });
  await mkdir(folder.identity, { recursive: true, mode: 0o700 });
  for (const path of [folder.chunks, folder.variants, folder.scratch]) await mkdir(path, { recursive: true });
  for (const path of [root, folder.identity, folder.chunks, folder.variants]) await removeLeftovers(path);
  return folder;
}

async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder))
    if (name.endsWith(temporarySuffix)) await rm(join(folder, name), { recursive: true, force: true });
}
