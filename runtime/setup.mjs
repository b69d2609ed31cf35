// Runs before `npm start`, `npm run demo` and `npm test`: brings packages, the build and redis-server (for tests also
// Prometheus, Alertmanager, Chromium, wrk and redis-benchmark) up to date, and says nothing when they are. Plain JavaScript without packages, because it is what installs them.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

const NODE_LEAST = [20, 19];
const REDIS_MAJOR_LEAST = 7;
const ROOT = path.resolve(import.meta.dirname ?? ".", "..");
/** Folders that the compiler reads (see tsconfig.json). */
const SOURCE_FOLDERS = ["agent", "ingest", "runtime", "dashboards", "alerting", "test"];
/** Written when everything of a step went well, with what it was done for. */
const LOCK_STAMP = path.join(ROOT, "node_modules", ".lastgood-lock");
const BUILD_STAMP = path.join(ROOT, "dist", ".lastgood-build");

function main() {
  checkNode();
  process.chdir(ROOT);
  installPackages();
  build();
  const withTests = process.argv.includes("--with-tests");
  if (!configNamesRedis() || withTests) provideRedis();
  if (withTests) providePrometheus();
  if (withTests) provideAlertmanager();
  if (withTests) provideChromium();
  if (withTests) provideLoadMakers();
}

function say(text) {
  process.stdout.write(`setup: ${text}\n`);
}

function fail(text) {
  process.stderr.write(`setup: ${text}\n`);
  process.exit(1);
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > NODE_LEAST[0] || (major === NODE_LEAST[0] && minor >= NODE_LEAST[1])) return;
  fail(
    `Node ${process.versions.node} is too old: install Node ${NODE_LEAST.join(".")} or newer (https://nodejs.org)`,
  );
}

/** Runs a program with its output on the terminal; false when it failed or is not there. */
function run(command, args, env = {}) {
  const result = spawnSync(command, args, { stdio: "inherit", env: { ...process.env, ...env } });
  return result.status === 0;
}

// ---- packages

function installPackages() {
  const lock = readFileSync("package-lock.json");
  const wanted = createHash("sha256").update(lock).digest("hex");
  if (readIfThere(LOCK_STAMP) === wanted) return;
  if (!installedAsLocked(JSON.parse(lock))) {
    say("installing packages (npm ci) …");
    if (!run(npmCommand(), ["ci", "--include=dev", "--no-audit", "--no-fund"]))
      fail("npm ci failed: its message above says why; a proxy or registry can be set with npm config");
  }
  writeFileSync(LOCK_STAMP, wanted);
}

function npmCommand() {
  return process.platform === "win32" ? "npm.cmd" : "npm";
}

/** npm writes what it installed to node_modules/.package-lock.json: somebody may have run npm ci already. */
function installedAsLocked(lock) {
  const text = readIfThere(path.join("node_modules", ".package-lock.json"));
  if (text === undefined) return false;
  const installed = JSON.parse(text).packages;
  return Object.entries(lock.packages).every(
    ([name, entry]) => name === "" || entry.optional || installed[name]?.version === entry.version,
  );
}

function readIfThere(file) {
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

// ---- build

function build() {
  const sources = SOURCE_FOLDERS.flatMap(filesUnder).toSorted(byName);
  const outputs = sources.filter((file) => !file.endsWith(".d.ts")).map(outputOf);
  const fingerprint = fingerprintOf([...sources, "tsconfig.json", "package.json", LOCK_STAMP]);
  const isWhole = outputs.every((file) => existsSync(file));
  if (isWhole && readIfThere(BUILD_STAMP) === fingerprint) return;
  say("building …");
  const startedAtMs = Date.now();
  rmSync(BUILD_STAMP, { force: true });
  // The compiler's own record says that it wrote these files; where they are gone it must not believe it.
  if (!isWhole) rmSync(path.join("dist", ".tsbuildinfo"), { force: true });
  removeStaleOutputs(new Set(outputs));
  if (!run(process.execPath, [path.join("node_modules", "typescript", "bin", "tsc"), "-p", "."]))
    fail("the build failed: the compiler's messages above say where");
  copyBesideCode(sources.filter((file) => !file.endsWith(".ts")));
  writeFileSync(BUILD_STAMP, fingerprint);
  say(`built in ${((Date.now() - startedAtMs) / 1_000).toFixed(1)} s`);
}

/** Source files: code, and what stands beside it as it is: Lua scripts, the page. */
function filesUnder(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return filesUnder(file);
    return /\.(ts|lua|html|css|js)$/.test(entry.name) ? [file] : [];
  });
}

function byName(left, right) {
  return left < right ? -1 : 1;
}

function outputOf(file) {
  return path.join("dist", file.replace(/\.ts$/, ".js"));
}

function fingerprintOf(files) {
  const hash = createHash("sha256").update(process.version);
  for (const file of files) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${path.relative(ROOT, path.resolve(file))} ${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex");
}

/** What was built from a file that is gone must not run, nor be found by a test runner. */
function removeStaleOutputs(outputs) {
  const built = SOURCE_FOLDERS.flatMap((folder) => builtUnder(path.join("dist", folder)));
  for (const file of built)
    if (!outputs.has(file)) for (const part of [file, `${file}.map`]) rmSync(part, { force: true });
}

function builtUnder(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return builtUnder(file);
    return /\.(js|html|css)$/.test(entry.name) ? [file] : [];
  });
}

function copyBesideCode(files) {
  for (const file of files) {
    const target = path.join("dist", file);
    mkdirSync(path.dirname(target), { recursive: true });
    copyFileSync(file, target);
  }
}

// ---- redis-server, Prometheus, Alertmanager, Chromium, wrk, redis-benchmark

