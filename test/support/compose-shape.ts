// The part of the Compose specification that docker-compose.yml uses, strictly: a key that Compose does not know at that
// place is a mistake. Written by hand from the specification, because no container engine runs in the tests.
import { z } from "zod";

const duration = z.string().regex(/^(\d+(ms|s|m|h))+$/);
const bytes = z.string().regex(/^\d+(k|m|g|K|M|G)b?$/i);
const names = z.array(z.string().min(1));
const scalar = z.union([z.string(), z.number()]);

const healthcheckShape = z.strictObject({
  test: z.array(z.string()).min(2),
  interval: duration,
  timeout: duration,
  start_period: duration.optional(),
  retries: z.int().positive(),
});

const serviceShape = z.strictObject({
  image: z.string(),
  build: z.strictObject({ context: z.string(), target: z.string() }).optional(),
  command: names.or(z.array(z.string())).optional(),
  profiles: names.optional(),
  user: z.string(),
  init: z.boolean(),
  read_only: z.boolean(),
  tmpfs: names,
  cap_drop: names,
  security_opt: names,
  restart: z.enum(["no", "always", "on-failure", "unless-stopped"]),
  stdin_open: z.boolean().optional(),
  stop_grace_period: duration.optional(),
  logging: z.strictObject({
    driver: z.string(),
    options: z.strictObject({ "max-size": bytes, "max-file": z.string() }),
  }),
  environment: z.record(z.string(), scalar).optional(),
  secrets: names.optional(),
  extra_hosts: names.optional(),
  networks: names,
  ports: names.optional(),
  volumes: names.optional(),
  depends_on: z
    .record(
      z.string(),
      z.strictObject({
        condition: z.enum(["service_started", "service_healthy", "service_completed_successfully"]),
      }),
    )
    .optional(),
  deploy: z.strictObject({
    resources: z.strictObject({
      limits: z.strictObject({ cpus: z.string(), memory: bytes, pids: z.int().positive() }),
    }),
  }),
  healthcheck: healthcheckShape,
});

export type ComposeService = z.infer<typeof serviceShape>;

export const composeShape = z
  .object({
    name: z.string().regex(/^[a-z0-9][a-z0-9_-]*$/),
    services: z.record(z.string(), serviceShape),
    networks: z.record(z.string(), z.strictObject({ internal: z.boolean().optional() })),
    secrets: z.record(z.string(), z.strictObject({ file: z.string() })),
    volumes: z.record(z.string(), z.null()),
  })
  .catchall(z.unknown())
  .superRefine((file, context) => {
    const own = ["name", "services", "networks", "secrets", "volumes"];
    for (const key of Object.keys(file))
      if (!own.includes(key) && !key.startsWith("x-"))
        context.addIssue({ code: "custom", path: [key], message: "is no key of a Compose file" });
  });

export type ComposeFile = z.infer<typeof composeShape>;
