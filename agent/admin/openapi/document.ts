// The OpenAPI 3.1 document of the operator API. Enters: the documented routes and the product's version. Leaves: plain JSON;
// what several routes share stands once under components.
import { z } from "zod";
import type { ProblemKind } from "../../../runtime/problem.ts";
import { SESSION_COOKIE } from "../session-cookie.ts";
import { ADMIN_PROBLEMS } from "../problems.ts";
import { problemSchema } from "./answer-parts.ts";
import { ROUTE_GROUPS, errorsOf } from "./documented-route.ts";
import type { Answer, DocumentedRoute } from "./documented-route.ts";

type Json = Record<string, unknown>;
/** Named schemas, by name. */
type Components = Map<string, Json>;

const DESCRIPTION =
  "What the agent of Lastgood shows, and what people do with it. Names and codes stay; fields are added. Every " +
  "error is problem+json with a stable `code` (docs/errors.md). `/queues` is no part of it: BullMQ's queues, to " +
  "look at in a browser, for admins.";

export function openApiDocument(routes: readonly DocumentedRoute[], version: string): Json {
  const components: Components = new Map();
  const paths: Record<string, Json> = {};
  toSchema(problemSchema, "output", components);
  for (const route of routes) (paths[route.path] ??= {})[route.method] = operationOf(route, components);
  return {
    openapi: "3.1.1",
    info: {
      title: "Lastgood's operator API",
      version,
      description: DESCRIPTION,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    tags: ROUTE_GROUPS.filter((group) => routes.some((route) => route.group === group)).map((name) => ({
      name,
    })),
    paths,
    components: {
      schemas: Object.fromEntries([...components].toSorted(([left], [right]) => (left < right ? -1 : 1))),
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "The token of an operator." },
        session: { type: "apiKey", in: "cookie", name: SESSION_COOKIE },
      },
    },
  };
}

function operationOf(route: DocumentedRoute, components: Components): Json {
  const { method, path, group, summary, description, role, body, answers } = route;
  const roleText = role === "anybody" ? "Needs no token." : `Needs the role ${role}.`;
  return {
    operationId: operationIdOf(method, path),
    tags: [group],
    summary,
    description: description === undefined ? roleText : `${description} ${roleText}`,
    security: role === "anybody" ? [] : [{ token: [] }, { session: [] }],
    parameters: parametersOf(route, components),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { "application/json": { schema: toSchema(body, "input", components) } },
          },
        }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [status, answerOf(answer, components)]),
      ),
      ...problemsOf(route, answers),
    },
  };
}

/** `get /v1/decisions/{id}` -> `getDecisionsById`. */
function operationIdOf(method: string, path: string): string {
  const words = path
    .replace(/^\/v1/, "")
    .split(/[/.-]/)
    .filter((part) => part !== "")
    .map((part) =>
      part
        .replace(/^\{(.+)\}$/, "by-$1")
        .split("-")
        .map(capital)
        .join(""),
    );
  return method + words.join("");
}

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}

function parametersOf({ path, parameters, query, headers }: DocumentedRoute, components: Components): Json[] {
  const inPath = Array.from(path.matchAll(/\{(\w+)\}/g), ([, name]) => ({
    name,
    in: "path",
    required: true,
    description: parameters?.[name!] ?? "",
    schema: { type: "string" },
  }));
  const queryShape: Readonly<Record<string, z.core.$ZodType>> = query?.shape ?? {};
  const inQuery = Object.entries(queryShape).map(([name, schema]) => {
    const { description, ...rest } = toSchema(schema, "input", components);
    return {
      name,
      in: "query",
      required: false,
      ...(description === undefined ? {} : { description }),
      schema: rest,
    };
  });
  const inHeaders = Object.entries(headers ?? {}).map(([name, description]) => ({
    name,
    in: "header",
    required: false,
    description,
    schema: { type: "string" },
  }));
  return [...inPath, ...inQuery, ...inHeaders];
}

function answerOf(answer: Answer, components: Components): Json {
  const { description } = answer;
  if ("json" in answer)
    return {
      description,
      content: { "application/json": { schema: toSchema(answer.json, "output", components) } },
    };
  return "text" in answer
    ? { description, content: { [answer.text]: { schema: { type: "string" } } } }
    : { description };
}

/** One answer for each status, with the codes it may carry. */
function problemsOf(route: DocumentedRoute, answers: DocumentedRoute["answers"]): Record<string, Json> {
  const byStatus = new Map<number, ProblemKind[]>();
  for (const code of errorsOf(route)) {
    const kind = ADMIN_PROBLEMS[code];
    byStatus.set(kind.status, [...(byStatus.get(kind.status) ?? []), kind]);
  }
  return Object.fromEntries(
    [...byStatus]
      .filter(([status]) => answers[status] === undefined)
      .map(([status, kinds]) => [
        status,
        {
          description: kinds.map(({ code, title }) => `\`${code}\`: ${title}.`).join(" "),
          content: {
            "application/problem+json": {
              schema: {
                allOf: [{ $ref: "#/components/schemas/Problem" }],
                properties: { code: { enum: kinds.map(({ code }) => code) } },
              },
            },
          },
        },
      ]),
  );
}

/** Named schemas inside become components; nothing that is answered is closed against new fields. */
function toSchema(schema: z.core.$ZodType, io: "input" | "output", components: Components): Json {
  const {
    $schema: _dialect,
    $defs,
    ...whole
  } = z.toJSONSchema(schema, {
    target: "draft-2020-12",
    io,
    override: ({ jsonSchema }) => {
      if (io === "output" && jsonSchema.additionalProperties === false)
        delete jsonSchema.additionalProperties;
      delete jsonSchema.id;
    },
  }) as Json & { $defs?: Record<string, Json> };
  for (const [name, definition] of Object.entries($defs ?? {}))
    components.set(name, toComponentRefs(definition) as Json);
  return toComponentRefs(whole) as Json;
}

function toComponentRefs(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toComponentRefs);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      key === "$ref" && typeof inner === "string"
        ? inner.replace(/^#\/\$defs\//, "#/components/schemas/")
        : toComponentRefs(inner),
    ]),
  );
}
