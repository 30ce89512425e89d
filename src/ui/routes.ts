import type { SealedSessions } from '../core/sealed-session.ts';
import { type Pages, routerPath } from '../http/app.ts';
import type { Authentication } from '../http/authenticate.ts';
import type { HttpServices } from '../http/route.ts';
import { evidencePages } from './evidence/pages.ts';
import { ICON } from './layout.ts';
import { page, type UiRoute } from './page.ts';
import { changesPage } from './pages/changes.ts';
import { folderPage, savePages } from './pages/files.ts';
import { foundPage } from './pages/found.ts';
import { historyPage } from './pages/history.ts';
import { operatorPage } from './pages/operator.ts';
import { packagePage } from './pages/package.ts';
import { packagesPage } from './pages/packages.ts';
import { runPage } from './pages/run.ts';
import { sharePages } from './pages/shares.ts';
import { problemPage, type Site, servePage } from './serve-page.ts';
import { sessions } from './sessions.ts';
import { signInPages } from './sign-in.ts';

export interface UiOptions {
  services: HttpServices;
  authentication: Authentication;
  sealed: SealedSessions;
}

/** Every page: the router and the tests read this. */
export function uiRoutes(site: Site): readonly UiRoute[] {
  return [
    ...signInPages(site),
    icon,
    packagesPage,
    packagePage,
    folderPage,
    ...evidencePages,
    ...savePages,
    ...sharePages,
    foundPage,
    runPage,
    changesPage,
    historyPage,
    operatorPage,
  ];
}

/** What people look at with a browser, under `/ui`. */
export function uiPages({ services, authentication, sealed }: UiOptions): Pages {
  const { publicUrl } = services;
  const now = () => services.registry.read.now();
  const site = { services, authentication, sessions: sessions({ sealed, publicUrl, now }) };
  return {
    problem: problemPage,
    routes(router, rates) {
      for (const route of uiRoutes(site)) router[route.method](routerPath(route.path), servePage(route, site, rates));
    },
  };
}

const icon = page({
  path: '/ui/icon.svg',
  id: 'showIcon',
  async handle(_, _request, ctx) {
    ctx.set('Cache-Control', 'public, max-age=86400');
    ctx.body = ICON;
    ctx.type = 'image/svg+xml';
    return undefined;
  },
});
