// Which systems are served, and by which file. Enters: the configured apps. Leaves: one router per system that at
// least one app names under `sources`.
import type { Router } from "express";
import type { IngestAppSettings } from "../config.ts";
import type { AppId } from "../contract/release-key.ts";
import { SOURCES } from "../metrics.ts";
import type { SourceName } from "../metrics.ts";
import { capgoRouter } from "./capgo/capgo-router.ts";
import { codePushRouter } from "./codepush/codepush-router.ts";
import { expoRouter } from "./expo/expo-router.ts";
import { hotUpdaterRouter } from "./hot-updater/hot-updater-router.ts";
import { otlpRouter } from "./otlp/otlp-router.ts";
import { sentryRouter } from "./sentry/sentry-router.ts";
import type { CreateSourceRouter, SourceDeps } from "./source.ts";

const ROUTERS: Partial<Record<SourceName, CreateSourceRouter>> = {
  capgo: capgoRouter,
  codepush: codePushRouter,
  expo: expoRouter,
  hot_updater: hotUpdaterRouter,
  otlp: otlpRouter,
  sentry: sentryRouter,
};

export function servedSources(apps: ReadonlyMap<AppId, IngestAppSettings>): SourceName[] {
  const named = new Set([...apps.values()].flatMap(({ sources = {} }) => Object.keys(sources)));
  return SOURCES.filter((source) => named.has(source));
}

export function sourceRouter(source: SourceName, deps: SourceDeps): Router {
  const create = ROUTERS[source];
  if (create === undefined) throw new Error(`no router for the source ${source}`);
  return create(deps);
}
