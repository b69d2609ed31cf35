// The cookie that carries a session's id: how it is read, set and taken back. Scripts of the page cannot read it, and
// no browser sends it along with what another site asks for.
import type { CookieOptions, Request, Response } from "express";
import { SESSION_LIFE_MS_MAX } from "./session-store.ts";

export const SESSION_COOKIE = "lastgood_session";
/** 32 bytes as base64url. */
const SESSION_ID = /^[A-Za-z0-9_-]{43}$/;

/** Undefined without a cookie, or with one that was never ours. */
export function readSessionId(request: Request): string | undefined {
  for (const part of (request.get("cookie") ?? "").split(";")) {
    const [name, value] = part.split("=", 2);
    if (name?.trim() === SESSION_COOKIE && value !== undefined && SESSION_ID.test(value.trim()))
      return value.trim();
  }
  return undefined;
}

export function setSessionCookie(request: Request, response: Response, id: string): void {
  response.cookie(SESSION_COOKIE, id, { ...optionsOf(request), maxAge: SESSION_LIFE_MS_MAX });
}

export function clearSessionCookie(request: Request, response: Response): void {
  response.clearCookie(SESSION_COOKIE, optionsOf(request));
}

/** `secure` follows X-Forwarded-Proto only where it comes from a trusted proxy. */
function optionsOf(request: Request): CookieOptions {
  return { httpOnly: true, sameSite: "strict", path: "/", secure: request.secure };
}
