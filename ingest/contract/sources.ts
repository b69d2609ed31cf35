// Other systems whose devices report to ingest in their own words, as a schema piece: `apps.<app>.sources`. Enters:
// parsed YAML. Leaves: camelCase settings, one file per system under sources/. Both rooms read it: ingest serves the
// routes, the agent has the whole file checked. A system that is not named here is not served.
import { z } from "zod";

/** One field per system, named as in the file; a system that is not named is left out. */
export const sourcesSchema = z.strictObject({}).prefault({});

export type SourcesSettings = Readonly<z.infer<typeof sourcesSchema>>;

/**
 * For the schema of an app. Devices of these systems carry no proof of who they are: under `enforce` each would be an
 * open door beside the locked one.
 */
export function refuseUnprovenSources(
  app: {
    readonly sources: SourcesSettings;
    readonly device_auth?: { readonly mode: string } | undefined;
  },
  context: z.RefinementCtx,
): void {
  const [source] = Object.keys(app.sources ?? {});
  if (source === undefined || app.device_auth?.mode !== "enforce") return;
  context.addIssue({
    code: "custom",
    path: ["sources", source],
    message:
      "its devices carry no proof of who they are, and device_auth asks for one: set device_auth.mode to observe, or let devices report to /v1/reports",
  });
}
