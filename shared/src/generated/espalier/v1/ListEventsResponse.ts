// Original file: proto/espalier/v1/operator.proto

import type { Event as _espalier_v1_Event, Event__Output as _espalier_v1_Event__Output } from '../../espalier/v1/Event.ts';

export interface ListEventsResponse {
  'events'?: (_espalier_v1_Event)[];
}

export interface ListEventsResponse__Output {
  'events': (_espalier_v1_Event__Output)[];
}
