// docker-compose.yml and the Dockerfile, which cannot run here, held to what can be read off them: the
// services there are, pinned images, nobody is root, health checks, mounted files that exist, and a mounted
// configuration that Lastgood would start with.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { loadSettings } from "../../agent/config/load.ts";
import { loadIngestSettings } from "../../ingest/config.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");

interface Service {
  readonly image: string;
  readonly user?: string;
  readonly command?: readonly string[];
  readonly profiles?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
}

const compose = parse(read("docker-compose.yml"), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, null>>;
};
const services = Object.entries(compose.services).map(([name, service]) => ({ name, ...service }));
const OBSERVABILITY = ["alertmanager", "grafana", "prometheus"];

test("the services are those of the design, and observability is a profile", () => {
  const names = services.map(({ name }) => name);
  expect(names.toSorted()).toEqual([...OBSERVABILITY, "agent", "ingest", "redis"].toSorted());
  const optional = services.filter(({ profiles }) => profiles?.includes("observability") === true);
  expect(optional.map(({ name }) => name).toSorted()).toEqual(OBSERVABILITY);
});

describe.each(services)("$name", ({ name, image, user, ports, volumes, depends_on, healthcheck }) => {
  test("has a pinned image", () => {
    expect(image).toMatch(/^[a-z/]+:v?\d+\.\d+\.\d+(-\w+)?$/);
  });

  test("runs as a user with a number that is not root's", () => {
    expect(user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });

  test("has a health check", () => {
    expect(healthcheck?.test[0]).toBe("CMD");
    expect(healthcheck?.test.length).toBeGreaterThan(2);
  });

  test("publishes ports on loopback, except for what devices reach", () => {
    const open = (ports ?? []).filter((port) => !port.startsWith("127.0.0.1:"));
    expect(open).toEqual(name === "ingest" ? ["8080:8080"] : []);
  });

  test("mounts files that exist, read-only, and volumes that are declared", () => {
    expect(volumes?.length).toBeGreaterThan(0);
    const mounts = (volumes ?? []).map((volume) => volume.split(":") as [string, string, string?]);
    const files = mounts.filter(([source]) => source.startsWith("./"));
    for (const [source, target, mode] of files) {
      expect([source, existsSync(path.join(ROOT, source)), mode]).toEqual([source, true, "ro"]);
      expect(target).toMatch(/^\//);
    }
    const named = mounts.filter((mount) => !files.includes(mount)).map(([source]) => source);
    expect(Object.keys(compose.volumes)).toEqual(expect.arrayContaining(named));
  });

  test("waits for healthy services that are there", () => {
    for (const [other, { condition }] of Object.entries(depends_on ?? {})) {
      expect(Object.keys(compose.services)).toContain(other);
      expect(condition).toBe("service_healthy");
    }
  });
});

describe.each(["ingest", "agent"])("%s and its configuration", (name) => {
  const service = compose.services[name]!;
  // What a user puts into .env; the same names that the compose file hands on.
  const env = Object.fromEntries(
    Object.entries(service.environment ?? {}).map(([variable, value]) => [
      variable,
      /^\$\{\w+:-(.*)\}$/.exec(value)?.[1] ?? `a-value-for-${variable}`,
    ]),
  );
  const file = path.join(ROOT, "docker/lastgood.yaml");

  test("the mounted file is what the command names, and loads with the variables it is given", () => {
    expect(service.volumes).toContain("./docker/lastgood.yaml:/etc/lastgood/lastgood.yaml:ro");
    expect(service.command).toEqual([`dist/${name}/main.js`, "--config", "/etc/lastgood/lastgood.yaml"]);
    const result = name === "agent" ? loadSettings({ file, env }) : loadIngestSettings({ file, env });
    expect(result).toMatchObject({ kind: "loaded", config: { redisUrl: "redis://redis:6379" } });
  });

  test("the health check asks the port that /readyz is on", () => {
    const settings = loadSettings({ file, env });
    if (settings.kind !== "loaded") throw new Error("docker/lastgood.yaml does not load");
    const { ingest, agent } = settings.config;
    const { port } = name === "agent" ? agent.listen : ingest.operationsListen;
    expect(service.healthcheck?.test.at(-1)).toBe(`http://127.0.0.1:${port}/readyz`);
  });

  test("a variable that is left out is a mistake with a place", () => {
    const result = loadSettings({ file, env: { ...env, LASTGOOD_OPERATOR_TOKEN: undefined } });
    expect(result).toMatchObject({ kind: "invalid", problems: [{ file }] });
  });
});

test("the image of both processes has the version of package.json", () => {
  const { version } = JSON.parse(read("package.json")) as { version: string };
  const images = ["ingest", "agent"].map((name) => compose.services[name]?.image);
  expect(images).toEqual([`lastgood:${version}`, `lastgood:${version}`]);
});

test("Redis keeps what it acknowledged and evicts nothing", () => {
  const command = compose.services["redis"]?.command?.join(" ");
  expect(command).toContain("--appendonly yes");
  expect(command).toContain("--maxmemory-policy noeviction");
});

test("Prometheus scrapes both processes where they serve /metrics, and nobody logs in to Grafana unnamed", () => {
  const { scrape_configs } = parse(read("alerting/prometheus.yml")) as {
    scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[];
  };
  const targets = scrape_configs.flatMap(({ static_configs }) =>
    static_configs.flatMap((one) => one.targets),
  );
  expect(targets).toEqual(expect.arrayContaining(["ingest:8081", "agent:8082"]));
  expect(compose.services["grafana"]?.environment).toMatchObject({ GF_AUTH_ANONYMOUS_ENABLED: "false" });
});

test("Alertmanager routes to a receiver that is there", () => {
  const { route, receivers } = parse(read("alerting/alertmanager.yml")) as {
    route: { receiver: string };
    receivers: { name: string }[];
  };
  expect(receivers.map(({ name }) => name)).toContain(route.receiver);
});

describe("Dockerfile", () => {
  const lines = read("Dockerfile").split("\n");

  test("builds and runs on pinned slim Node 24, as a numbered user", () => {
    const bases = lines.filter((line) => line.startsWith("FROM "));
    expect(bases).toHaveLength(2);
    for (const base of bases) expect(base).toMatch(/^FROM node:24\.\d+\.\d+-\w+-slim( AS build)?$/);
    expect(lines.filter((line) => line.startsWith("USER "))).toEqual(["USER 10001:10001"]);
    expect(lines.some((line) => line.startsWith("HEALTHCHECK "))).toBe(true);
  });

  test("copies only what exists and what .dockerignore lets in", () => {
    const allowed = read(".dockerignore")
      .split("\n")
      .filter((line) => line.startsWith("!"))
      .map((line) => line.slice(1));
    const copied = lines
      .filter((line) => line.startsWith("COPY ") && !line.includes("--from"))
      .flatMap((line) => line.split(" ").slice(1, -1));
    expect(copied.length).toBeGreaterThan(6);
    for (const source of copied) {
      expect([source, existsSync(path.join(ROOT, source))]).toEqual([source, true]);
      expect(allowed).toContain(source);
    }
  });
});
