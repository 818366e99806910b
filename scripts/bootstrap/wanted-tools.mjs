/**
 * The programs that npm and pip don't bring, as data.
 *
 * The releases' SHA-256 are of the archives that the projects publish. nats-server's stand in the Docker official
 * image of that version (docker-library/repo-info, nats 2.14.4, which checks them in its build); prometheus's stand
 * in the release's sha256sums.txt as several independent projects pin it. Raise a version and both digests together.
 *
 * @typedef {{ version: string, url: (arch: string) => string, archive: (arch: string) => string,
 *   member: (arch: string) => string, sha256: Record<"amd64" | "arm64", string> }} Release
 * @typedef {{ name: string, key: "natsServer" | "prometheus" | "promtool", minimum: number[],
 *   package: string, member: string, release: Release }} WantedTool
 */

const NATS = "2.14.4";
const PROMETHEUS = "2.54.1";

/** @param {string} program @returns {Release} */
const prometheusRelease = (program) => ({
  version: PROMETHEUS,
  archive: (arch) => `prometheus-${PROMETHEUS}.linux-${arch}.tar.gz`,
  url: (arch) =>
    `https://github.com/prometheus/prometheus/releases/download/v${PROMETHEUS}/prometheus-${PROMETHEUS}.linux-${arch}.tar.gz`,
  member: (arch) => `prometheus-${PROMETHEUS}.linux-${arch}/${program}`,
  sha256: {
    amd64: "31715ef65e8a898d0f97c8c08c03b6b9afe485ac84e1698bcfec90fc6e62924f",
    arm64: "3d9946ca730f2679bbd63e9d40e559a0ba227a638d237e723af1a99bd7098263",
  },
});

/** @type {WantedTool[]} */
export const WANTED_TOOLS = [
  {
    name: "nats-server",
    key: "natsServer",
    minimum: [2, 12], // older ones lack filter_subjects[], sync_interval and message TTL
    package: "nats-server",
    member: "usr/sbin/nats-server",
    release: {
      version: NATS,
      archive: (arch) => `nats-server-v${NATS}-linux-${arch}.tar.gz`,
      url: (arch) =>
        `https://github.com/nats-io/nats-server/releases/download/v${NATS}/nats-server-v${NATS}-linux-${arch}.tar.gz`,
      member: (arch) => `nats-server-v${NATS}-linux-${arch}/nats-server`,
      sha256: {
        amd64: "20f9d6a199560f243610908bcccea2e27e9f47213242d1c609ca46d1d73e91ea",
        arm64: "2143f4317ac8e1dd42793c912fa09b405c7036ba181b2a3002b74501d13562b0",
      },
    },
  },
  {
    name: "prometheus",
    key: "prometheus",
    minimum: [2, 50],
    package: "prometheus",
    member: "usr/bin/prometheus",
    release: prometheusRelease("prometheus"),
  },
  {
    name: "promtool",
    key: "promtool",
    minimum: [2, 50],
    package: "promtool",
    member: "usr/bin/promtool",
    release: prometheusRelease("promtool"),
  },
];
