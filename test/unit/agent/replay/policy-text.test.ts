// The policies that a replay is asked about: one alone, or a file's section; mistakes have their place; nothing else of a
// file is looked at, or sent anywhere.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  LONE_POLICY_NAME,
  policyFor,
  policyTextOf,
  readPolicyText,
} from "../../../../agent/replay/policy-text.ts";
import { samplePolicy } from "../../../support/verdicts.ts";

const FILE = "new.yaml";
const read = (text: string, env = {}) => readPolicyText({ file: FILE, text, env });
const problemsOf = (text: string): string[] => {
  const result = read(text);
  return result.kind === "invalid"
    ? result.problems.map(({ line, column, path }) => `${line}:${column} ${path}`)
    : [];
};
const namesOf = (text: string): string[] => {
  const result = read(text);
  return result.kind === "policies" ? [...result.policies.keys()] : ["invalid"];
};

describe("what it takes", () => {
  it("nothing that nests without end, which would end the process", () => {
    expect(problemsOf(`policies: ${"[".repeat(50_000)}`)).toEqual(["1:74 "]);
    expect(problemsOf(`rules: ${"{a: ".repeat(5_000)}`)).toEqual(["1:260 "]);
  });

  it("one policy alone", () => {
    const result = read("rules:\n  - { signal: update_failure, limit: 5% }\n");
    expect(result).toMatchObject({ kind: "policies" });
    expect(namesOf("rules: [{ signal: crash, limit: 1% }]")).toEqual([LONE_POLICY_NAME]);
  });

  it("a section `policies:`, with or without a whole configuration around it whose variables are not set", () => {
    const example = readFileSync(new URL("../../../../lastgood.example.yaml", import.meta.url), "utf8");
    expect(namesOf(example)).toEqual(["standard"]);
    const policies =
      "policies:\n  a:\n    rules: [{ signal: crash, limit: 1% }]\n  b:\n    rules: [{ signal: silence, limit: 1% }]\n";
    expect(namesOf(policies)).toEqual(["a", "b"]);
    expect(namesOf(`apps:\n  x:\n    secret: \${NOT_SET}\n${policies}redis: { url: 5 }\n`)).toEqual([
      "a",
      "b",
    ]);
  });

  it("JSON, which is YAML", () => {
    expect(namesOf('{"policies":{"a":{"rules":[{"signal":"crash","limit":"1%"}]}}}')).toEqual(["a"]);
  });
});

describe("what it refuses, with its place", () => {
  it.each([
    ["rules: [{ signal: update_failur, limit: 5% }]", "1:19 rules[0].signal"],
    [
      "apps:\n  x: 1\npolicies:\n  a:\n    rules:\n      - { signal: crash, limit: 200% }\nlog: x\n",
      "6:33 policies.a.rules[0].limit",
    ],
    ["mod: shadow\nrules: [{ signal: crash, limit: 1% }]", "1:1 mod"],
    ["policies:\n", "1:1 policies"],
    ["", "1:1 "],
    ["rules: [", "1:8 "],
    ['rules: [{ signal: crash, limit: "${HOME}" }]', "1:33 rules[0].limit"],
  ])("%j: %s", (text, place) => {
    expect(problemsOf(text)).toEqual([place]);
  });
});

it("what is sent holds policies alone, with variables filled in", () => {
  const text =
    'agent:\n  operators: [{ name: a, token: secret-of-a }]\npolicies:\n  a:\n    rules: [{ signal: crash, limit: "${LIMIT}" }]\n';
  const sent = policyTextOf({ file: FILE, text, env: { LIMIT: "2%" } });
  expect(JSON.parse(sent)).toEqual({ policies: { a: { rules: [{ signal: "crash", limit: "2%" }] } } });
  expect(read(sent)).toEqual(read(text, { LIMIT: "2%" }));
});

it("one policy is for every channel, of several each has its own", () => {
  const [a, b] = [samplePolicy({ name: "a" }), samplePolicy({ name: "b" })];
  expect(policyFor(new Map([["a", a]]), "x")).toBe(a);
  const both = new Map([
    ["a", a],
    ["b", b],
  ]);
  expect([policyFor(both, "b"), policyFor(both, "x")]).toEqual([b, undefined]);
});
