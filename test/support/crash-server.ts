import { loadConfig } from '../../src/config.ts';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { startService } from '../../src/server.ts';
import { crashPoint } from './crash-point.ts';
import { recordingFileLayer } from './recording-file-layer.ts';

/**
 * The real service on SQLite and a folder, as a process of its own that dies or freezes at an effect: a file operation,
 * or a statement of the registry, before or after it.
 */
export interface CrashServerOptions {
  dataDir: string;
  /** 0: any. */
  port: number;
  acknowledged: string;
}

const options = JSON.parse(process.argv[2] as string) as CrashServerOptions;
const { request, effect, serve } = crashPoint(options.acknowledged);

/** What a commit does to hash the object, which for the folder is putting it together out of its parts. */
const ASSEMBLY = new Set(['create', 'write', 'chmod', 'sync']);
const { files } = recordingFileLayer(({ name }) => effect(request(), ASSEMBLY.has(name)));

serve(
  await startService(
    loadConfig({
      ARTIFACT_STORE_PORT: String(options.port),
      ARTIFACT_STORE_DATA_DIR: options.dataDir,
      ARTIFACT_STORE_LOG_LEVEL: 'silent',
    }),
    {
      files,
      // Small parts and packs, so that a small push has every phase.
      limits: {
        single_part_max: 64 * 1024,
        part_size: 64 * 1024,
        min_part_size: 1024,
        pack_member_max: 8 * 1024,
        pack_target: 16 * 1024,
      },
      connect: (file) => {
        const db = connectSqlite(file);
        db.on('query', () => effect(request()));
        db.on('query-response', () => effect(request()));
        return db;
      },
    },
  ),
);
