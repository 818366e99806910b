/** Instruction sets that matter to the kernels, as /proc/cpuinfo names them. */
const relevant = [
  ..."avx avx2 fma f16c avx512f avx512bw avx512vl avx512_vnni avx512_bf16 avx_vnni amx_int8 amx_bf16".split(" "),
  ..."asimd asimdhp asimddp i8mm bf16 sve sve2".split(" "),
];

/** Model and instruction sets from the text of /proc/cpuinfo (x86 `flags`, Arm `Features`). */
export function readCpuInfo(cpuinfo: string): { model: string | null; instructionSets: string[] } {
  const value = (key: RegExp): string | null => key.exec(cpuinfo)?.[1]?.trim() ?? null;
  const flags = new Set((value(/^(?:flags|Features)\s*:(.*)$/m) ?? "").split(/\s+/));
  return {
    model: value(/^model name\s*:(.*)$/m) ?? value(/^Model\s*:(.*)$/m),
    instructionSets: relevant.filter((name) => flags.has(name)),
  };
}
