// What status reports of CodePush clients mean, what its server would refuse of them, and whose deployment keys are.
import { describe, expect, test } from "vitest";
import type { AppId } from "../../../../ingest/contract/release-key.ts";
import { createDeployments } from "../../../../ingest/sources/codepush/deployments.ts";
import {
  VIA,
  cameThroughHere,
  endToEndHeaders,
  onwardHeaders,
} from "../../../../ingest/forwarding/relayed-headers.ts";
import { readDeployReport, readDownloadReport } from "../../../../ingest/sources/codepush/status-report.ts";
import type { StatusReport } from "../../../../ingest/sources/codepush/status-report.ts";
import { appWithSources } from "../../../support/source-app.ts";

const modern = { isModern: true };
const base = { app_version: "1.2.0", deployment_key: "KEYA", client_unique_id: "7c1e" };
const succeeded = {
  ...base,
  label: "v12",
  status: "DeploymentSucceeded",
  previous_label_or_app_version: "v11",
  previous_deployment_key: "KEYA",
};

function eventOf(report: StatusReport): unknown {
  if (report.kind === "refused") return report;
  expect(report.deploymentKey).toBe("KEYA");
  return report.toEvent("production");
}
const deploy = (fields: Record<string, unknown>): unknown => eventOf(readDeployReport(fields, modern));

const draft = { channel: "production", device: "7c1e", version: "v12" };

describe("the four shapes of a deploy report", () => {
  test("1: the store binary was installed", () => {
    expect(deploy({ ...base, previous_deployment_key: "KEYA" })).toEqual({
      kind: "nothing",
      result: "no_outcome",
    });
  });

  test("2: a release came up, in the place of another", () => {
    expect(deploy(succeeded)).toEqual({
      kind: "drafts",
      drafts: [{ ...draft, event: "confirmed", native_version: "1.2.0", from: "v11" }],
    });
  });

  test("3: a release was started once, and given up", () => {
    expect(
      deploy({ ...base, label: "v12", status: "DeploymentFailed", previous_deployment_key: "KEYA" }),
    ).toEqual({
      kind: "drafts",
      drafts: [{ ...draft, event: "reverted", native_version: "1.2.0" }],
    });
  });

  test("4: the store binary took the place of a release", () => {
    expect(deploy({ ...base, app_version: "1.3.0", previous_label_or_app_version: "v12" })).toEqual({
      kind: "nothing",
      result: "no_outcome",
    });
  });
});

describe("a deploy report", () => {
  test("has the same meaning in camel case, and in a mixture, where camel case comes first", () => {
    const camel = {
      appVersion: "1.2.0",
      deploymentKey: "KEYA",
      clientUniqueId: "7c1e",
      label: "v12",
      status: "DeploymentSucceeded",
      previousLabelOrAppVersion: "v11",
      previousDeploymentKey: "KEYA",
    };
    expect(deploy(camel)).toEqual(deploy(succeeded));
    expect(deploy({ ...camel, client_unique_id: "other", clientUniqueId: "7c1e" })).toEqual(
      deploy(succeeded),
    );
    expect(deploy({ ...camel, clientUniqueId: "", client_unique_id: "7c1e" })).toEqual(deploy(succeeded));
  });

  test.each([
    ["a binary version", { previous_label_or_app_version: "1.2.0" }],
    ["a label of another deployment", { previous_deployment_key: "KEYB" }],
    ["nothing", { previous_label_or_app_version: undefined }],
  ])("%s before it is no release that it came from", (_what, fields) => {
    const event = deploy({ ...succeeded, ...fields }) as { drafts: object[] };
    expect(event.drafts[0]).not.toHaveProperty("from");
  });

  test.each(["1.2.x", "^1.2.0", "*", ">=1 <2", "1.2.0 - 1.4.0"])(
    "%s is a range, which is no native version",
    (range) => {
      const event = deploy({ ...succeeded, app_version: range }) as { drafts: object[] };
      expect(event.drafts[0]).not.toHaveProperty("native_version");
    },
  );

  test("Downloaded, which the server lets through, begins an attempt", () => {
    expect(deploy({ ...base, label: "v12", status: "Downloaded" })).toMatchObject({
      drafts: [{ ...draft, event: "update_started" }],
    });
  });

  test("without an id: taken of a modern SDK, but not counted; refused of an old one", () => {
    const nameless = { ...succeeded, client_unique_id: undefined };
    expect(deploy(nameless)).toMatchObject({ kind: "wrong", result: "invalid" });
    expect(readDeployReport(nameless, { isModern: false })).toMatchObject({ kind: "refused" });
    expect(readDeployReport(succeeded, { isModern: false })).toMatchObject({ kind: "read" });
  });

  test.each([
    [
      { ...base, deployment_key: undefined },
      "A deploy status report must contain a valid appVersion and deploymentKey.",
    ],
    [
      { ...base, app_version: "" },
      "A deploy status report must contain a valid appVersion and deploymentKey.",
    ],
    [
      { ...base, app_version: 1.2 },
      "A deploy status report must contain a valid appVersion and deploymentKey.",
    ],
    [{ ...base, label: "v1" }, "A deploy status report for a labelled package must contain a valid status."],
    [{ ...base, label: "v1", status: "Great" }, "Invalid status: Great"],
    [{ ...base, label: "v1", status: "x".repeat(200) }, `Invalid status: ${"x".repeat(64)}`],
    [5, "The body must be a JSON object."],
    [null, "The body must be a JSON object."],
    [[base], "The body must be a JSON object."],
    [undefined, "The body must be a JSON object."],
  ])("%j is refused as the server does", (body, message) => {
    expect(readDeployReport(body, modern)).toEqual({ kind: "refused", message });
  });
});

