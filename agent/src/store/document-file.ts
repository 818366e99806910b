import { readFile, rename } from "node:fs/promises";
import type { z } from "zod";
import { writeDurably } from "./write-durably.ts";

export interface DocumentFileDeps<Value> {
  readonly path: string;
  readonly schema: z.ZodType<Value>;
  /** The value when there is no file, or one that can't be read. */
  readonly initial: () => Value;
  readonly log: { warn(fields: object, message: string): void };
}

/** A value kept in one JSON file. `value` is always what is on disk: `save` returns only when it is durable. */
export interface DocumentFile<Value> {
  readonly value: Value;
  save(value: Value): Promise<void>;
}

/**
 * Opens a JSON file of a contract. A torn, empty or foreign file is moved aside (`<path>.broken`) and the initial value
 * taken: an agent must never stand still for a broken file, and what it lost the coordinator tells it again.
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
        await writeDurably(deps.path, `${JSON.stringify(next)}\n`, 0o600);
        value = next;
      });
      tail = saved.catch(() => undefined);
      return saved;
    },
  };
}

async function load<Value>(deps: DocumentFileDeps<Value>): Promise<Value> {
  let text: string;
  try {
    text = await readFile(deps.path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return deps.initial();
    throw error;
  }
  try {
    return deps.schema.parse(JSON.parse(text));
  } catch (error) {
    const aside = `${deps.path}.broken`;
    await rename(deps.path, aside);
    deps.log.warn({ path: deps.path, aside, error: String(error) }, "unreadable file moved aside; starting from empty");
    return deps.initial();
  }
}
