// Original file: proto/espalier/v1/operator.proto

import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from '../../espalier/v1/Document.ts';
import type { WhatIf as _espalier_v1_WhatIf, WhatIf__Output as _espalier_v1_WhatIf__Output } from '../../espalier/v1/WhatIf.ts';

export interface PlanRequest {
  'spec'?: (_espalier_v1_Document | null);
  'whatIf'?: (_espalier_v1_WhatIf)[];
}

export interface PlanRequest__Output {
  'spec': (_espalier_v1_Document__Output | null);
  'whatIf': (_espalier_v1_WhatIf__Output)[];
}
