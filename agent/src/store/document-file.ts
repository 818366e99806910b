import { rename } from "node:fs/promises";
import type { z } from "zod";
import { readTwice, writeTwice } from "./kept-twice.ts";

export interface DocumentFileDeps<Value> {
  readonly path: string;
  readonly schema: z.ZodType<Value>;
  /** The value when there is no file, or one that can't be read. */
  readonly initial: () => Value;
  readonly log: { warn(fields: object, message: string): void };
}

/** A value kept in a JSON file and a copy of it. `value` is always what is on disk: `save` returns only when it is durable. */
export interface DocumentFile<Value> {
  readonly value: Value;
  save(value: Value): Promise<void>;
}

/**
 * Opens a JSON file of a contract. Where the file is torn, empty or foreign its copy counts. Where both are, the file is
 * moved aside (`<path>.broken`) and the initial value taken: an agent must never stand still for a broken file, and what
 * it lost the coordinator tells it again.
 */
export async function openDocumentFile<Value>(deps: DocumentFileDeps<Value>): Promise<DocumentFile<Value>> {
  let value: Value = await load(deps);
  let tail: Promise<void> = Promise.resolve();
  return {
    get value() {
      return value;
    },
    // Saves happen in call order; one that fails does not stop the next.
    save(next) {
      const saved = tail.then(async () => {
        await writeTwice(deps.path, `${JSON.stringify(next)}\n`, 0o600);
        value = next;
      });
      tail = saved.catch(() => undefined);
      return saved;
    },
  };
}

async function load<Value>({ path, schema, initial, log }: DocumentFileDeps<Value>): Promise<Value> {
  const reading = await readTwice(path, (text) => schema.parse(JSON.parse(text)));
  switch (reading.kind) {
    case "whole":
      return reading.value;
    case "healed":
      log.warn({ path, error: String(reading.problem) }, "unreadable file; its copy is taken");
      return reading.value;
    case "absent":
      return initial();
    case "broken": {
      const aside = `${path}.broken`;
      await rename(path, aside).catch(() => undefined);
      log.warn({ path, aside, error: String(reading.problem) }, "unreadable file moved aside; starting from empty");
      return initial();
    }
  }
}
