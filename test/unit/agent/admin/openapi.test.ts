// The OpenAPI document: it describes exactly the routes that the program has, and is what OpenAPI 3.1 asks for.
import express from "express";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAdminApp } from "../../../../agent/admin/app.ts";
import type { AdminDeps } from "../../../../agent/admin/app.ts";
import { openApiDocument } from "../../../../agent/admin/openapi/document.ts";
import { errorsOf } from "../../../../agent/admin/openapi/documented-route.ts";
import { DOCUMENTED_ROUTES } from "../../../../agent/admin/openapi/documented-routes.ts";
import { ADMIN_PROBLEMS } from "../../../../agent/admin/problems.ts";
import { createLogger } from "../../../../runtime/logger.ts";
import { createRegistry } from "../../../../runtime/metrics.ts";

/** Beginnings of paths that are no part of the API: what people look at in a browser. */
const PAGES: readonly RegExp[] = [/^\/queues\b/, /^\/$/];

interface Layer {
  readonly route?: { readonly path: string | readonly string[]; readonly methods: Record<string, boolean> };
  readonly handle: { readonly stack?: readonly Layer[] };
}

/** Express keeps no path of what a router is mounted at: it is noted here when that happens. */
const mounts = new Map<unknown, string>();
const prototype = express.Router.prototype as unknown as { use: (...args: unknown[]) => unknown };
const { use } = prototype;

beforeAll(() => {
  prototype.use = function noted(this: unknown, ...args: unknown[]) {
    const path = typeof args[0] === "string" && args[0] !== "/" ? args[0] : "";
    for (const handler of args.flat()) if (typeof handler === "function") mounts.set(handler, path);
    return use.apply(this, args);
  };
});
afterAll(() => void (prototype.use = use));

/** `get /v1/decisions/{id}`, of all that is mounted. */
function routesOf(stack: readonly Layer[], prefix = ""): string[] {
  return stack.flatMap(({ route, handle }) => {
    if (route === undefined)
      return handle.stack === undefined ? [] : routesOf(handle.stack, prefix + (mounts.get(handle) ?? ""));
    const methods = Object.keys(route.methods).filter((method) => method !== "_all" && method !== "head");
    return [route.path]
      .flat()
      .flatMap((path) => methods.map((method) => `${method} ${pathOf(`${prefix}${path}`)}`));
  });
}

function pathOf(path: string): string {
  const whole = path.length > 1 ? path.replace(/\/$/, "") : path;
  return whole.replaceAll(/:(\w+)/g, "{$1}");
}

function startedApp() {
  const nothing = new Proxy({}, { get: () => () => Promise.resolve() });
  const deps: Partial<Record<keyof AdminDeps, unknown>> = {
    registry: createRegistry({ process: "test", version: "0.0.0" }),
    checks: {},
    operators: () => [],
    trustedProxies: [],
    channels: { all: [], find: () => undefined },
    queues: { all: {} },
    shardCount: 1,
    clock: () => 0,
    logger: createLogger({ name: "test", level: "silent" }),
  };
  return createAdminApp(
    new Proxy(deps, {
      get: (known, key) => known[key as keyof AdminDeps] ?? nothing,
    }) as unknown as AdminDeps,
  );
}

describe("the table of routes", () => {
  test("it has every route of the program, and no other", () => {
    const { stack } = startedApp().router as unknown as { stack: readonly Layer[] };
    const found = routesOf(stack).filter((route) => !PAGES.some((page) => page.test(route.split(" ")[1]!)));
    expect(found.length).toBeGreaterThan(12);
    const documented = DOCUMENTED_ROUTES.map(({ method, path }) => `${method} ${path}`);
    expect(documented.toSorted()).toEqual([...new Set(found)].toSorted());
  });

  test.each(DOCUMENTED_ROUTES.map((route) => [`${route.method} ${route.path}`, route] as const))(
    "%s: its codes exist, and its parameters are described",
    (_name, route) => {
      for (const code of errorsOf(route)) expect(Object.keys(ADMIN_PROBLEMS)).toContain(code);
      const inPath = Array.from(route.path.matchAll(/\{(\w+)\}/g), ([, name]) => name);
      expect(Object.keys(route.parameters ?? {})).toEqual(inPath);
      expect(Object.keys(route.answers).length).toBeGreaterThan(0);
    },
  );

  test("every code of the API is one that some route may answer", () => {
    const told = new Set(DOCUMENTED_ROUTES.flatMap(errorsOf));
    expect(
      Object.keys(ADMIN_PROBLEMS).filter((code) => !told.has(code as keyof typeof ADMIN_PROBLEMS)),
    ).toEqual([]);
  });
});

describe("the document", () => {
  const document = openApiDocument(DOCUMENTED_ROUTES, "1.2.3") as {
    openapi: string;
    info: { version: string };
    paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>;
    components: { schemas: Record<string, unknown> };
  };
  const text = JSON.stringify(document);

  test("it is OpenAPI 3.1 of this version, with an operation for each route", () => {
    expect([document.openapi, document.info.version]).toEqual(["3.1.1", "1.2.3"]);
    for (const { method, path } of DOCUMENTED_ROUTES)
      expect(Object.keys(document.paths[path]![method]!.responses).length).toBeGreaterThan(0);
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(["getDecisionsById", "postDeadLettersRedrive"]));
  });

  test("every reference leads to a component, and every component is used", () => {
    const references = new Set(Array.from(text.matchAll(/"\$ref":"([^"]+)"/g), ([, one]) => one!));
    const components = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
    expect([...references].filter((one) => !components.includes(one))).toEqual([]);
    expect(components.filter((one) => !references.has(one))).toEqual([]);
    expect(components.length).toBeGreaterThan(15);
  });

  test("answers are open, because fields are added; bodies are closed", () => {
    const { Decision, SignIn } = document.components.schemas;
    expect(JSON.stringify(Decision)).not.toContain("additionalProperties");
    expect(SignIn).toMatchObject({ additionalProperties: false });
    expect(text).not.toContain("$defs");
  });
});
