// The operator API's description: signing in and out for the page, and who one is.
import { z } from "zod";
import { ROLES } from "../../config/operators.ts";
import { signInSchema } from "../session-routes.ts";
import type { DocumentedRoute } from "./documented-route.ts";

export const SESSION_ROUTES: readonly DocumentedRoute[] = [
  {
    method: "post",
    path: "/v1/session",
    group: "session",
    summary: "Sign in with a token",
    description: "For a page in a browser. Everything else sends the token itself.",
    role: "anybody",
    body: signInSchema.meta({ id: "SignIn" }),
    answers: { 204: { description: "The cookie `lastgood_session` is set; no script can read it." } },
    errors: [
      "unknown_token",
      "expired_token",
      "too_many_attempts",
      "sessions_not_needed",
      "invalid_body",
      "unsupported_media_type",
      "body_too_large",
      "redis_unavailable",
    ],
  },
  {
    method: "delete",
    path: "/v1/session",
    group: "session",
    summary: "Sign out",
    role: "anybody",
    answers: { 204: { description: "The session is over, if there was one, and the cookie is gone." } },
    errors: ["redis_unavailable"],
  },
  {
    method: "get",
    path: "/v1/whoami",
    group: "session",
    summary: "Who one is, and by what it is known",
    role: "viewer",
    answers: {
      200: {
        description: "`local` where no operators are configured.",
        json: z
          .strictObject({
            name: z.string(),
            role: z.enum(ROLES),
            via: z.enum(["token", "session", "local"]),
          })
          .meta({ id: "Caller" }),
      },
    },
    errors: [],
  },
];
