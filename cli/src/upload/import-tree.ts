import { once } from "node:events";
import { createReadStream } from "node:fs";
import type { ImportResponse__Output } from "@espalier/shared/generated/espalier/v1/ImportResponse";
import type { UploadMessage } from "@espalier/shared/generated/espalier/v1/UploadMessage";
import type { ClientWritableStream, requestCallback } from "@grpc/grpc-js";
import prettyMs from "pretty-ms";
import { fromGrpcError } from "../grpc-error.ts";
import { startProgress, transferMessage } from "../output/progress.ts";
import { bytes } from "../output/quantities.ts";
import type { LocalFile } from "./local-files.ts";

const pieceBytes = 1024 * 1024;

/** Sends named files as one tree; memory stays at a few pieces however large the files are. */
export async function importTree(
  open: (done: requestCallback<ImportResponse__Output>) => ClientWritableStream<UploadMessage>,
  name: string,
  files: LocalFile[],
): Promise<ImportResponse__Output> {
  const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const progress = startProgress(`import ${name}`);
  const startedMs = performance.now();
  let stream: ClientWritableStream<UploadMessage> | undefined;
  const answer = new Promise<ImportResponse__Output>((resolve, reject) => {
    stream = open((error, response) => (error || !response ? reject(fromGrpcError(error)) : resolve(response)));
  });
  const sending = stream === undefined ? Promise.resolve() : send(stream);
  // The coordinator may refuse in mid-upload: its answer then decides, not the broken pipe.
  const [outcome] = await Promise.allSettled([answer, sending]);
  if (outcome.status === "rejected") {
    progress.finish("failed");
    throw outcome.reason;
  }
  const took = prettyMs(performance.now() - startedMs);
  progress.finish(outcome.value.alreadyKnown ? "already there" : `done, ${bytes(totalBytes)} in ${took}`);
  return outcome.value;

  async function send(target: ClientWritableStream<UploadMessage>): Promise<void> {
    const refused = answer.then(
      () => false,
      () => true,
    );
    const write = async (message: UploadMessage): Promise<boolean> =>
      target.write(message) || !(await Promise.race([once(target, "drain").then(() => false), refused]));
    let doneBytes = 0;
    await write({ tree: { name } });
    for (const file of files) {
      await write({ file: { path: file.path, sizeBytes: file.sizeBytes } });
      for await (const data of createReadStream(file.source, { highWaterMark: pieceBytes })) {
        if (!(await write({ data }))) return;
        doneBytes += data.length;
        progress.update(doneBytes / totalBytes, transferMessage(doneBytes, totalBytes, performance.now() - startedMs));
      }
    }
    target.end();
  }
}
