/**
 * The database file of the SQLite store: opening it, its schema, its transactions, and what its errors mean.
 *
 * - Several processes use the file at once. WAL lets them read while one writes; a lock is waited for no longer than 20 ms,
 *   because the wait blocks the whole process. Waiting longer is the caller's part (`Busy`).
 * - Transactions are synchronous: nothing else of this process comes between.
 * - A file that was removed or replaced while we run is noticed by its inode and opened anew; `epoch` then grows.
 * - Mode 0600, and SQLite gives its -wal and -shm files the same. Local disks only: WAL needs shared memory.
 * - Nothing else in this process may open and close any of the three files, not even to look: POSIX locks go with the first
 *   descriptor that a process closes, whoever opened it (fcntl(2)). Another process would then take the shared memory for
 *   abandoned and truncate it under us: SIGBUS, or lost writes. `Deno.watchFs` opens what changes in a watched directory.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { Failure, messageOf } from "../../model/errors.ts";
import { osErrorCode, osErrorText } from "../../system/os_error.ts";
import { StoreUnavailable } from "../store.ts";

/** `deni` in ASCII: tells `file` and us whose database it is. */
const APPLICATION_ID = 0x64656e69;
const SCHEMA_VERSION = 1;
const BUSY_TIMEOUT_MS = 20;

/**
 * `changes` counts the revisions and says which key each concerned; what became of it stands in `leases`. `expires` is wall
 * time in milliseconds, because files outlive boots; null for reservations.
 */
