import { createLogUpdate } from "log-update";

/** A view on stdout that is replaced by its next version: in place on a terminal, one after the other elsewhere. */
export interface LiveView {
  readonly inPlace: boolean;
  show(text: string): void;
  /** Leaves the last version standing. */
  end(): void;
}

export function startLiveView(stream: NodeJS.WriteStream = process.stdout): LiveView {
  if (stream.isTTY) {
    const update = createLogUpdate(stream);
    return { inPlace: true, show: (text) => update(text.trimEnd()), end: () => update.done() };
  }
  return { inPlace: false, show: (text) => void stream.write(text), end() {} };
}
