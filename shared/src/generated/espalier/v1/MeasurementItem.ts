// Original file: proto/espalier/v1/session.proto

import type { MemoryBandwidth as _espalier_v1_MemoryBandwidth, MemoryBandwidth__Output as _espalier_v1_MemoryBandwidth__Output } from '../../espalier/v1/MemoryBandwidth.ts';
import type { DiskWrite as _espalier_v1_DiskWrite, DiskWrite__Output as _espalier_v1_DiskWrite__Output } from '../../espalier/v1/DiskWrite.ts';
import type { Download as _espalier_v1_Download, Download__Output as _espalier_v1_Download__Output } from '../../espalier/v1/Download.ts';
import type { KitRun as _espalier_v1_KitRun, KitRun__Output as _espalier_v1_KitRun__Output } from '../../espalier/v1/KitRun.ts';
import type { VariantRun as _espalier_v1_VariantRun, VariantRun__Output as _espalier_v1_VariantRun__Output } from '../../espalier/v1/VariantRun.ts';

export interface MeasurementItem {
  'memoryBandwidth'?: (_espalier_v1_MemoryBandwidth | null);
  'diskWrite'?: (_espalier_v1_DiskWrite | null);
  'download'?: (_espalier_v1_Download | null);
  'kit'?: (_espalier_v1_KitRun | null);
  'variant'?: (_espalier_v1_VariantRun | null);
  'kind'?: "memoryBandwidth"|"diskWrite"|"download"|"kit"|"variant";
}

export interface MeasurementItem__Output {
  'memoryBandwidth'?: (_espalier_v1_MemoryBandwidth__Output | null);
  'diskWrite'?: (_espalier_v1_DiskWrite__Output | null);
  'download'?: (_espalier_v1_Download__Output | null);
  'kit'?: (_espalier_v1_KitRun__Output | null);
  'variant'?: (_espalier_v1_VariantRun__Output | null);
  'kind'?: "memoryBandwidth"|"diskWrite"|"download"|"kit"|"variant";
}