describe("a download report", () => {
  test("begins an attempt", () => {
    expect(eventOf(readDownloadReport({ ...base, label: "v12" }))).toEqual({
      kind: "drafts",
      drafts: [{ ...draft, event: "update_started" }],
    });
  });

  test("without an id is not counted", () => {
    expect(eventOf(readDownloadReport({ deployment_key: "KEYA", label: "v12" }))).toMatchObject({
      kind: "wrong",
      result: "invalid",
    });
  });

  test.each([{ ...base }, { label: "v12" }, { deploymentKey: {}, label: "v12" }])("%j is refused", (body) => {
    expect(readDownloadReport(body)).toEqual({
      kind: "refused",
      message: "A download status report must contain a valid deploymentKey and package label.",
    });
  });
});

describe("deployment keys", () => {
  const till = appWithSources({
    codepush: { deployments: { KEYA: "production" }, server: "https://one.acme" },
  });
  const kiosk = appWithSources({ codepush: { deployments: { KEYB: "production" } } });
  const other = appWithSources({
    codepush: { deployments: { KEYC: "production" }, server: "https://two.acme" },
  });
  const of = (...apps: (typeof till)[]): ReturnType<typeof createDeployments> =>
    createDeployments(new Map(apps.map((app, index) => [`app-${index}` as AppId, app])));

  test("a key is of one app and channel, or of none", () => {
    expect(of(till, kiosk).find("KEYB")).toMatchObject({ app: "app-1", channel: "production" });
    expect(of(till, kiosk).find("__proto__")).toBeUndefined();
  });

  test("a key leads to its app's server; an unknown one, or none, to the only one that there is", () => {
    const one = of(till, kiosk);
    expect(one.serverOf("KEYA")).toBe("https://one.acme");
    expect(one.serverOf("KEYB")).toBeUndefined();
    expect(one.serverOf("NEW")).toBe("https://one.acme");
    expect(one.serverOf(undefined)).toBe("https://one.acme");
    const two = of(till, other);
    expect(two.serverOf("KEYC")).toBe("https://two.acme");
    expect(two.serverOf("NEW")).toBeUndefined();
  });
});

describe("headers of what goes on", () => {
  test("what belongs to the connection stays here, also what it names", () => {
    const raw = ["Connection", "close, X-Here", "X-Here", "1", "Transfer-Encoding", "chunked", "ETag", "e"];
    expect(endToEndHeaders(raw)).toEqual([["ETag", "e"]]);
  });

  test("the client's address and this ingest are added; a name may be one that every object has", () => {
    const raw = [
      "Host",
      "here",
      "X-Forwarded-For",
      "1.1.1.1",
      "__proto__",
      "p",
      "A",
      "1",
      "a",
      "2",
      "Via",
      "1.1 edge",
    ];
    const onward = onwardHeaders(raw, "2.2.2.2", []);
    expect(Object.entries(onward)).toEqual([
      ["x-forwarded-for", "1.1.1.1, 2.2.2.2"],
      ["__proto__", "p"],
      ["a", "1, 2"],
      ["via", `1.1 edge, ${VIA}`],
    ]);
    expect(cameThroughHere({ via: onward["via"]! })).toBe(true);
    expect(cameThroughHere({ via: "1.1 edge" })).toBe(false);
    expect(cameThroughHere({})).toBe(false);
  });
});
