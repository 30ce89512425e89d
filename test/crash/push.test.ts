import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Digest, parseDigest } from '../../src/core/digest.ts';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { type CrashPlace, crashSuite, type Stored } from '../suites/crash.ts';
import { sha256 } from '../support/api.ts';
import { startCrashProcess } from '../support/crash-process.ts';
import { usualOrLong } from '../support/long.ts';
import { freePorts } from '../support/ports.ts';

const SERVER = new URL('../support/crash-server.ts', import.meta.url);

/** A data folder of its own, whose one process is started again. */
async function openPlace(): Promise<CrashPlace> {
  const dir = await mkdtemp(join(tmpdir(), 'artifact-store-crash-place-'));
  const dataDir = join(dir, 'data');
  const acknowledged = join(dir, 'acknowledged');
  const [port = 0] = await freePorts(1);
  const start = () => startCrashProcess(SERVER, { dataDir, port, acknowledged });
  let service = await start();
  const { url } = service;
  const restart = async (): Promise<void> => {
    await service.kill();
    service = await start();
  };
  return {
    url,
    acknowledged,
    arm: (plan) => service.arm(plan),
    counts: () => service.counts(),
    stopped: () => service.stopped,
    async resume(action) {
      if (action === 'SIGKILL') return restart();
      await sleep(700);
      service.signal('SIGCONT');
    },
    settle: restart,
    connect: () => connectSqlite(join(dataDir, 'registry.sqlite')),
    stored: () => storedIn(join(dataDir, 'blobs')),
    async leave() {
      await service.kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function storedIn(blobs: string): Promise<Stored> {
  const objects = new Map<string, Digest>();
  const unfinished: string[] = [];
  for (const entry of await readdir(blobs, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const key = file.slice(blobs.length + 1);
    if (/^(spool|uploads)\//.test(key)) unfinished.push(key);
    else objects.set(key, parseDigest(sha256(await readFile(file))));
  }
  return { objects, unfinished };
}

// Of several parts, the last one short.
crashSuite({
  open: openPlace,
  kills: () => usualOrLong(1, 6),
  freezes: (phase) => usualOrLong(phase % 2, 1),
  large: [150_000, 150_000],
  keepsUnclean: false,
});
