// What one route of the operator API takes and answers, as the OpenAPI document and the tests read it: one row of the
// table in documented-routes.ts. Schemas are strict, so that a test finds what an answer holds and nobody has described;
// in the document they are open, because fields are added.
import type { z } from "zod";
import type { Role } from "../../config/operators.ts";
import type { ADMIN_PROBLEMS } from "../problems.ts";

export type AdminErrorCode = keyof typeof ADMIN_PROBLEMS;

export interface DocumentedRoute {
  readonly method: "get" | "post" | "put" | "patch" | "delete";
  /** Without the parameters' patterns, such as `/v1/decisions/{id}`. */
  readonly path: string;
  readonly group: RouteGroup;
  readonly summary: string;
  readonly description?: string;
  /** Who may ask; `anybody` needs no token. */
  readonly role: Role | "anybody";
  /** What the path's parameters are; all are text. */
  readonly parameters?: Readonly<Record<string, string>>;
  readonly query?: z.ZodObject;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: z.ZodType;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Of ADMIN_PROBLEMS, beside those that the role brings along. */
  readonly errors: readonly AdminErrorCode[];
}

export type Answer =
  | { readonly description: string; readonly json: z.ZodType }
  | { readonly description: string; readonly text: string }
  | { readonly description: string };

export const ROUTE_GROUPS = [
  "status",
  "decisions",
  "acts",
  "journal",
  "health",
  "dead letters",
  "session",
  "operations",
] as const;
export type RouteGroup = (typeof ROUTE_GROUPS)[number];

/** What every route answers that asks who one is. */
export const ERRORS_OF_ASKING = [
  "missing_token",
  "unknown_token",
  "expired_token",
  "too_many_attempts",
  "unknown_session",
  "redis_unavailable",
] as const satisfies readonly AdminErrorCode[];

/** And what those answer beside it that not everybody may use. */
export const ERRORS_OF_ACTING = [
  "role_not_enough",
  "foreign_host",
] as const satisfies readonly AdminErrorCode[];

/** Beside it, all that change something: another site's page may not. */
export const ERRORS_OF_CHANGING = ["cross_site"] as const satisfies readonly AdminErrorCode[];

/** Every code that the route may answer with. */
export function errorsOf({ method, role, errors }: DocumentedRoute): readonly AdminErrorCode[] {
  const ofAsking = role === "anybody" ? [] : ERRORS_OF_ASKING;
  const ofActing = role === "operator" || role === "admin" ? ERRORS_OF_ACTING : [];
  const ofChanging = method === "get" ? [] : ERRORS_OF_CHANGING;
  return [...new Set([...ofAsking, ...ofActing, ...ofChanging, ...errors])];
}
