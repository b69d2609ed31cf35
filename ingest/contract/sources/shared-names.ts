// What names an app in another system's events can name one app only. For schemas of the whole file. Enters: what each app
// is named by. Leaves: an issue where two apps have the same.
import type { z } from "zod";

export interface AppName {
  readonly app: string;
  readonly name: string;
  /** Below `apps.<app>.sources`. */
  readonly path: readonly string[];
}

/** `complaint`: of the app that has the name already, and the name. */
export function refuseSharedNames(
  names: Iterable<AppName>,
  complaint: (other: string, name: string) => string,
  context: z.RefinementCtx,
): void {
  const appOf = new Map<string, string>();
  for (const { app, name, path } of names) {
    const other = appOf.get(name);
    if (other === undefined) appOf.set(name, app);
    else
      context.addIssue({
        code: "custom",
        path: ["apps", app, "sources", ...path],
        message: complaint(other, name),
      });
  }
}
