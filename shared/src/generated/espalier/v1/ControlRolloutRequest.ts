// Original file: proto/espalier/v1/operator.proto


// Original file: proto/espalier/v1/operator.proto

export const _espalier_v1_ControlRolloutRequest_Action = {
  ACTION_UNSPECIFIED: 'ACTION_UNSPECIFIED',
  ACTION_PAUSE: 'ACTION_PAUSE',
  ACTION_RESUME: 'ACTION_RESUME',
  ACTION_ABORT: 'ACTION_ABORT',
} as const;

export type _espalier_v1_ControlRolloutRequest_Action =
  | 'ACTION_UNSPECIFIED'
  | 0
  | 'ACTION_PAUSE'
  | 1
  | 'ACTION_RESUME'
  | 2
  | 'ACTION_ABORT'
  | 3

export type _espalier_v1_ControlRolloutRequest_Action__Output = typeof _espalier_v1_ControlRolloutRequest_Action[keyof typeof _espalier_v1_ControlRolloutRequest_Action]

export interface ControlRolloutRequest {
  'rollout'?: (string);
  'action'?: (_espalier_v1_ControlRolloutRequest_Action);
}

export interface ControlRolloutRequest__Output {
  'rollout': (string);
  'action': (_espalier_v1_ControlRolloutRequest_Action__Output);
}
