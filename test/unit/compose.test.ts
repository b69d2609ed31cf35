// docker-compose.yml and the Dockerfile, which cannot run here, held to what can be read off them: the
// services there are, pinned images, nobody is root, health checks, mounted files that exist, and a mounted
// configuration that Lastgood would start with.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { loadSettings } from "../../agent/config/load.ts";
import { loadIngestSettings } from "../../ingest/config.ts";
import { conventionMistakes } from "../support/compose-conventions.ts";
import { composeShape } from "../support/compose-shape.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");

const secretsFolder = mkdtempSync(path.join(tmpdir(), "lg-secrets-"));
afterAll(() => rmSync(secretsFolder, { recursive: true }));
function secretFile(inContainer: string): string {
  const file = path.join(secretsFolder, path.basename(inContainer));
  writeFileSync(file, `a-value-for-${path.basename(inContainer)}\n`);
  return file;
}

const text = read("docker-compose.yml");
const compose = composeShape.parse(parse(text, { merge: true }));
const services = Object.entries(compose.services).map(([name, service]) => ({ name, ...service }));
const PROFILES = {
  observability: ["alertmanager", "grafana", "prometheus"],
  demo: ["demo-fleet", "demo-ota"],
};

test("the services are those of the design, and what is not needed is in a profile", () => {
  const names = (profile: string | undefined): string[] =>
    services
      .filter(({ profiles }) => profiles?.[0] === profile)
      .map(({ name }) => name)
      .toSorted();
  expect(names(undefined)).toEqual(["agent", "ingest", "redis"]);
  for (const [profile, expected] of Object.entries(PROFILES)) expect(names(profile)).toEqual(expected);
});

describe("the shape of a Compose file", () => {
  test.each([
    ["a key that is spelt wrongly", "healthcheck:", "healthchek:"],
    ["a limit in the wrong place", "deploy: { resources: { limits:", "deploy: { limits: { resources:"],
    ["a duration without a unit", "interval: 5s", "interval: 5"],
    ["a condition that there is not", "condition: service_healthy", "condition: healthy"],
    ["an unknown key at the top", "name: lastgood\n", "name: lastgood\nservice: {}\n"],
  ])("refuses %s", (_, right, wrong) => {
    expect(text).toContain(right);
    const bad: unknown = parse(text.replace(right, wrong), { merge: true });
    expect(composeShape.safeParse(bad).success).toBe(false);
  });
});

describe("conventions", () => {
  test("every service keeps to them", () => {
    expect(conventionMistakes(compose)).toEqual([]);
  });

  test.each([
    ["redis:7.4.6-bookworm", "redis:latest", "redis: its image has no exact version"],
    ['"472:472"', '"0:0"', "grafana: it may be root"],
    ["read_only: true", "read_only: false", "redis: it can write to its own image"],
    ["init: true", "init: false", "redis: it has no init"],
    ["[ALL]", "[NET_RAW]", "agent: it keeps capabilities"],
    ["no-new-privileges:true", "seccomp=unconfined", "agent: it may get new privileges"],
    ['"127.0.0.1:9090:9090"', '"9090:9090"', "prometheus: it is published beyond loopback"],
    ["LASTGOOD_OTA_SECRET_FILE", "LASTGOOD_OTA_SECRET", "agent: it has a secret in its environment"],
    ["secrets: [ota_secret]", "secrets: [other]", "demo-ota: it names a secret that is not there"],
    ["networks: [data]", "networks: [elsewhere]", "redis: it names a network that is not there"],
    [
      "prometheus: { condition",
      "promtheus: { condition",
      "grafana: it does not wait for a healthy service that is there",
    ],
    [
      "secrets: [grafana_admin_password]",
      "secrets: []",
      "grafana: it names a file of a secret that it is not given",
    ],
  ])("%s -> %s is told", (right, wrong, mistake) => {
    expect(text).toContain(right);
    const bad = composeShape.parse(parse(text.replace(right, wrong), { merge: true }));
    expect(conventionMistakes(bad)).toContain(mistake);
  });

  test("Redis is reached by ingest and the agent only, on a network that leads nowhere", () => {
    const data = services.filter(({ networks }) => networks.includes("data")).map(({ name }) => name);
    expect(data.toSorted()).toEqual(["agent", "ingest", "redis"]);
    expect(compose.services["redis"]?.networks).toEqual(["data"]);
    expect(compose.networks["data"]).toEqual({ internal: true });
  });

  test("what is mounted exists (or is made by the commands at the top) and is read-only, or is a volume that is declared", () => {
    const mounts = services.flatMap(({ volumes }) => volumes ?? []);
    const isThere = (source: string): boolean =>
      existsSync(path.join(ROOT, source)) ||
      read("docker-compose.yml").includes(`mkdir ${source.slice(2)}\n`);
    const isRight = (mount: string): boolean => {
      const [source = "", target = "", mode] = mount.split(":");
      if (!target.startsWith("/")) return false;
      return source.startsWith("./") ? mode === "ro" && isThere(source) : source in compose.volumes;
    };
    expect(mounts.length).toBeGreaterThan(8);
    expect(mounts.filter((mount) => !isRight(mount))).toEqual([]);
    const bad = ["./alerting:/etc/x", "./nowhere:/etc/x:ro", "no-volume:/data", "redis-data:data"];
    expect(bad.filter((mount) => isRight(mount))).toEqual([]);
  });
});

describe.each(["ingest", "agent"])("%s and its configuration", (name) => {
  const service = compose.services[name]!;
  // The same names that the compose file hands on, with secrets in files of the test.
  const env = Object.fromEntries(
    Object.entries(service.environment ?? {}).map(([variable, value]) => [
      variable,
      String(value).startsWith("/run/secrets/")
        ? secretFile(String(value))
        : /^\$\{\w+:-(.*)\}$/.exec(String(value))?.[1],
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
    const result = loadSettings({ file, env: { ...env, LASTGOOD_OPERATOR_TOKEN_FILE: "" } });
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

test("Prometheus finds a file of targets for each job, and nobody logs in to Grafana unnamed", () => {
  const { scrape_configs } = parse(read("alerting/prometheus.yml")) as {
    scrape_configs: { job_name: string; file_sd_configs: { files: string[] }[] }[];
  };
  const targets = scrape_configs.map(({ job_name: job, file_sd_configs }) => {
    const [file] = file_sd_configs[0]!.files;
    return [job, (JSON.parse(read(`docker/${file}`)) as { targets: string[] }[])[0]?.targets];
  });
  expect(targets).toEqual([
    ["lastgood-ingest", ["ingest:8081"]],
    ["lastgood-agent", ["agent:8082"]],
    ["prometheus", ["localhost:9090"]],
    ["alertmanager", ["alertmanager:9093"]],
  ]);
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
    const own = bases.filter((base) => /^FROM lastgood( AS demo)?$/.test(base));
    const foreign = bases.filter((base) => !own.includes(base));
    expect([own.length, foreign.length]).toEqual([2, 3]);
    for (const base of foreign) expect(base).toMatch(/^FROM node:24\.\d+\.\d+-\w+-slim AS \w+$/);
    expect(bases.at(-1)).toBe("FROM lastgood");
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
