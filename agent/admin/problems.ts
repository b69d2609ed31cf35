// The operator API's errors: stable codes, in docs/errors.md as well.
import type { ProblemKind } from "../../runtime/problem.ts";

export const ADMIN_PROBLEMS = {
  missing_token: { code: "missing_token", status: 401, title: "An operator token is needed" },
  unknown_token: { code: "unknown_token", status: 401, title: "This operator token is not known" },
  unknown_decision: { code: "unknown_decision", status: 404, title: "There is no decision with this id" },
  redis_unavailable: { code: "redis_unavailable", status: 503, title: "The store does not answer" },
  invalid_query: { code: "invalid_query", status: 400, title: "A query parameter is wrong" },
} as const satisfies Record<string, ProblemKind>;
