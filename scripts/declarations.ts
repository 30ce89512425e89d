import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isolatedDeclarationSync } from 'rolldown/experimental';

/** What says the types of `artifact-store/client`: these name each other and nothing else. */
const DECLARED = ['answers.ts', 'client.ts', 'create-client.ts', 'error.ts', 'types.ts'];

/** Writes a declaration for each into a folder. @throws Error for a type that is said nowhere, or that another file says */
export function declare(library: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const name of DECLARED) {
    const { code, errors } = isolatedDeclarationSync(name, readFileSync(join(library, name), 'utf8'));
    if (errors.length > 0) throw new Error(`${name} does not say its types: ${errors[0]?.message}`);
    const named = [...code.matchAll(/from ['"](.+?)['"]/g)].map(([, source]) => source as string);
    const other = named.find((source) => !DECLARED.includes(basename(source)));
    if (other !== undefined) throw new Error(`The types of ${name} need ${other}, which is not declared.`);
    const declaration = code.replace(/(from ['"]\.\/[\w-]+)\.ts(?=['"])/g, '$1.js');
    writeFileSync(join(folder, `${basename(name, '.ts')}.d.ts`), declaration);
  }
}
