import type { TestService } from './service.ts';

/** What a browser is given. */
export interface Page {
  status: number;
  text: string;
  headers: Headers;
}

async function answered(response: Response): Promise<Page> {
  return { status: response.status, text: await response.text(), headers: response.headers };
}

export async function get({ url }: Pick<TestService, 'url'>, path: string, cookie?: string): Promise<Page> {
  return answered(await fetch(url + path, { redirect: 'manual', headers: cookie === undefined ? {} : { cookie } }));
}

export async function post(
  { url }: Pick<TestService, 'url'>,
  path: string,
  fields: Record<string, string>,
  headers: Record<string, string>,
): Promise<Page> {
  return answered(
    await fetch(url + path, { method: 'POST', redirect: 'manual', body: new URLSearchParams(fields), headers }),
  );
}

export function signIn(
  service: Pick<TestService, 'url'>,
  fields: Record<string, string>,
  origin = service.url,
): Promise<Page> {
  return post(service, '/ui/login', fields, { origin });
}

export function cookieOf({ headers }: Page): string {
  return (headers.get('set-cookie') ?? '').split(';')[0] as string;
}

export function comparable(text: string): string {
  return text.replaceAll(/pkg_[0-9a-f]{32}/g, 'pkg').replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'request');
}
