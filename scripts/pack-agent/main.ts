/** Packs the agent for devices: `node scripts/pack-agent/main.ts [FOLDER]` writes espalier-agent-VERSION.tgz. */
import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { packAgent } from "./pack-agent.ts";

const folder = resolve(process.argv[2] ?? ".espalier/packages");
await mkdir(folder, { recursive: true });
process.stdout.write(`${await packAgent(folder)}\n`);
