// The real `@hot-updater/server` in this process, on a PostgreSQL in WebAssembly (PGlite): no process, no port, no
// download. Leaves: its handler, and a way to empty it. Starting it takes some two seconds.
import { PGlite } from "@electric-sql/pglite";
import { createHotUpdater } from "@hot-updater/server";
import { kyselyAdapter } from "@hot-updater/server/adapters/kysely";
import { Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from "kysely";
import type { DatabaseConnection, Driver, QueryResult } from "kysely";
import type { HotUpdaterHandler } from "../doubles/hot-updater.ts";

export interface RealHotUpdater {
  readonly handler: HotUpdaterHandler;
  empty(): Promise<void>;
  close(): Promise<void>;
}

export interface RealHotUpdaterOptions {
  readonly basePath: string;
  readonly routes?: { readonly bundles: boolean };
}

export async function startRealHotUpdater({
  basePath,
  routes,
}: RealHotUpdaterOptions): Promise<RealHotUpdater> {
  const database = new PGlite();
  const db = new Kysely<object>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => createDriver(database),
      createIntrospector: (kysely) => new PostgresIntrospector(kysely),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
  const adapter = kyselyAdapter({ db, provider: "postgresql" });
  const migrator = (adapter as unknown as { createMigrator: () => Migrator }).createMigrator();
  const migration = await migrator.migrateToLatest({ mode: "from-schema", updateSettings: true });
  await migration.execute();
  const server = createHotUpdater({
    database: adapter,
    storages: [storage],
    basePath,
    ...(routes === undefined ? {} : { routes: { updateCheck: true, ...routes } }),
  });
  return {
    handler: (request) => server.handler(request),
    async empty() {
      await database.exec("delete from bundle_patches; delete from bundles;");
    },
    async close() {
      await db.destroy();
      await database.close();
    },
  };
}

interface Migrator {
  migrateToLatest(options: {
    mode: "from-schema";
    updateSettings: boolean;
  }): Promise<{ execute(): Promise<void> }>;
}

const storage = {
  name: "test",
  supportedProtocol: "test",
  profiles: {
    runtime: {
      getDownloadUrl: (uri: string) =>
        Promise.resolve({ fileUrl: `https://files.example.test/${encodeURIComponent(uri)}` }),
      readText: () => Promise.resolve(null),
    },
  },
};

/** PGlite has one connection, so whoever has begun a transaction has it alone. */
function createDriver(database: PGlite): Driver {
  let last: Promise<void> = Promise.resolve();
  const releases = new Map<DatabaseConnection, () => void>();
  const run = async (connection: DatabaseConnection, sql: string): Promise<void> => {
    await connection.executeQuery({ sql, parameters: [] } as never);
  };
  return {
    init: () => Promise.resolve(),
    async acquireConnection() {
      const before = last;
      let release = (): void => {};
      last = new Promise((resolve) => (release = resolve));
      await before;
      const connection = createConnection(database);
      releases.set(connection, release);
      return connection;
    },
    beginTransaction: (connection) => run(connection, "begin"),
    commitTransaction: (connection) => run(connection, "commit"),
    rollbackTransaction: (connection) => run(connection, "rollback"),
    releaseConnection(connection) {
      releases.get(connection)?.();
      releases.delete(connection);
      return Promise.resolve();
    },
    destroy: () => Promise.resolve(),
  };
}

function createConnection(database: PGlite): DatabaseConnection {
  return {
    // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- Kysely's own signature
    async executeQuery<R>({ sql, parameters }: { sql: string; parameters: readonly unknown[] }) {
      const { rows, affectedRows } = await database.query<R>(sql, [...parameters]);
      return { rows, numAffectedRows: BigInt(affectedRows ?? 0) } satisfies QueryResult<R>;
    },
    streamQuery() {
      throw new Error("nobody streams here");
    },
  };
}
