// Stands in for Grafana, which cannot be had where the tests run. It reads what `lastgood start` gives it as Grafana does:
// the environment, one folder for each kind of provisioning, $NAME and ${NAME} in their values, dashboards in the folder
// that a provider names. A mistake there ends it, as it keeps Grafana from starting. Enters: environment. Leaves:
// /api/health, and what it has read at /seen.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { parse } from "yaml";

function refuse(text) {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

function variable(name) {
  return process.env[name] ?? "";
}

/** An unset variable is empty text, as in Grafana. */
function expand(value) {
  if (typeof value === "string")
    return value.replaceAll(/\$\{(\w+)\}|\$(\w+)/g, (_, braced, bare) => variable(braced ?? bare));
  if (Array.isArray(value)) return value.map(expand);
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, expand(inner)]));
  return value;
}

function provisioned(kind) {
  const folder = path.join(variable("GF_PATHS_PROVISIONING"), kind);
  if (!existsSync(folder)) refuse(`can't read provisioning files: ${folder}`);
  const files = readdirSync(folder).filter((file) => /\.ya?ml$/.test(file));
  return files.map((file) => expand(parse(readFileSync(path.join(folder, file), "utf8"))));
}

if (process.argv[2] !== "server") refuse(`unknown command ${process.argv[2]}`);
const datasources = provisioned("datasources").flatMap((file) => file.datasources ?? []);
for (const { name, url } of datasources) if (!URL.canParse(url)) refuse(`${name}: ${url} is no URL`);
const providers = provisioned("dashboards").flatMap((file) => file.providers ?? []);
for (const kind of ["plugins", "alerting"]) provisioned(kind);
const dashboards = providers.flatMap(({ options }) => {
  if (!existsSync(options.path)) refuse(`dashboards: ${options.path} is not there`);
  const files = readdirSync(options.path).filter((file) => file.endsWith(".json"));
  return files.map((file) => JSON.parse(readFileSync(path.join(options.path, file), "utf8")).uid);
});
const settings = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith("GF_")));

const server = createServer((request, response) => {
  const answer = request.url === "/api/health" ? { database: "ok" } : { datasources, dashboards, settings };
  response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
});
server.on("error", (error) => refuse(error.message));
server.listen(Number(variable("GF_SERVER_HTTP_PORT")), variable("GF_SERVER_HTTP_ADDR"));
process.on("SIGTERM", () => process.exit(0));
