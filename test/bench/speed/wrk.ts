// wrk as the client of the benches: a load from its own process, written in Lua. Enters: where to, how long, how many
// reports a request, and a rate if it is to be paced. Leaves: how many requests were answered, and how quickly.
import { spawn } from "node:child_process";
import { APP, INGEST_KEY } from "./stack.ts";
import type { BenchFolder } from "./stack.ts";

export interface Load {
  readonly url: string;
  readonly seconds: number;
  readonly connections: number;
  readonly reportsPerRequest: number;
  /** Devices of the fleet; when all have spoken, each says what happens to it next. */
  readonly devices?: number;
  /** Releases that the fleet is spread over. */
  readonly releases?: number;
  readonly channel?: string;
  /** Requests a second; as many as are answered without it. */
  readonly requestsPerSecond?: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Answers of 400 and above, and requests without an answer. */
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What a device says in its life with one version, in this order. */
const LIFE = ["update_started", "installed", "confirmed", "active"] as const;

/** Throws when wrk is not there, with what to do. */
export async function runLoad(folder: BenchFolder, load: Load): Promise<LoadResult> {
  const script = folder.write("load.lua", luaOf(load));
  const seconds = Math.max(1, Math.round(load.seconds));
  const args = ["-t1", `-c${load.connections}`, `-d${seconds}s`, "--timeout", "10s", "-s", script, load.url];
  const said = await outputOf("wrk", args);
  const line = said.split("\n").find((text) => text.startsWith("{"));
  if (line === undefined) throw new Error(`wrk did not say what it measured:\n${said}`);
  const found = JSON.parse(line) as Record<"requests" | "us" | "failed" | "p50" | "p99", number>;
  return {
    requests: found.requests,
    requestsPerSecond: found.requests / (found.us / 1e6),
    failed: found.failed,
    p50Ms: found.p50 / 1_000,
    p99Ms: found.p99 / 1_000,
  };
}

/** stdout of a program; throws, with what it said, when it fails or is not there. */
export function outputOf(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => void (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => void (stderr += text));
    child.once("error", () =>
      reject(new Error(`${program} is missing: install it (Debian, Ubuntu: apt-get install ${program})`)),
    );
    child.once("close", (code) => {
      if (code === 0) resolve(stdout);
      else reject(new Error(`${program} ended with ${code}: ${stderr}`));
    });
  });
}

/** Makes each body as it is sent, so that no report comes twice; pacing is by the clock, not by answers. */
function luaOf(load: Load): string {
  const { reportsPerRequest, devices = 100_000, releases = 1, channel = "production" } = load;
  return `
local ffi = require("ffi")
ffi.cdef[[ typedef struct { long s; long ns; } lg_time; int clock_gettime(int clock, lg_time *time); ]]
local time = ffi.new("lg_time")
local function now_ms()
  ffi.C.clock_gettime(1, time)
  return tonumber(time.s) * 1000 + tonumber(time.ns) / 1e6
end
local life = { ${LIFE.map((event) => `"${event}"`).join(", ")} }
local told = 0
local function report()
  local device = told % ${devices}
  local round = math.floor(told / ${devices})
  told = told + 1
  local version = math.floor(round / #life) * ${releases} + device % ${releases}
  return '{"app":"${APP}","channel":"${channel}","device":"device-' .. device .. '","version":"1.' .. version ..
    '.0","event":"' .. life[round % #life + 1] .. '","platform":"ios"}'
end
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer ${INGEST_KEY}"
function request()
  if ${reportsPerRequest} == 1 then return wrk.format(nil, nil, nil, report()) end
  local parts = {}
  for index = 1, ${reportsPerRequest} do parts[index] = report() end
  return wrk.format(nil, nil, nil, "[" .. table.concat(parts, ",") .. "]")
end
${paceOf(load.requestsPerSecond)}
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"us":%d,"failed":%d,"p50":%d,"p99":%d}\\n', summary.requests,
    summary.duration, errors.status + errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
`;
}

function paceOf(requestsPerSecond: number | undefined): string {
  if (requestsPerSecond === undefined) return "";
  return `
local next_ms = nil
function delay()
  local now = now_ms()
  if next_ms == nil then next_ms = now end
  next_ms = next_ms + ${1_000 / requestsPerSecond}
  return math.max(0, math.floor(next_ms - now + 0.5))
end
`;
}
