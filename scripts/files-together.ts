import { globSync } from 'node:fs';
import { join } from 'node:path';
import type { CodeSplittingNameFunction } from 'rolldown';

/** One file of the bundle: all that some modules import statically, less what stands in the files named before it. */
export interface Together {
  name: string;
  /** Paths from the checkout; globs. */
  roots: readonly string[];
  /** Other modules that stand in it. */
  has?: (id: string) => boolean;
}

/** Says in which file a module stands; what belongs to none is cut by who imports it. @param root the checkout */
export function filesTogether(root: string, files: readonly Together[]): CodeSplittingNameFunction {
  let placed: Map<string, string> | null = null;
  return (id, build) => {
    placed ??= place((module) => build.getModuleInfo(module)?.importedIds ?? []);
    return files.find(({ has }) => has?.(id))?.name ?? placed.get(id);
  };

  function place(importsOf: (module: string) => readonly string[]): Map<string, string> {
    const places = new Map<string, string>();
    for (const { name, roots } of files) {
      const waiting = roots.flatMap(found);
      for (let module = waiting.pop(); module !== undefined; module = waiting.pop()) {
        if (places.has(module)) continue;
        places.set(module, name);
        waiting.push(...importsOf(module));
      }
    }
    return places;
  }

  function found(glob: string): string[] {
    const paths = globSync(glob, { cwd: root });
    if (paths.length === 0)
      throw new Error(`The bundle is to have ${glob}, and there is no such file: correct TOGETHER.`);
    return paths.map((path) => join(root, path));
  }
}
