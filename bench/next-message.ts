import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** The next message of a child process. Throws with `name` when the process ends first. */
export async function nextMessage<Message>(child: ChildProcess, name: string): Promise<Message> {
  const over = new AbortController();
  try {
    const exit = once(child, "exit", { signal: over.signal }).then(([code]) => {
      throw new Error(`${name}: the process ended with ${code}`);
    });
    const [message] = await Promise.race([once(child, "message", { signal: over.signal }), exit]);
    return message as Message;
  } finally {
    over.abort();
  }
}
