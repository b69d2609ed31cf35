// Refuses an operator whose token is over: asked by token and by session alike. Enters: the operator, the time.
// Leaves: nothing, or the problem.
import { Problem } from "../../runtime/problem.ts";
import type { Operator } from "../config/operators.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";

export function refuseExpired({ name, expiresAtMs }: Operator, nowMs: number): void {
  if (expiresAtMs === undefined || nowMs < expiresAtMs) return;
  throw new Problem(ADMIN_PROBLEMS.expired_token, {
    detail: `The token of ${name} worked until ${new Date(expiresAtMs).toISOString()}; an admin can give a new one.`,
  });
}
