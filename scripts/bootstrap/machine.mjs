import { Problem } from "./problem.mjs";

/** Debian's names, which the official releases use too. */
const ARCHITECTURES = { x64: "amd64", arm64: "arm64" };

/**
 * @param {{ platform: string, arch: string }} machine as `process` tells it
 * @returns {"amd64" | "arm64"}
 * @throws {Problem} on a machine that some needed binary isn't built for
 */
export function supportedArchitecture({ platform, arch }) {
  if (platform !== "linux") {
    throw new Problem(
      `the operating system is ${platform}; Espalier is built for Linux`,
      "use a Linux machine, a virtual machine or a container",
    );
  }
  const name = ARCHITECTURES[arch];
  if (name === undefined) {
    throw new Problem(
      `the processor architecture is ${arch}; supported are x86-64 and arm64`,
      "use a 64-bit x86 or Arm machine with a 64-bit Node.js (`node -p process.arch` must say x64 or arm64)",
    );
  }
  return name;
}
