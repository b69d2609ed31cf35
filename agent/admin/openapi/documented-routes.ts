// Every route of the operator API with what it takes and answers, one file for each group. A test walks the routes of
// the running program and fails when one of them does not stand here, or the reverse.
import { ACT_ROUTES } from "./acts.ts";
import { DEAD_LETTER_ROUTES } from "./dead-letters.ts";
import { DECISION_ROUTES } from "./decisions.ts";
import type { DocumentedRoute } from "./documented-route.ts";
import { HEALTH_ROUTES } from "./health.ts";
import { JOURNAL_ROUTES } from "./journal.ts";
import { OPERATIONS_ROUTES } from "./operations.ts";
import { REPLAY_ROUTES } from "./replay.ts";
import { SCOPE_ROUTES } from "./scope.ts";
import { SESSION_ROUTES } from "./session.ts";
import { STATUS_ROUTES } from "./status.ts";

export const DOCUMENTED_ROUTES: readonly DocumentedRoute[] = [
  ...STATUS_ROUTES,
  ...DECISION_ROUTES,
  ...ACT_ROUTES,
  ...JOURNAL_ROUTES,
  ...HEALTH_ROUTES,
  ...SCOPE_ROUTES,
  ...REPLAY_ROUTES,
  ...DEAD_LETTER_ROUTES,
  ...SESSION_ROUTES,
  ...OPERATIONS_ROUTES,
];
