// An agent that only says what a test has put into it, for tests of the page: the real page routes, and beside them a stub
// of the operator API. Enters: a story (page-stories.ts), which a test may change at any time. Leaves: a running server,
// and every act that it was asked for. Whether the real agent answers like this is not tested here.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import type { Request, Response } from "express";
import { pageRoutes } from "../../agent/admin/page-routes.ts";
import type { WarningView } from "../../agent/admin/page/api-shapes.d.ts";
import { pageStory } from "./page-stories.ts";
import type { PageStory } from "./page-stories.ts";

export const STUB_TOKEN = "token-of-ana";

export interface AskedAct {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

export interface PageApi {
  readonly url: string;
  story: PageStory;
  /** Who asks; null = no operators are configured. */
  caller: { name: string; role: "viewer" | "operator" | "admin" } | null;
  /** `redis_away` answers 503; `away` closes every connection without an answer. */
  health: "well" | "redis_away" | "away";
  /** What the guards say to a rollback that is not overridden. */
  objections: readonly WarningView[];
  readonly acts: AskedAct[];
  /** The Idempotency-Key of each rollback that was asked for. */
  readonly keys: (string | undefined)[];
  /** Why a scope is not told; null = it is. */
  scopeRefusal: { status: number; code: string; detail: string } | null;
  /** Scopes are told after this. */
  scopeGate: Promise<unknown>;
  /** Paths and queries of the scopes that were asked for. */
  readonly scopesAsked: string[];
  /** Questions for the status that were answered. */
  looks: number;
  close(): Promise<void>;
}

export async function startPageApi(): Promise<PageApi> {
  const app = express();
  const server = createServer(app);
  const api: PageApi = {
    url: "",
    story: pageStory(),
    caller: null,
    health: "well",
    objections: [],
    scopeRefusal: null,
    scopeGate: Promise.resolve(),
    scopesAsked: [],
    acts: [],
    keys: [],
    looks: 0,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  app.use((request, response, next) => {
    if (api.health === "away" && request.path.startsWith("/v1")) return void request.socket.destroy();
    if (api.health === "redis_away" && request.path.startsWith("/v1"))
      return refuse(response, 503, "redis_unavailable", "Redis does not answer.");
    next();
  });
  app.use(pageRoutes());
  app.use(express.json());
  addSession(app, api);
  addReads(app, api);
  addScope(app, api);
  addActs(app, api);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(api, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

function refuse(response: Response, status: number, code: string, detail: string, members = {}): void {
  response
    .status(status)
    .type("application/problem+json")
    .send(
      JSON.stringify({ type: `urn:lastgood:problem:${code}`, code, title: code, status, detail, ...members }),
    );
}

/** The session is the token itself: enough for a stub. */
function addSession(app: express.Express, api: PageApi): void {
  app.post("/v1/session", (request, response) => {
    const { token } = request.body as { token?: string };
    if (token !== STUB_TOKEN)
      return refuse(response, 401, "unknown_token", "No operator in the configuration has this token.");
    response.cookie("lastgood_session", token, { httpOnly: true, sameSite: "strict" }).status(204).end();
  });
  app.delete("/v1/session", (_request, response) => {
    response.clearCookie("lastgood_session").status(204).end();
  });
  app.use("/v1", (request, response, next) => {
    if (api.caller === null || request.get("cookie") === `lastgood_session=${STUB_TOKEN}`) return next();
    refuse(response, 401, "missing_token", "Send `Authorization: Bearer <operator token>`.");
  });
}

function addReads(app: express.Express, api: PageApi): void {
  app.get("/v1/whoami", (_request, response) => {
    response.json(
      api.caller === null
        ? { name: "local", role: "admin", via: "local" }
        : { ...api.caller, via: "session" },
    );
  });
  app.get("/v1/status", (_request, response) => {
    api.looks += 1;
    response.json({ ...api.story.status, at: new Date().toISOString() });
  });
  app.get("/v1/decisions", (_request, response) => void response.json({ decisions: api.story.decisions }));
  app.get("/v1/freezes", (_request, response) => void response.json({ freezes: api.story.freezes }));
  app.get(
    "/v1/channels/:app/:channel/targets",
    (_request, response) => void response.json(api.story.targets),
  );
}

/** As the agent does, it names no devices to a viewer. */
function addScope(app: express.Express, api: PageApi): void {
  app.get("/v1/scope/:app/:version", async (request, response) => {
    api.scopesAsked.push(request.originalUrl);
    await api.scopeGate;
    if (api.scopeRefusal !== null) {
      const { status, code, detail } = api.scopeRefusal;
      return refuse(response, status, code, detail);
    }
    const { scope } = api.story;
    response.json(api.caller?.role === "viewer" ? { ...scope, examples: null } : scope);
  });
}

/** Does the least that the page must see afterwards. */
function addActs(app: express.Express, api: PageApi): void {
  const note = (request: Request): void =>
    void api.acts.push({ method: request.method, path: request.originalUrl, body: request.body });
  app.post("/v1/decisions/:id/:answer", (request, response) => {
    note(request);
    const answer = request.params.answer === "approve" ? "approved" : "rejected";
    api.story.decisions = api.story.decisions.map((decision) =>
      decision.id === request.params.id && decision.approval
        ? {
            ...decision,
            approval: {
              ...decision.approval,
              answer,
              answered_at: new Date().toISOString(),
              answered_by: "ana",
            },
          }
        : decision,
    );
    response.json(api.story.decisions.find(({ id }) => id === request.params.id));
  });
  app.post("/v1/channels/:app/:channel/rollback", (request, response) => {
    note(request);
    api.keys.push(request.get("idempotency-key"));
    const { override } = request.body as { override?: true };
    if (api.objections.length > 0 && override !== true)
      return refuse(response, 409, "guards_object", "Guards object to this.", { warnings: api.objections });
    response.json({ decision_id: "op_1", ...api.story.decisions[0] });
  });
  app.post("/v1/freezes", (request, response) => {
    note(request);
    const { scope, reason } = request.body as { scope: "all"; reason: string };
    const id = `fr_${api.acts.length}`;
    const freeze = { id, scope, by: "ana", reason, since: new Date().toISOString(), until: null };
    api.story.freezes = [...api.story.freezes, freeze];
    response.json(freeze);
  });
  app.delete("/v1/freezes/:id", (request, response) => {
    note(request);
    api.story.freezes = api.story.freezes.filter(({ id }) => id !== request.params.id);
    response.status(204).end();
  });
  app.post(
    ["/v1/channels/:app/:channel/pause", "/v1/releases/:app/:channel/:version/absolve"],
    (request, response) => {
      note(request);
      response.json({});
    },
  );
}
