/** A device as its maker describes it, for planning before one is owned. Every figure has its public source; what has none is in `estimates`. */
export interface ReferenceDevice {
  name: string;
  title: string;
  architecture: string;
  cpuModel: string;
  cores: number;
  clockGhz: number;
  memoryBytes: number;
  /** Of the memory chips, not of what a program reads. */
  memoryBandwidthBytesPerSecond: number;
  source: string;
  /** 8-bit multiply-adds per core and clock cycle of the widest instructions: ours, from the instruction set. */
  macsPerCycle: number;
}

/**
 * Ours, for all: what a program gets of the memory's and the arithmetic's peak (as our x86-64 machines gave), time per layer and
 * run beside that, resident memory, and how far off all of it may be.
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
    macsPerCycle: 32,
  },
  {
    name: "orin-nano",
    title: "NVIDIA Jetson Orin Nano, 8 GB; its processor alone, which is what an agent uses",
    architecture: "arm64",
    cpuModel: "Cortex-A78AE",
    cores: 6,
    clockGhz: 1.5,
    memoryBytes: 8 * gibi,
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