/** Whether the configuration that start will take names a Redis of the user's own: then none is needed here. */
function configNamesRedis() {
  const file = process.env.LASTGOOD_CONFIG || "lastgood.yaml";
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  return (
    /^redis:\s*\{[^}#]*\burl:/m.test(text) || /^redis:[ \t]*(#.*)?\r?\n(\s*(#.*)?\r?\n)*\s+url:/m.test(text)
  );
}

function provideRedis() {
  if (redisMajor() === undefined) installRedis();
  const major = redisMajor();
  if (major === undefined)
    fail(`redis-server was installed but is not on the PATH; open a new terminal and try again`);
  if (major < REDIS_MAJOR_LEAST)
    fail(
      `redis-server ${major} is too old, ${REDIS_MAJOR_LEAST} or newer is needed: https://redis.io/docs/latest/operate/oss_and_stack/install/ ` +
        "has newer packages; or name a Redis of your own as redis.url in lastgood.yaml",
    );
}

function redisMajor() {
  const result = spawnSync("redis-server", ["--version"], { encoding: "utf8" });
  const match = /v=(\d+)/.exec(result.stdout ?? "");
  return match === null ? undefined : Number(match[1]);
}

function isOnPath(command) {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).error === undefined;
}

function installRedis() {
  install({
    program: "redis-server",
    packages: { apt: "redis-server", dnf: "redis", brew: "redis" },
    byHand: "install Redis 7 or newer (https://redis.io/docs/latest/operate/oss_and_stack/install/)",
    instead: ", or name a Redis of your own as redis.url in lastgood.yaml, or run docker compose up",
  });
}

/** Tests run every rule and every query of the dashboards in a real one. */
function providePrometheus() {
  if (isOnPath("prometheus") && isOnPath("promtool")) return;
  install({
    program: "prometheus with promtool, which tests need,",
    packages: { apt: "prometheus", dnf: undefined, brew: "prometheus" },
    byHand: "put prometheus and promtool (https://prometheus.io/download/) on the PATH; npm start needs none",
    instead: "",
  });
}

/** Tests send pages to a real one. */
function provideAlertmanager() {
  if ((isOnPath("prometheus-alertmanager") || isOnPath("alertmanager")) && isOnPath("amtool")) return;
  install({
    program: "prometheus-alertmanager, which tests need,",
    packages: { apt: "prometheus-alertmanager", dnf: undefined, brew: undefined },
    byHand:
      "put alertmanager (https://prometheus.io/download/#alertmanager) on the PATH; npm start needs none",
    instead: "",
  });
}

/** Tests look at the page in a real browser. */
function provideChromium() {
  if (process.env.LASTGOOD_CHROMIUM !== undefined) return;
  if (["chromium", "chromium-browser", "google-chrome"].some(isOnPath)) return;
  install({
    program: "chromium, which tests need,",
    packages: { apt: "chromium", dnf: "chromium", brew: undefined },
    byHand: "install Chromium, or name one in LASTGOOD_CHROMIUM; npm start needs none",
    instead: "",
  });
}

/** `npm run bench`, and its test, put load on ingest with one and on Redis alone with the other. */
function provideLoadMakers() {
  if (!isOnPath("wrk"))
    install({
      program: "wrk, which tests need,",
      packages: { apt: "wrk", dnf: undefined, brew: "wrk" },
      byHand: "build wrk (https://github.com/wg/wrk) and put it on the PATH; npm start needs none",
      instead: "",
    });
  if (!isOnPath("redis-benchmark"))
    install({
      program: "redis-benchmark, which tests need,",
      packages: { apt: "redis-tools", dnf: "redis", brew: "redis" },
      byHand: "put redis-benchmark (it comes with Redis) on the PATH; npm start needs none",
      instead: "",
    });
}

/** `packages`: what it is called by each tool; undefined = that tool does not have it. */
function install({ program, packages, byHand, instead }) {
  const ways = waysToInstall(packages);
  const way = ways.find(({ tool }) => isOnPath(tool));
  if (way === undefined) {
    const tools = ways.map(({ tool }) => tool).join(" or ") || "package for it";
    fail(`${program} was not found, and this system has no ${tools}: ${byHand}${instead}`);
  }
  const prefix = way.needsRoot ? rootPrefix() : [];
  const shown = way.steps.map((step) => [...(way.needsRoot ? ["sudo"] : []), ...step].join(" ")).join(" && ");
  if (prefix === undefined)
    fail(`${program} was not found, and installing it needs a password: run  ${shown}  ${instead}`);
  say(`installing ${way.steps.at(-1).at(-1)} with ${way.tool} …`);
  for (const step of way.steps) {
    const [command, ...args] = [...prefix, ...step];
    if (!run(command, args, { DEBIAN_FRONTEND: "noninteractive" }))
      fail(`installing ${program} failed: ${byHand}${instead}`);
  }
}

function waysToInstall({ apt, dnf, brew }) {
  const ways = [];
  if (process.platform === "darwin" && brew !== undefined)
    ways.push({ tool: "brew", needsRoot: false, steps: [["brew", "install", brew]] });
  if (process.platform !== "linux") return ways;
  if (apt !== undefined) {
    const steps = [
      ["apt-get", "update", "-q"],
      ["apt-get", "install", "-y", "-q", "--no-install-recommends", apt],
    ];
    ways.push({ tool: "apt-get", needsRoot: true, steps });
  }
  if (dnf !== undefined) ways.push({ tool: "dnf", needsRoot: true, steps: [["dnf", "install", "-y", dnf]] });
  return ways;
}

/** How to become root without a question: already root, or sudo without a password; undefined = neither. */
function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  const sudo = spawnSync("sudo", ["-n", "true"], { stdio: "ignore" });
  return sudo.status === 0 ? ["sudo", "-n"] : undefined;
}

main();
