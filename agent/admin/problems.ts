// The operator API's errors: stable codes, in docs/errors.md as well.
import type { ProblemKind } from "../../runtime/problem.ts";

export const ADMIN_PROBLEMS = {
  missing_token: { code: "missing_token", status: 401, title: "An operator token is needed" },
  unknown_token: { code: "unknown_token", status: 401, title: "This operator token is not known" },
  role_not_enough: {
    code: "role_not_enough",
    status: 403,
    title: "The operator's role is not enough for this",
  },
  foreign_host: { code: "foreign_host", status: 403, title: "Without operators, only this machine may act" },
  unknown_decision: { code: "unknown_decision", status: 404, title: "There is no decision with this id" },
  unknown_release: { code: "unknown_release", status: 404, title: "There are no counts of this release" },
  unknown_device: { code: "unknown_device", status: 404, title: "Nothing is known of this device" },
  unknown_channel: { code: "unknown_channel", status: 404, title: "There is no such channel" },
  unknown_freeze: { code: "unknown_freeze", status: 404, title: "There is no freeze with this id" },
  unknown_target: { code: "unknown_target", status: 422, title: "The OTA server has no such release" },
  stale: { code: "stale", status: 409, title: "The channel is not what the request takes it for" },
  already_there: { code: "already_there", status: 409, title: "The channel offers this release already" },
  nothing_offered: { code: "nothing_offered", status: 409, title: "The channel offers nothing" },
  guards_object: { code: "guards_object", status: 409, title: "Guards object" },
  not_waiting: { code: "not_waiting", status: 409, title: "The decision asks for nobody's approval" },
  approval_over: { code: "approval_over", status: 409, title: "The decision waits for approval no longer" },
  decision_open: { code: "decision_open", status: 409, title: "A decision about this release has not ended" },
  not_supported: { code: "not_supported", status: 409, title: "The OTA server can't do this" },
  too_many_freezes: { code: "too_many_freezes", status: 409, title: "There are too many freezes" },
  ota_server_unavailable: {
    code: "ota_server_unavailable",
    status: 503,
    title: "The OTA server could not be asked",
  },
  redis_unavailable: { code: "redis_unavailable", status: 503, title: "The store does not answer" },
  unknown_dead_letter: {
    code: "unknown_dead_letter",
    status: 404,
    title: "There is no dead letter with this id",
  },
  invalid_query: { code: "invalid_query", status: 400, title: "A query parameter is wrong" },
  invalid_body: { code: "invalid_body", status: 400, title: "The body does not say what to do" },
  unsupported_media_type: {
    code: "unsupported_media_type",
    status: 415,
    title: "The media type of the body is not taken here",
  },
  body_too_large: { code: "body_too_large", status: 413, title: "The body is too large" },
} as const satisfies Record<string, ProblemKind>;
