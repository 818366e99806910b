import type { CoordinatorMessage } from "@espalier/shared/generated/espalier/v1/CoordinatorMessage";
import type { DeviceMessage__Output } from "@espalier/shared/generated/espalier/v1/DeviceMessage";
import type { DeviceSessionHandlers } from "@espalier/shared/generated/espalier/v1/DeviceSession";
import type { Logger } from "@espalier/shared/logging";
import type { ServerDuplexStream } from "@grpc/grpc-js";
import type { Renewal } from "../../identity/renew.ts";
import type { Store } from "../../store/open.ts";
import { requireDevice } from "../caller.ts";
import { toServiceError } from "../status-of.ts";
import type { Link, SessionHub } from "./hub.ts";
import { createMessageQueue } from "./message-queue.ts";

type Call = ServerDuplexStream<DeviceMessage__Output, CoordinatorMessage>;

/** Lets devices, and nobody else, into the hub, and renews their certificates. */
export function sessionHandlers(parts: {
  hub: SessionHub;
  store: Store;
  renewal: Pick<Renewal, "renew">;
  log: Logger;
}): DeviceSessionHandlers {
  const { hub, store, renewal, log } = parts;
  return {
    Connect(call: Call) {
      const serve = async () => {
        const deviceId = await requireDevice(call, store);
        await hub.serve(linkOf(call, deviceId));
      };
      serve().then(
        () => call.end(),
        (error: unknown) => {
          if (!call.cancelled) call.emit("error", toServiceError(error, log));
        },
      );
    },
    Renew(call, callback) {
      const answer = async () => renewal.renew(await requireDevice(call, store), call.request.csrPem);
      answer().then(
        (renewed) => callback(null, renewed),
        (error: unknown) => callback(toServiceError(error, log)),
      );
    },
  };
}

function linkOf(call: Call, deviceId: string): Link {
  const received = createMessageQueue<DeviceMessage__Output>();
  const end = () => received.end();
  call.on("data", (message: DeviceMessage__Output) => {
    // One at a time: a device that sends faster than it is served waits, and nothing piles up here.
    call.pause();
    received.push(message);
  });
  for (const event of ["end", "cancelled", "error"]) call.on(event, end);
  if (call.cancelled) end();
  return {
    deviceId,
    messages: resumingAfterEach(received, call),
    send(message) {
      if (!call.cancelled && !call.writableEnded) call.write(message);
    },
    close(error) {
      if (error === undefined) received.end();
      else received.fail(error);
    },
  };
}

async function* resumingAfterEach(received: AsyncIterable<DeviceMessage__Output>, call: Call) {
  for await (const message of received) {
    yield message;
    call.resume();
  }
}
