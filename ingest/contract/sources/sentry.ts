// `sources.sentry`, as a schema piece: apps with a Sentry SDK (or one for GlitchTip or Bugsink), whose DSN leads here.
// Enters: parsed YAML. Leaves: its projects with their keys and channels, how a release is found in what the SDK says, and
// where a copy goes.
import { z } from "zod";
import { refuseSharedNames } from "./shared-names.ts";
import { versionPatternSchema } from "./bounded-pattern.ts";
import { environmentFields, refuseTwoChannels, toEnvironmentChannels } from "./environment-channels.ts";

/** As in a DSN: https://<public key>@<host>/<project>. */
const publicKeySchema = z
  .string()
  .regex(/^\w{1,64}$/, "must be the public key of the DSN: what stands before the @");
const projectSchema = z.string().regex(/^\d{1,19}$/, "must be a number: the last part of the DSN");

/** Longest DSN that is read, in UTF-16 code units: devices send them too. */
export const DSN_CHARS_MAX = 1_024;

export interface Dsn {
  /** With the DSN's path, if it has one, and without a slash at its end. */
  readonly base: string;
  readonly key: string;
  readonly project: string;
}

/** Undefined for what is no DSN. */
export function parseDsn(text: string): Dsn | undefined {
  if (text.length > DSN_CHARS_MAX || !URL.canParse(text)) return undefined;
  const { protocol, username, host, pathname, search, hash } = new URL(text);
  const [, path, project] = /^(.*)\/(\d{1,19})\/?$/.exec(pathname) ?? [];
  if (!/^https?:$/.test(protocol) || !/^\w{1,64}$/.test(username) || host === "") return undefined;
  if (path === undefined || project === undefined || search + hash !== "") return undefined;
  return { base: `${protocol}//${host}${path}`, key: username, project };
}

const dsnSchema = z.string().transform((text, context) => {
  const dsn = parseDsn(text);
  if (dsn !== undefined) return dsn;
  context.addIssue({
    code: "custom",
    message: "must be a DSN, such as https://<public key>@<host>/<project>",
  });
  return z.NEVER;
});

const projectSettingsSchema = z
  .strictObject({
    key: publicKeySchema,
    ...environmentFields,
    forward: z.strictObject({ dsn: dsnSchema }).optional(),
  })
  .superRefine(refuseTwoChannels)
  .transform((project) => ({
    key: project.key,
    channels: toEnvironmentChannels(project),
    /** Where a copy of each envelope goes. */
    forward: project.forward?.dsn,
  }));

const matchSchema = versionPatternSchema.optional();
const extractorSchema = z.discriminatedUnion("from", [
  z.strictObject({ from: z.enum(["release", "dist", "environment"]), match: matchSchema }),
  z.strictObject({ from: z.enum(["tag", "context"]), name: z.string().min(1).max(200), match: matchSchema }),
]);

/** Where a version may stand; `name` of a context with its parts divided by dots. */
export type ReleaseExtractor = z.infer<typeof extractorSchema>;

/** Expo's SDK says on each event which update runs; else what stands after the package's name. */
export const RELEASE_DEFAULT: readonly ReleaseExtractor[] = [
  { from: "context", name: "ota_updates.update_id" },
  { from: "release", match: /(?:^|@)(?<version>[^@]+)$/u },
];

const originSchema = z
  .string()
  .regex(
    /^(?:\*|[a-z][a-z0-9+.-]*:\/\/[^\s/,]+)$/,
    'must be an origin, such as https://app.acme.example or capacitor://localhost, or "*"',
  );

export const sentrySourceSchema = z
  .strictObject({
    projects: z
      .record(projectSchema, projectSettingsSchema)
      .refine((projects) => Object.keys(projects).length > 0, "name at least one project and its key"),
    release: z.array(extractorSchema).min(1).max(10).optional(),
    crashes_from: z.enum(["sessions", "events"]).prefault("sessions"),
    unhandled_is_crash: z.boolean().prefault(false),
    origins: z.array(originSchema).min(1).prefault(["*"]),
  })
  .transform((source) => ({
    projects: new Map(Object.entries(source.projects)) as ReadonlyMap<string, SentryProject>,
    /** In their order: the first that finds something holds. */
    release: source.release ?? RELEASE_DEFAULT,
    /**
     * What tells of crashes; never both, or a crash would count twice. By `events`, sessions (or another source) still have
     * to tell of use under the same version and device: a release that is known by its crashes alone crashes whenever it is used.
     */
    crashesFrom: source.crashes_from,
    /** Whether a session whose status is `unhandled` crashed: in browsers and web views the page lives on. */
    unhandledIsCrash: source.unhandled_is_crash,
    /** Of pages that may report; undefined = of all. */
    origins: source.origins.includes("*") ? undefined : (new Set(source.origins) as ReadonlySet<string>),
  }));

export type SentryProject = z.infer<typeof projectSettingsSchema>;
export type SentrySource = z.infer<typeof sentrySourceSchema>;

/** For the schema of the whole file: an envelope names its app by the project alone. */
export function refuseSharedSentryProjects(
  apps: Iterable<
    readonly [string, { readonly sources?: { readonly sentry?: SentrySource | undefined } | undefined }]
  >,
  context: z.RefinementCtx,
): void {
  const names = [...apps].flatMap(([app, { sources }]) => {
    const projects = sources?.sentry?.projects;
    // zod comes here with what it has when a value inside was refused; those mistakes are told first.
    if (!(projects instanceof Map)) return [];
    const ids = [...(projects as SentrySource["projects"]).keys()];
    return ids.map((id) => ({ app, name: id, path: ["sentry", "projects", id] }));
  });
  refuseSharedNames(
    names,
    (other, project) => `${other} has the project ${project} too: an envelope names its app by this alone`,
    context,
  );
}
