/** A device as its maker describes it, for planning before one is owned. Every figure has its public source; what has none is in `estimates`. */
export interface ReferenceDevice {
  name: string;
  title: string;
  architecture: string;
  cpuModel: string;
  cores: number;
  clockGhz: number;
  memoryBytes: number;
  /** Of the memory chips. */
  memoryBandwidthBytesPerSecond: number;
  source: string;
  /** What programs read of it on all cores, where somebody has measured that; else a share is estimated. */
  measuredRead?: { bytesPerSecond: number; source: string };
  /** 8-bit multiply-adds per core and clock cycle of the widest instructions: ours, from the instruction set. */
  macsPerCycle: number;
}

/**
 * Ours, for all: what a program gets of the memory's peak where it wasn't measured, and of the arithmetic's (as our x86-64 machines
 * gave), time per layer and run beside that, resident memory, and how far off all of it may be.
 */
export const estimates = {
  bandwidthShare: 0.6,
  arithmeticShare: 0.2,
  layerCycles: 60_000,
  runCycles: 500_000,
  baseMemoryBytes: 110e6,
  memoryPerWeightByte: 2.5,
  downloadBytesPerSecond: 5e6,
  /** Left to the system and others. */
  otherMemoryBytes: 2 ** 30,
  relativeError: 0.5,
} as const;

const gibi = 2 ** 30;

export const referenceDevices: readonly ReferenceDevice[] = [
  {
    name: "rpi4",
    title: "Raspberry Pi 4 Model B, 4 GB",
    architecture: "arm64",
    cpuModel: "Cortex-A72",
    cores: 4,
    clockGhz: 1.8,
    memoryBytes: 4 * gibi,
    // 32 bits of LPDDR4-3200.
    memoryBandwidthBytesPerSecond: 12.8e9,
    source: "https://www.raspberrypi.com/products/raspberry-pi-4-model-b/specifications/",
    // STREAM's best kernel; one core gets about all that there is.
    measuredRead: { bytesPerSecond: 5.56e9, source: "https://www.sci-pi.org.uk/bench/stream.html" },
    macsPerCycle: 8,
  },
  {
    name: "rpi5",
    title: "Raspberry Pi 5, 8 GB",
    architecture: "arm64",
    cpuModel: "Cortex-A76",
    cores: 4,
    clockGhz: 2.4,
    memoryBytes: 8 * gibi,
    // 32 bits of LPDDR4X-4267.
    memoryBandwidthBytesPerSecond: 17.1e9,
    source: "https://www.raspberrypi.com/products/raspberry-pi-5/",
    // A sum over 263 MB by four threads; one alone reads 13.7e9.
    measuredRead: {
      bytesPerSecond: 10.5e9,
      source: "https://learn.arm.com/learning-paths/cross-platform/llm-decode-roofline/measure-bandwidth/",
    },
    macsPerCycle: 32,
  },
  {
    name: "orin-nano",
    title: "NVIDIA Jetson Orin Nano, 8 GB, at 15 W; its processor alone, which is what an agent uses",
    architecture: "arm64",
    cpuModel: "Cortex-A78AE",
    cores: 6,
    clockGhz: 1.5,
    memoryBytes: 8 * gibi,
    // 128 bits of LPDDR5 as it was sold; the later mode of 25 W has 102e9 and 1.7 GHz.
    memoryBandwidthBytesPerSecond: 68e9,
    source: "https://developer.nvidia.com/embedded/jetson-modules",
    macsPerCycle: 32,
  },
  {
    name: "n100",
    title: "Mini PC with an Intel N100, 8 GB of DDR5-4800 in one channel",
    architecture: "x64",
    cpuModel: "Intel N100",
    cores: 4,
    clockGhz: 3.4,
    memoryBytes: 8 * gibi,
    // A copy by one core moves 2 * 11.6e9 of it: https://github.com/ThomasKaiser/sbc-bench/issues/65.
    memoryBandwidthBytesPerSecond: 38.4e9,
    source:
      "https://www.intel.com/content/www/us/en/products/sku/231803/intel-processor-n100-6m-cache-up-to-3-40-ghz/specifications.html",
    macsPerCycle: 32,
  },
  {
    name: "laptop2015",
    title: "Laptop of 2015 with an Intel Core i5-5200U, 8 GB of DDR3L-1600 in two channels",
    architecture: "x64",
    cpuModel: "Intel Core i5-5200U",
    cores: 2,
    clockGhz: 2.5,
    memoryBytes: 8 * gibi,
    memoryBandwidthBytesPerSecond: 25.6e9,
    source:
      "https://www.intel.com/content/www/us/en/products/sku/85212/intel-core-i55200u-processor-3m-cache-up-to-2-70-ghz/specifications.html",
    macsPerCycle: 32,
  },
];

/** What a program reads of the memory, measured or estimated; bytes per second. */
export function readBytesPerSecond({ measuredRead, memoryBandwidthBytesPerSecond }: ReferenceDevice): number {
  return measuredRead?.bytesPerSecond ?? estimates.bandwidthShare * memoryBandwidthBytesPerSecond;
}
