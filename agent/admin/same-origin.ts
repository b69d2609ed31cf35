// Keeps pages of other sites from acting with the cookie of a visitor who is signed in here, whatever a browser makes
// of SameSite. Enters: a request that changes something. Leaves: nothing, or the problem it is refused with.
import type { Request } from "express";
import { Problem } from "../../runtime/problem.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";

/** Methods that change nothing. */
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * Throws unless the request comes from a page of our own, as its browser says. `always`: who says nothing is refused
 * as well, because cookies are for browsers; `where_told`: who says nothing is no browser, and may go on.
 */
export function requireOwnPage(request: Request, asked: "always" | "where_told"): void {
  if (SAFE_METHODS.has(request.method)) return;
  const told = whereFrom(request);
  if (told === "elsewhere" || (told === "not_told" && asked === "always"))
    throw new Problem(ADMIN_PROBLEMS.cross_site, {
      detail:
        "Act from Lastgood's own page, or send `Authorization: Bearer <operator token>` without a cookie.",
    });
  if (asked === "always" && hasBody(request)) requireJson(request);
}

function whereFrom(request: Request): "here" | "elsewhere" | "not_told" {
  const site = request.get("sec-fetch-site");
  if (site !== undefined) return site === "same-origin" || site === "none" ? "here" : "elsewhere";
  const origin = request.get("origin");
  if (origin === undefined) return "not_told";
  return URL.canParse(origin) && new URL(origin).host === hostOf(request) ? "here" : "elsewhere";
}

/** Undefined for a Host that is none: no origin equals it. The default port is left out, as in an origin. */
function hostOf(request: Request): string | undefined {
  const url = `${request.protocol}://${request.host}`;
  return URL.canParse(url) ? new URL(url).host : undefined;
}

function hasBody(request: Request): boolean {
  const length = request.get("content-length") ?? "0";
  return request.method !== "DELETE" || length !== "0" || request.get("transfer-encoding") !== undefined;
}

/** What a page of another site can send without asking first is never JSON. */
export function requireJson(request: Request): void {
  if (/^application\/json\s*(?:;|$)/i.test(request.get("content-type") ?? "")) return;
  throw new Problem(ADMIN_PROBLEMS.unsupported_media_type, { detail: "Set Content-Type: application/json." });
}
