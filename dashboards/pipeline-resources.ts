// The lower half of the pipeline dashboard: Redis, the processes, and what the metrics themselves cost. Enters: nothing.
// Leaves: sections of panels.
import { COLOURS } from "./colours.ts";
import type { Line, Section } from "./layout.ts";
import { REDIS_PING_SECONDS } from "./limits.ts";
import { UNITS, coloured, dashed, graph } from "./panels.ts";
import { across, agreed, agreedRate, ofProcesses, select } from "./queries.ts";

const NOT_READ = "no agent answers";
const NO_PROCESS = "no process answers";
const NAMES_PROCESS = "{{process}} {{instance}}";
/** Seconds that a process may be deaf for before requests and heartbeats suffer. */
const EVENT_LOOP_SECONDS_BAD = 0.1;
/** Of one core: Node's own code runs on one. */
const CPU_FULL = 1;

export function resources(): Section[] {
  return [
    { title: "Resources: Redis", lines: [redis()] },
    { title: "Resources: processes", lines: [processes(), openEnds()] },
  ];
}

function redis(): Line {
  const by = ["server"] as const;
  return {
    height: 8,
    panels: [
      graph({
        title: "Redis: memory",
        question:
          "How much of its memory is used? Good is well below the dashed limit: at it Redis refuses to write, and reports are turned away.",
        width: 6,
        unit: UNITS.bytes,
        noData: NOT_READ,
        queries: [
          { expr: agreed("ota_redis_memory_bytes", { by }), legend: "{{server}}" },
          { expr: agreed("ota_redis_memory_max_bytes", { by }), legend: "limit of {{server}}" },
        ],
        overrides: [dashed("/^limit/", COLOURS.limit)],
      }),
      graph({
        title: "Redis: commands",
        question:
          "How busy is it? Good is the usual rate; a jump without more reports is somebody else, or a loop.",
        width: 6,
        unit: UNITS.perSecond,
        noData: NOT_READ,
        queries: [{ expr: agreedRate("ota_redis_commands_total", { by }), legend: "{{server}}" }],
      }),
      graph({
        title: "Redis: time to answer",
        question: "Is it slow to answer? Good is a millisecond; above the line it is overloaded or far away.",
        width: 6,
        unit: UNITS.seconds,
        noData: NOT_READ,
        queries: [{ expr: agreed("ota_redis_ping_seconds", { by }), legend: "{{server}}" }],
        limit: [REDIS_PING_SECONDS.warning, COLOURS.warning],
      }),
      graph({
        title: "Redis: connections and disk",
        question:
          "Does it write to disk what it acknowledged (1), and how many connections has it? Good is 1, and a steady number.",
        width: 6,
        unit: UNITS.count,
        noData: NOT_READ,
        queries: [
          { expr: agreed("ota_redis_persistence_ok", { by }), legend: "{{server}}: written to disk" },
          { expr: agreed("ota_redis_clients", { by }), legend: "{{server}}: connections" },
        ],
        overrides: [coloured("/disk$/", COLOURS.good)],
      }),
    ],
  };
}

function processes(): Line {
  return {
    height: 8,
    panels: [
      graph({
        title: "Processor",
        question:
          "How much of a core does each process use? Good is below 100%: Node's own code runs on one core.",
        width: 6,
        unit: UNITS.ratio,
        noData: NO_PROCESS,
        queries: [{ expr: ofProcesses("process_cpu_seconds_total"), legend: NAMES_PROCESS }],
        limit: [CPU_FULL, COLOURS.warning],
      }),
      graph({
        title: "Event loop",
        question:
          "How long is a process deaf (99 of 100 times less)? Good is under 0.1 s; above it requests and heartbeats suffer.",
        width: 6,
        unit: UNITS.seconds,
        noData: NO_PROCESS,
        queries: [{ expr: ofProcesses("nodejs_eventloop_lag_p99_seconds"), legend: NAMES_PROCESS }],
        limit: [EVENT_LOOP_SECONDS_BAD, COLOURS.bad],
      }),
      graph({
        title: "Memory",
        question: "How much memory does each process take? Good is a line that does not climb day after day.",
        width: 6,
        unit: UNITS.bytes,
        noData: NO_PROCESS,
        queries: [{ expr: ofProcesses("process_resident_memory_bytes"), legend: NAMES_PROCESS }],
      }),
      graph({
        title: "Heap",
        question:
          "Is it Node's heap that grows? Good is a saw-tooth with a level floor; otherwise something is kept.",
        width: 6,
        unit: UNITS.bytes,
        noData: NO_PROCESS,
        queries: [{ expr: ofProcesses("nodejs_heap_size_used_bytes"), legend: NAMES_PROCESS }],
      }),
    ],
  };
}

function openEnds(): Line {
  return {
    height: 7,
    panels: [
      graph({
        title: "Requests in flight",
        question: "How many requests does ingest handle at once? Good is few; many mean that Redis is slow.",
        width: 6,
        unit: UNITS.count,
        noData: "ingest answers no scrape",
        queries: [{ expr: across("sum", "ota_ingest_requests_in_flight"), legend: "in flight" }],
      }),
      graph({
        title: "Open files and connections",
        question: "Does a process keep connections open? Good is a steady number.",
        width: 6,
        unit: UNITS.count,
        noData: NO_PROCESS,
        queries: [{ expr: ofProcesses("process_open_fds"), legend: NAMES_PROCESS }],
      }),
      graph({
        title: "Versions shown together",
        question:
          "How many old versions stand together as other, because a channel has more than are shown? Good is any number: it bounds what Prometheus keeps.",
        width: 6,
        unit: UNITS.count,
        noData: "no agent answers, or nothing was judged yet",
        queries: [
          {
            expr: agreed("ota_versions_folded", { by: ["app", "channel"], where: { app: '=~"$app"' } }),
            legend: "{{app}} {{channel}}",
          },
        ],
      }),
      graph({
        title: "Versions of Lastgood",
        question:
          "Does every process run the same version of Lastgood? Good is one version, except while you update.",
        width: 6,
        unit: UNITS.count,
        noData: NO_PROCESS,
        form: "stacked",
        queries: [
          {
            expr: `count by (process, version) (${select("ota_build_info")})`,
            legend: "{{process}} {{version}}",
          },
        ],
      }),
    ],
  };
}
