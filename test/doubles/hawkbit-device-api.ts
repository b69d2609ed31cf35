// The device API (DDI) of the hawkBit double: what a device asks to learn what to install, and where it says what became of
// it (shared reference, ota-systems.md 2.1). 404 for a deployment that is being cancelled, 410 for feedback to an action
// that is over, 405 for a word on a cancellation that nobody asked for. Enters: the double's state. Leaves: a router.
import express from "express";
import type { Request, RequestHandler, Router } from "express";
import { z } from "zod";
import type { ActionRow, HawkbitState } from "./hawkbit-state.ts";

const feedbackSchema = z.object({
  timestamp: z.number().optional(),
  status: z.object({
    execution: z.string(),
    result: z.object({ finished: z.string() }),
    code: z.number().optional(),
  }),
});

export function createDeviceApi(state: HawkbitState): Router {
  const router = express.Router();
  router.get("/:device", (request, response) => {
    const id = request.params["device"];
    const target = state.targets.find(({ controllerId }) => controllerId === id) ?? state.addTarget(id, []);
    state.hear(target);
    // The oldest that is open: what is being cancelled has to be answered before what takes its place.
    const open = state.actions.find((action) => action.active && action.target === target);
    const self = `${request.protocol}://${request.get("host")}${request.baseUrl}/${encodeURIComponent(id)}`;
    const link = open?.status === "canceling" ? "cancelAction" : "deploymentBase";
    response.json({
      config: { polling: { sleep: "00:05:00" } },
      _links: open === undefined ? {} : { [link]: { href: `${self}/${link}/${open.id}` } },
    });
  });
  router.get("/:device/deploymentBase/:action", (request, response) => {
    const action = actionOf(state, request);
    if (action === undefined || action.status === "canceling" || !action.active)
      return void response.status(404).end();
    state.retrieve(action);
    const { name, version } = action.set;
    response.json({
      id: String(action.id),
      deployment: {
        download: "forced",
        update: "forced",
        chunks: [{ part: "os", name, version, artifacts: [] }],
      },
    });
  });
  router.get("/:device/cancelAction/:action", (request, response) => {
    const action = actionOf(state, request);
    if (action === undefined || action.status !== "canceling") response.status(404).end();
    else response.json({ id: String(action.id), cancelAction: { stopId: String(action.id) } });
  });
  router.post("/:device/deploymentBase/:action/feedback", takeFeedback(state, false));
  router.post("/:device/cancelAction/:action/feedback", takeFeedback(state, true));
  return router;
}

function actionOf({ actions }: HawkbitState, request: Request): ActionRow | undefined {
  const { action, device } = request.params;
  return actions.find(({ id, target }) => String(id) === action && target.controllerId === device);
}

function takeFeedback(state: HawkbitState, isOfCancel: boolean): RequestHandler {
  return (request, response) => {
    const action = actionOf(state, request);
    if (action === undefined) return void response.status(404).end();
    if (!action.active) return void response.status(410).end();
    if (isOfCancel && action.status !== "canceling") return void response.status(405).end();
    const told = feedbackSchema.safeParse(request.body);
    if (!told.success) return void response.status(400).end();
    const { timestamp, status } = told.data;
    const { execution, result, code } = status;
    state.feedback(action, { execution, finished: result.finished, code, timestamp, isOfCancel });
    response.status(200).end();
  };
}
