// Reads the sources for the architecture test. Enters: a path and its text. Leaves: facts that rules ask
// about (what it imports, what it touches of the outer world), taken from the syntax tree, not from text.
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { parseSync, visitorKeys } from "oxc-parser";

export const ROOT = path.resolve(import.meta.dirname, "../..");
/** The rooms: every folder of the top level that holds sources. */
export const ROOMS = ["agent", "ingest", "runtime", "dashboards", "alerting", "test"] as const;
export type Room = (typeof ROOMS)[number];

export interface SourceFile {
  /** From the repository's top, with slashes. */
  readonly path: string;
  readonly lines: number;
  /** Whether its first line, after a `#!`, is a comment. */
  readonly startsWithComment: boolean;
  /** What it imports or re-exports: paths from the repository's top for relative ones, else as written. */
  readonly imports: readonly string[];
  readonly hasDefaultExport: boolean;
  /** `Date.now`, `new Date()`, `Math.random`, `process.env`, `fetch`, …: globals as they are used. */
  readonly globals: readonly string[];
}

export function readSources(): SourceFile[] {
  return ROOMS.flatMap((room) => filesUnder(room)).map((file) =>
    parseSource(file, readFileSync(path.join(ROOT, file), "utf8")),
  );
}

function filesUnder(folder: string): string[] {
  const entries = readdirSync(path.join(ROOT, folder), { withFileTypes: true });
  return entries.flatMap((entry) => {
    const file = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : filesUnder(file);
    return /\.(ts|mjs|js|lua)$/.test(entry.name) ? [file] : [];
  });
}

export function parseSource(file: string, text: string): SourceFile {
  const lines = text.trimEnd().split("\n");
  const firstLine = lines[0]?.startsWith("#!") === true ? lines[1] : lines[0];
  const base = {
    path: file,
    lines: lines.length,
    startsWithComment: /^(\/\/|\/\*|--)/.test(firstLine ?? ""),
  };
  if (file.endsWith(".lua")) return { ...base, imports: [], hasDefaultExport: false, globals: [] };
  const { program, module, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file} could not be parsed: ${errors[0]!.message}`);
  const exported = module.staticExports.flatMap(({ entries }) => entries);
  const dynamic = module.dynamicImports.map(({ moduleRequest: { start, end } }) =>
    text.slice(start + 1, end - 1),
  );
  const specifiers = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...exported.flatMap(({ moduleRequest }) => (moduleRequest === null ? [] : [moduleRequest.value])),
    ...dynamic,
  ];
  return {
    ...base,
    imports: [...new Set(specifiers)].map((specifier) => resolveImport(file, specifier)),
    hasDefaultExport:
      program.body.some(({ type }) => type === "ExportDefaultDeclaration") ||
      exported.some(({ exportName }) => exportName.name === "default"),
    globals: [...new Set(globalsOf(program as unknown as Node))],
  };
}

function resolveImport(from: string, specifier: string): string {
  return specifier.startsWith(".") ? path.posix.join(path.posix.dirname(from), specifier) : specifier;
}

interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

const WATCHED = new Set([
  "Date",
  "Math",
  "process",
  "fetch",
  "crypto",
  "performance",
  "globalThis",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "console",
]);
/** Nodes whose named children are names of properties or types, not uses of a global. */
const NAME_KEYS: Readonly<Record<string, readonly string[]>> = {
  MemberExpression: ["property"],
  Property: ["key"],
  PropertyDefinition: ["key"],
  MethodDefinition: ["key"],
  TSPropertySignature: ["key"],
  TSMethodSignature: ["key"],
  TSQualifiedName: ["right"],
  TSTypeReference: ["typeName"],
  TSTypeQuery: ["exprName"],
  ImportSpecifier: ["imported", "local"],
};

function* globalsOf(node: Node): Generator<string> {
  const found = useOf(node);
  if (found !== undefined) {
    yield found;
    yield* childrenOf(node, ["object", "callee", "init"]).flatMap((child) => [...globalsOf(child)]);
    return;
  }
  const isComputed = node["computed"] === true;
  const names = isComputed ? [] : (NAME_KEYS[node.type] ?? []);
  for (const child of childrenOf(node, names)) yield* globalsOf(child);
}

/** `process.env`, `process[…]`, `new Date()`, `new Date(…)`, `const { env } = process`, or a bare name. */
function useOf(node: Node): string | undefined {
  switch (node.type) {
    case "MemberExpression": {
      const object = watchedName(node["object"]);
      return object === undefined ? undefined : `${object}.${propertyName(node)}`;
    }
    case "NewExpression": {
      const callee = watchedName(node["callee"]);
      if (callee === undefined) return undefined;
      return (node["arguments"] as unknown[]).length === 0 ? `new ${callee}()` : `new ${callee}(…)`;
    }
    case "VariableDeclarator": {
      const source = watchedName(node["init"]);
      const pattern = node["id"] as Node;
      if (source === undefined || pattern.type !== "ObjectPattern") return undefined;
      const keys = (pattern["properties"] as Node[]).map(
        (part) => (part["key"] as Node | undefined)?.["name"],
      );
      return `${source}.${keys.map(String).join(`, ${source}.`)}`;
    }
    default:
      return watchedName(node);
  }
}

function watchedName(value: unknown): string | undefined {
  const node = value as Node | null | undefined;
  if (node?.type !== "Identifier") return undefined;
  const name = String(node["name"]);
  return WATCHED.has(name) ? name : undefined;
}

function propertyName(node: Node): string {
  const property = node["property"] as Node;
  if (node["computed"] !== true) return String(property["name"]);
  return property.type === "Literal" ? String(property["value"]) : "[…]";
}

function childrenOf(node: Node, except: readonly string[]): Node[] {
  return (visitorKeys[node.type] ?? [])
    .filter((key) => !except.includes(key))
    .flatMap((key) => node[key] as Node | readonly Node[] | null | undefined)
    .filter((child): child is Node => child !== null && child !== undefined);
}
