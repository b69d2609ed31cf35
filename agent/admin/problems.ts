// The operator API's errors: stable codes, in docs/errors.md as well.
import type { ProblemKind } from "../../runtime/problem.ts";

export const ADMIN_PROBLEMS = {
  missing_token: { code: "missing_token", status: 401, title: "An operator token is needed" },
  unknown_token: { code: "unknown_token", status: 401, title: "This operator token is not known" },
  expired_token: { code: "expired_token", status: 401, title: "This operator token has expired" },
  unknown_session: { code: "unknown_session", status: 401, title: "The session has ended" },
  too_many_attempts: {
    code: "too_many_attempts",
    status: 429,
    title: "Too many attempts to sign in failed",
  },
  sessions_not_needed: {
    code: "sessions_not_needed",
    status: 409,
    title: "Nobody has to sign in here",
  },
  cross_site: { code: "cross_site", status: 403, title: "The request comes from another site" },
  role_not_enough: {
    code: "role_not_enough",
    status: 403,
    title: "The operator's role is not enough for this",
  },
  foreign_host: { code: "foreign_host", status: 403, title: "Without operators, only this machine may act" },
  unknown_decision: { code: "unknown_decision", status: 404, title: "There is no decision with this id" },
  unknown_release: { code: "unknown_release", status: 404, title: "There are no counts of this release" },
  unknown_device: { code: "unknown_device", status: 404, title: "Nothing is known of this device" },
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
