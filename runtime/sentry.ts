// Lastgood's own errors to Sentry. Off, and the SDK not even loaded, without a DSN. Expected outcomes
// (a refused report, a stale rollback) are never sent: only what the log calls error.
export interface ErrorReporter {
  capture(error: unknown, context?: Readonly<Record<string, string>>): void;
  flush(timeoutMs: number): Promise<void>;
}

const SILENT: ErrorReporter = { capture: () => {}, flush: () => Promise.resolve() };

export async function createErrorReporter(options: {
  readonly dsn: string | undefined;
  readonly process: string;
  readonly version: string;
}): Promise<ErrorReporter> {
  if (options.dsn === undefined || options.dsn === "") return SILENT;
  const Sentry = await import("@sentry/node");
  Sentry.init({
    dsn: options.dsn,
    release: `lastgood@${options.version}`,
    initialScope: { tags: { process: options.process } },
    tracesSampleRate: 0,
  });
  return {
    capture: (error, context) =>
      void Sentry.captureException(error, context === undefined ? undefined : { tags: { ...context } }),
    flush: async (timeoutMs) => void (await Sentry.flush(timeoutMs)),
  };
}