const SCHEMA = `
  CREATE TABLE changes (revision INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL) STRICT;
  CREATE TABLE leases (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    expires INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX leases_by_expiry ON leases (expires) WHERE expires IS NOT NULL;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Made where they are missing. Any other that is missing is more likely a slip of the pen, or not mounted yet. */
const OWN_DIRECTORIES = ["/var/lib/flannel/", "/run/flannel/"];

/** Somebody else has the lock: try again in some milliseconds. */
export class Busy extends Error {
  override readonly name = "Busy";
}

export class SqliteFile {
  readonly path: string;
  readonly readOnly: boolean;
  /** Grows with each opening: what was read in an older one may not be in this file. */
  epoch = 0;
  #db: DatabaseSync | null = null;
  #inode: string | null = null;
  #statements = new Map<string, StatementSync>();

  constructor(path: string, readOnly: boolean) {
    this.path = path;
    this.readOnly = readOnly;
  }

  /** Where the file stands: everything before the last slash. */
  get directory(): string {
    return this.path.replace(/[^/]*$/, "") || ".";
  }

  /**
   * Runs `body` in one transaction: all of it takes effect or nothing.
   *
   * @throws Busy; Failure where the file can't serve; StoreUnavailable where it may again later; what `body` throws
   */
  transaction<T>(mode: Mode, body: () => T): T {
    return this.#translating(() => inTransaction(this.#connect(), mode, body));
  }

  /** The prepared statement for this text; valid within the current transaction. */
  statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      if (this.#db === null) throw new StoreUnavailable(`the lease store "${this.path}" is closed`);
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** Changes whenever another connection has changed the file, or the file is another one. */
  fingerprint(): string {
    return this.#translating(() => {
      this.#connect();
      return `${this.epoch}:${this.statement("PRAGMA data_version").get()?.data_version}`;
    });
  }

  close(): void {
    this.#statements.clear();
    this.#inode = null;
    const db = this.#db;
    this.#db = null;
    db?.close();
  }

  #connect(): DatabaseSync {
    const inode = inodeOf(this.path);
    if (this.#db !== null && inode === this.#inode) return this.#db;
    this.close();
    refuseDirectory(this.path);
    if (!this.readOnly && inode === null) createFile(this.path, this.directory);
    const db = this.readOnly ? openToRead(this.path) : openToWrite(this.path);
    try {
      prepareSchema(db, this.path, this.readOnly);
    } catch (error) {
      db.close();
      throw error;
    }
    this.#inode = inodeOf(this.path);
    this.epoch++;
    return this.#db = db;
  }

  #translating<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      throw translated(error, this.path);
    }
  }
}

function inodeOf(path: string): string | null {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return null;
  }
}

function createFile(path: string, directory: string): void {
  try {
    if (OWN_DIRECTORIES.includes(directory)) Deno.mkdirSync(directory, { recursive: true, mode: 0o755 });
    Deno.openSync(path, { create: true, write: true, mode: 0o600 }).close();
  } catch (error) {
    const absent = osErrorCode(error) === "ENOENT";
    throw new Failure(
      absent
        ? `open the lease store "${path}": there is no directory "${directory}"; make it, or give another file with ` +
          "-store=sqlite:<file>"
        : `open the lease store "${path}": ${
          osErrorText(error)
        }; give -store=sqlite:<file> in a directory that ` +
          "this user can write to",
    );
  }
}

/** Looking does not open it: see above. */
function refuseDirectory(path: string): void {
  let found: Deno.FileInfo;
  try {
    found = Deno.statSync(path);
  } catch {
    return;
  }
  if (!found.isDirectory) return;
  throw new Failure(
    `open the lease store "${path}": it is a directory; give a file in it, as in -store=sqlite:${
      path.replace(/\/$/, "")
    }/leases.db`,
  );
}

function openToWrite(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  try {
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    db.exec("PRAGMA journal_mode = WAL");
    db.exec("PRAGMA synchronous = NORMAL");
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Where the directory can't be written to, SQLite can't make its -shm file: then nobody writes, and the file is all there is. */
function openToRead(path: string): DatabaseSync {
  try {
    const db = new DatabaseSync(path, { readOnly: true });
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    db.prepare("SELECT count(*) FROM sqlite_schema").get();
    return db;
  } catch (error) {
    if (inodeOf(path) === null || !/unable to open|readonly/.test(messageOf(error))) throw error;
    return new DatabaseSync(`file:${path.split("/").map(encodeURIComponent).join("/")}?immutable=1`, {
      readOnly: true,
    });
  }
}

type Mode = "read" | "write";

function inTransaction<T>(db: DatabaseSync, mode: Mode, body: () => T): T {
  db.exec(mode === "write" ? "BEGIN IMMEDIATE" : "BEGIN");
  try {
    const result = body();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

function prepareSchema(db: DatabaseSync, path: string, readOnly: boolean): void {
  // In a transaction, so that another process's making of the schema is seen whole or not at all.
  if (inTransaction(db, "read", () => isOurs(db, path))) return;
  if (readOnly) {
    throw new Failure(`open the lease store "${path}": it is empty; start a daemon on it first`);
  }
  inTransaction(db, "write", () => {
    if (!isOurs(db, path)) db.exec(SCHEMA);
  });
}

/** False for an empty database. */
function isOurs(db: DatabaseSync, path: string): boolean {
  const pragma = (name: string) => Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
  const [application, version] = [pragma("application_id"), pragma("user_version")];
  const tables = Number(db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.n);
  if (application === 0 && version === 0 && tables === 0) return false;
  if (application !== APPLICATION_ID) {
    throw new Failure(
      `open the lease store "${path}": it is another program's database; give another file with -store=sqlite:<file>`,
    );
  }
  if (version > SCHEMA_VERSION) {
    throw new Failure(
      `open the lease store "${path}": its schema has version ${version}, this program knows up to ${SCHEMA_VERSION}; ` +
        `use the program that made it, or give another file`,
    );
  }
  return true;
}

/** What may pass: it is tried again. */
const remedies: readonly (readonly [string, string])[] = [
  ["disk is full", "make room on its file system"],
  ["is closed", "start again"],
];

/** SQLite's messages are fixed texts (sqlite3_errstr); its codes don't come with every error of node:sqlite. */
function translated(error: unknown, path: string): unknown {
  if (error instanceof Failure || error instanceof StoreUnavailable) return error;
  const message = messageOf(error);
  const says = (text: string) => message.includes(text);
  if (says("is locked")) return new Busy(message);
  if (says("not a database")) {
    return new Failure(
      `open the lease store "${path}": it is not a SQLite database; give another file, or move it away`,
    );
  }
  if (says("malformed")) {
    return new Failure(
      `use the lease store "${path}": it is damaged (${message}); stop all daemons on it and remove it, they take their subnets again`,
    );
  }
  if (says("readonly") || says("unable to open")) {
    return new Failure(
      `open the lease store "${path}": ${message}; it and its directory must be writable for this user`,
    );
  }
  const remedy = remedies.find(([text]) => says(text))?.[1] ?? "look at the kernel's log, dmesg says more";
  return new StoreUnavailable(`use the lease store "${path}": ${message}; ${remedy}`, { cause: error });
}
