import type { Plugin } from 'rolldown';

/** A module of a package that nothing in the bundle ever uses, though the package imports it wherever it is loaded. */
interface LeftOut {
  /** The end of its path. */
  module: string;
  exports: readonly string[];
  /** What stands for each export: something that fails when it is used, or something that does nothing. */
  instead: 'fails' | 'does nothing';
}

/**
 * Each of these loads built-in modules that take longer to load than the rest of got: HTTP/2, TLS, zlib, crypto. The command
 * line asks for none of it (`JsonCalls` sets got's options): no `http2`, no `cache`, `decompress: false`, and nobody listens
 * to the channels `got:…`.
 */
export const LEFT_OUT: readonly LeftOut[] = [
  { module: 'got/dist/source/core/utils/http2-client.js', exports: ['default'], instead: 'fails' },
  { module: 'got/dist/source/core/utils/decompress-response.js', exports: ['default'], instead: 'fails' },
  { module: 'cacheable-request/dist/index.js', exports: ['default', 'CacheError'], instead: 'fails' },
  {
    module: 'got/dist/source/core/diagnostics-channel.js',
    exports: [
      'generateRequestId',
      'publishRequestCreate',
      'publishRequestStart',
      'publishResponseStart',
      'publishResponseEnd',
      'publishRetry',
      'publishError',
      'publishRedirect',
    ],
    instead: 'does nothing',
  },
];

/** Leaves them out. */
export function leaveOut(modules: readonly LeftOut[]): Plugin {
  return {
    name: 'leave-out',
    load(id) {
      const found = modules.find(({ module }) => id.endsWith(`/node_modules/${module}`));
      return found === undefined ? null : { code: standIn(found), moduleSideEffects: false };
    },
  };
}

function standIn({ module, exports, instead }: LeftOut): string {
  const body = instead === 'fails' ? `throw new Error('${module} is left out of this bundle.');` : '';
  return `function leftOut() { ${body} }\nexport { ${exports.map((name) => `leftOut as ${name}`).join(', ')} };\n`;
}
