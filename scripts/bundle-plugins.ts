import { builtinModules } from 'node:module';
import type { Plugin } from 'rolldown';

const BUILTIN = '\0node:';

/** Loaded by Node itself when it starts, or light. */
const LOADED: ReadonlySet<string> = new Set([
  'assert',
  'async_hooks',
  'buffer',
  'diagnostics_channel',
  'events',
  'fs',
  'module',
  'os',
  'path',
  'process',
  'querystring',
  'stream',
  'string_decoder',
  'timers',
  'url',
  'util',
]);

/**
 * No built-in module is loaded by `import`, which looks at everything in it: at `http.WebSocket`, for one, which loads the
 * whole of fetch. Those that Node has not loaded yet are loaded when something of them is first used: `node:https` alone
 * takes half as long as Node's start.
 */
export function lazyBuiltins(): Plugin {
  return {
    name: 'lazy-builtins',
    resolveId(source, importer) {
      if (importer?.startsWith('\0')) return null;
      const name = source.replace(/^node:/, '');
      return builtinModules.includes(name) ? BUILTIN + name : null;
    },
    load(id) {
      if (!id.startsWith(BUILTIN)) return null;
      const code = isLazyBuiltin(id) ? lazyModule(nameOf(id)) : `module.exports = ${loading(nameOf(id))};`;
      return { code, moduleSideEffects: false };
    },
  };
}

/** @param id a module of the bundle */
export function isLoadedBuiltin(id: string): boolean {
  return id.startsWith(BUILTIN) && !isLazyBuiltin(id);
}

export function isLazyBuiltin(id: string): boolean {
  return id.startsWith(BUILTIN) && !LOADED.has(nameOf(id));
}

function nameOf(id: string): string {
  return id.slice(BUILTIN.length);
}

function loading(name: string): string {
  return `process.getBuiltinModule('node:${name}')`;
}

function lazyModule(name: string): string {
  const names = Object.keys(process.getBuiltinModule(name) as object);
  return `let loaded;
    for (const name of ${JSON.stringify(names)}) {
      Object.defineProperty(exports, name, { enumerable: true, get: () => (loaded ??= ${loading(name)})[name] });
    }`;
}

/** Text of a package that stands otherwise in the bundle. */
interface Rewritten {
  /** The end of its path. */
  module: string;
  /** Global. */
  text: RegExp;
  by: string;
}

export const REWRITTEN: readonly Rewritten[] = [
  // `import { z }` of zod keeps all that zod has, the messages in forty languages with it. Our own code writes `import * as z`.
  { module: 'koa-body/dist/esm/types.js', text: /import \{ z \} from (?="zod"|'zod')/g, by: 'import * as z from ' },
  // Made when a message needs it: got loads this module, and the languages of the world take a third of Node's start.
  {
    module: '@sindresorhus/is/distribution/index.js',
    text: /= (new Intl\.ListFormat\([^)]*\));/g,
    by: '= { format: (words) => $1.format(words) };',
  },
  // `FormData` is Node's fetch, all of it; a text is none.
  {
    module: 'got/dist/source/core/index.js',
    text: /!\(options\.body instanceof FormData\)/g,
    by: "(typeof options.body === 'string' || !(options.body instanceof FormData))",
  },
];

/** @throws Error for a module that does not have its text */
export function rewrite(texts: readonly Rewritten[]): Plugin {
  return {
    name: 'rewrite',
    transform: {
      filter: { id: /\/node_modules\// },
      handler: (code, id) => {
        const found = texts.find(({ module }) => id.endsWith(`/node_modules/${module}`));
        if (found === undefined) return null;
        const rewritten = code.replace(found.text, found.by);
        if (rewritten === code) throw new Error(`${found.module} has no ${found.text}: correct REWRITTEN.`);
        return { code: rewritten, map: null };
      },
    },
  };
}

const NAMING = 'source-names';

/**
 * Stack traces name the sources. @param threads the modules with which a process or a thread begins
 * @param naming the module that does it
 */
export function sourcesInStacks(threads: readonly string[], naming: string): Plugin {
  return {
    name: 'sources-in-stacks',
    resolveId: (source) => (source === NAMING ? NAMING : null),
    load: (id) => (id === NAMING ? `import { nameSources } from ${JSON.stringify(naming)}; nameSources();` : null),
    // Into the first line, so that all lines stay where they are.
    transform: (code, id) => (threads.includes(id) ? { code: `import '${NAMING}'; ${code}`, map: null } : null),
  };
}
